"""OGC SensorThings API 1.1, sensing part, to be read: what devices measure, for clients nobody here wrote."""
