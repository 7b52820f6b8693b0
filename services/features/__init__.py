"""OGC API Features over every kind."""
