"""StyleGAN2, its W+ encoders and ArcFace: networks and their files, read without running code."""
