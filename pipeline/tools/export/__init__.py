"""What others' readers want: our pairs, takes and shards in their layouts."""
