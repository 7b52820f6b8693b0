"""Releases and rollouts of updates; metadata and images for devices."""
