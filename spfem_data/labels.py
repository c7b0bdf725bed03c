"""The names of the emotions and splits."""

EMOTIONS = ("neutral", "happy", "angry", "surprised", "fear", "sad", "disgusted")
"""The seven emotions; a label is an index in this tuple."""
SPLITS = ("train", "validation", "test")
