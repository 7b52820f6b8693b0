"""Base maps of others, through this house: cached, bounded, their keys kept."""
