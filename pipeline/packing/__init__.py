"""From posed pairs to the rows of the shards: what goes where, and what stands in each row."""
