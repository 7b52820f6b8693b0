"""Linkages (场景联动): declared trigger, condition and actions; run once for each time that something becomes so."""
