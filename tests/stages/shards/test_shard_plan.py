from pipeline.stages.shards.shard_plan import shard_of, spread


def test_place_of_a_name_is_fixed_for_ever() -> None:
    """These numbers are in users' revisions: a change of the hash renames all their data."""
    assert [shard_of(name, 8) for name in ("a", "b", "M003_happy")] == [4, 4, 3]


def test_shards_are_filled_evenly() -> None:
    counts = [0] * 8
    for k in range(8000):
        counts[shard_of(f"pair-{k}", 8)] += 1
    assert max(counts) < 1.1 * 1000
    assert min(counts) > 0.9 * 1000


def test_a_new_item_moves_no_other() -> None:
    items = [(f"p{k}", "train", k) for k in range(20)]
    before = spread("pairs", 4, items)
    after = spread("pairs", 4, [*items, ("new", "train", 99)])
    changed = [shard for shard in before if before[shard] != after[shard]]
    assert len(changed) == 1
    assert sorted(set(after[changed[0]]) - set(before[changed[0]])) == [99]


def test_all_files_of_a_split_are_there_and_no_other_split() -> None:
    found = spread("pairs", 4, [("p", "test", 0)])
    assert [shard.file for shard in found] == [
        f"data/pairs/test-0000{k}-of-00004.parquet" for k in range(4)
    ]
