"""What the stage extract does with one take."""
