"""The generated demo city: pure functions from the figures of data/demo to geometries in metres."""
