"""StyleGAN2, its W+ encoders and ArcFace: the networks, their files, and nothing that runs code."""
