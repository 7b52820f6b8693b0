"""The doors of devices: MQTT, HTTP, CoAP and frames over TCP and UDP, before one batch writer."""
