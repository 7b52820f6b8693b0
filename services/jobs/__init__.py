"""Jobs: how work done apart stands."""
