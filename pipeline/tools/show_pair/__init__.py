"""`show-pair`: one pair drawn as one image."""
