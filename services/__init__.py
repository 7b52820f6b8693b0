"""Use cases and their HTTP doors, one folder a domain."""
