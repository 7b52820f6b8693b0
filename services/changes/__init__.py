"""The feed's HTTP doors: changes out and in, what both sides hold, how the feeds stand."""
