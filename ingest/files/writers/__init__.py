"""Writers of file formats: each takes batches of rows and never holds them all."""
