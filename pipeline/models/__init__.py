"""Weights: which file a name means, downloading it, and reading it without running code."""
