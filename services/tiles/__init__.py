"""Vector tiles and TileJSON."""
