"""Extracted takes as later stages read them: frame files, and images framed from stored crops."""
