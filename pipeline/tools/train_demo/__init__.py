"""`demo train`: the networks that the demo ships, trained on drawn faces of invented people."""
