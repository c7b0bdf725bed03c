"""Trains what the demo ships: faces of people who are not in its corpus, and networks on them."""
