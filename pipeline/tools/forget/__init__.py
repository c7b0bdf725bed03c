"""Removing one person from everything that was made of their takes, and showing that it is so."""
