"""The names of emotions and splits, in the order that labels count them."""

EMOTIONS = ("neutral", "happy", "angry", "surprised", "fear", "sad", "disgusted")
"""The seven emotions in their order: a label is a place here."""
SPLITS = ("train", "validation", "test")
