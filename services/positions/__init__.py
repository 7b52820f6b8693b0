"""Where moving things are and were."""
