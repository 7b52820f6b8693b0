"""Every door by which data enters."""
