"""Synthetic pairs: codes of frames, directions between emotions, families with one mouth."""
