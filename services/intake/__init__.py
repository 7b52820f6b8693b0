"""Reports pushed by machines and partner systems."""
