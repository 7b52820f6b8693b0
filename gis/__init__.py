"""Pure spatial functions: no web, no settings, no database state."""
