"""Delete one speaker's data from all outputs and verify that none is left."""
