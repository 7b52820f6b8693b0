"""What the wall asks of the whole twin: selections, cameras that see a place, plots, moments."""
