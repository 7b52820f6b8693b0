"""What third parties are told: webhooks and MQTT, each with its own cursor in the journal."""
