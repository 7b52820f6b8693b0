"""Products of devices: declare, check, publish, debug their codecs."""
