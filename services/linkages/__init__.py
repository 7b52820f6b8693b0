"""Linkages (场景联动) as people see and start them."""
