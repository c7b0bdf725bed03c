"""Pair lists in the published schema: what can be told from the list, and what a corpus adds."""
