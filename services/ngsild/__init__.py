"""NGSI-LD: devices as entities that are asked for by type, value, place and time."""
