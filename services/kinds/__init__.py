"""Kinds: what runs, plans of a change, and carrying one out."""
