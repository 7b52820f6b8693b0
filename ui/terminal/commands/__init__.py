"""Commands of `twin`, one file each, found by folder."""
