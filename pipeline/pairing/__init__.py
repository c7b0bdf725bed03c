"""From one speaker's takes to sentences and to pairs of frames that belong together."""
