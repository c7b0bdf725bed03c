"""Pairs of frames of one speaker, one instant of one sentence, two emotions: made, checked, packed."""

__version__ = "0.1.0"
