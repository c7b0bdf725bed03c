"""Extracted takes as the later stages read them: frame files, and framed images from stored crops."""
