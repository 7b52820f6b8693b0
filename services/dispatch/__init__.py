"""Which crew is nearest by road time."""
