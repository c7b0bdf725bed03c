"""Which frames show their emotion clearly: pure mathematics over probabilities and embeddings."""
