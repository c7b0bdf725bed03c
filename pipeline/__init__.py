"""Frame pairs of one speaker and instant in two emotions: made, checked, packed."""

__version__ = "0.1.0"
