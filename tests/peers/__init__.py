"""Other servers on the same tables, installed apart: what they cost beside ours."""
