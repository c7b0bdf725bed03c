"""Weights: which file a name means, how it is downloaded, and how it is read without running code."""
