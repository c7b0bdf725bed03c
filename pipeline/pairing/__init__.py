"""From one speaker's takes to sentences and frame pairs: who says what, and which frames belong together."""
