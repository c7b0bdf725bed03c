"""CLIP as a judge of expressions: pictures and prompts in, probabilities and embeddings out."""
