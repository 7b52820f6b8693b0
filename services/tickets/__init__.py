"""Predicted tickets and their track record."""
