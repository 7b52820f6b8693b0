"""Tests mirror the packages; see conftest for the servers they run against."""
