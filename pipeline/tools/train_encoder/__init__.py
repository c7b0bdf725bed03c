"""Train a W+ encoder on a dataset's faces, for a frozen generator."""
