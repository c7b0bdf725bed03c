"""W+ codes of frames, face squares, mouths and networks, shared by invert, directions and synth."""
