"""A separate program that drives a running installation through its public doors only."""
