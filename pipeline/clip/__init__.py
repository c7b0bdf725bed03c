"""CLIP: images and prompts in, probabilities of emotions and embeddings out."""
