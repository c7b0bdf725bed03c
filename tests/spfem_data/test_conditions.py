"""Spellings of `where`, and the identity of a selection, which does not depend on them."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from pipeline.errors import PipelineError, TableError
from spfem_data import Loader, Pairs, Shards
from spfem_data.conditions import Condition
from tests.builders.shards import SENTENCES, SPEAKERS, write_pairs

EMOTIONS = ("happy", "sad")
COLUMNS = ["sample_id", "speaker", "emotion_b", "frame_a", "mouth_agreement"]
N = len(SPEAKERS) * len(EMOTIONS) * len(SENTENCES) * 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    write_pairs(folder, EMOTIONS, files=1)
    path = next((folder / "data/pairs").iterdir())
    # few columns and one row group: a thousand selections in seconds
    pq.write_table(pq.read_table(path, columns=COLUMNS), path)
    return folder


def count(folder: Path, where: Any) -> int:
    return len(Shards(folder, "pairs", "train").select(where))


@pytest.mark.parametrize(
    ("where", "n"),
    [
        (None, N),
        ([], N),
        (("frame_a", ">", 9), N // 6),
        (["frame_a", ">", 9], N // 6),
        ([["frame_a", ">", 9]], N // 6),
        ((("frame_a", ">", 9), ("emotion_b", "==", "sad")), N // 12),
        ([("frame_a", "in", np.array([1, 2]))], N // 6),
        ([("frame_a", "in", range(3))], N // 4),
        ([("frame_a", "in", torch.tensor([1, 2]))], N // 6),
        ([("frame_a", ">", np.int64(9))], N // 6),
        ([("frame_a", ">", torch.tensor(9))], N // 6),
        ([("emotion_b", "in", {"sad"})], N // 2),
        ([("emotion_b", "in", np.array(["sad", "none"]))], N // 2),
        ([("emotion_b", "in", [])], 0),
        ([("emotion_b", "not in", [])], N),
        ([("emotion_b", "not in", ("sad",))], N // 2),
    ],
)
def test_spellings_of_where(folder: Path, where: Any, n: int) -> None:
    assert count(folder, where) == n


@pytest.mark.parametrize(
    ("condition", "n"),
    [
        (("mouth_agreement", ">", 0.0), N // 2),
        (("mouth_agreement", "!=", 2.0), N // 2),
        (("mouth_agreement", "not in", [2.0]), N // 2),
        (("mouth_agreement", "in", [0.9, None]), 0),  # 0.9 is not a float32
        (("mouth_agreement", "not in", [0.5, None]), N // 2),
    ],
)
def test_null_meets_no_condition(folder: Path, condition: Condition, n: int) -> None:
    """mouth_agreement is null for sad."""
    assert count(folder, [condition]) == n


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("confidence > 0.9", r"where='confidence > 0.9': expected tuples \(column, operator"),
        (["confidence > 0.9"], r"where=\['confidence > 0.9'\]: expected tuples"),
        ([("confidence", ">")], "expected tuples"),
        ([(3, ">", 4)], "expected tuples"),
        ([[("emotion_b", "==", "sad")], [("frame_a", "==", 1)]], "no `or`: use `in` with a list"),
        ([("emotion_b", "in", "happy")], "`in` expects a list of values, not 'happy'"),
        ([("frame_a", "in", 3)], "`in` expects a list of values, not 3"),
        ([("emotion_b", "==", ["happy"])], "`==` expects one value; use `in` for several"),
        ([("emotion_b", "==", None)], "null meets no condition"),
        ([("frame_a", "=", 3)], "unknown operator '='; expected ==, !="),
        ([("frame_a", "like", 3)], "unknown operator 'like'; expected =="),
        ([("frame_a", "==", "one")], r"where=\[\('frame_a', '==', 'one'\)\]: "),
        ([("frame_a", "in", ["one"])], r"where=\[\('frame_a', 'in', \['one'\]\)\]: "),
        ([("framea", "==", 3)], "config 'pairs' has no column 'framea'"),
    ],
)
def test_invalid_conditions_are_one_line(folder: Path, where: Any, message: str) -> None:
    with pytest.raises(TableError, match=message):
        Pairs(folder, "train", where=where)


def _spelt(rng: random.Random, column: str, values: set[Any], domain: list[Any]) -> list[Condition]:
    """A random spelling of `column in values`, whose values are of the domain."""
    shuffled = rng.sample(sorted(values), len(values))
    others = [value for value in domain if value not in values]
    inside: list[Callable[[], Any]] = [
        lambda: shuffled, lambda: tuple(shuffled), lambda: set(shuffled),
        lambda: np.array(shuffled), lambda: frozenset(shuffled), lambda: shuffled * 2,
    ]  # fmt: skip
    spellings = [
        [(column, "in", rng.choice(inside)())],
        [(column, "not in", rng.choice((list, tuple, set, np.array))(others))] if others else [],
        [(column, "!=", value) for value in others],
    ]
    if len(values) == 1:
        spellings.append([(column, "==", *values)])
    return rng.choice(spellings)


@pytest.mark.slow
def test_states_interchange_exactly_if_the_rows_are_equal(folder: Path) -> None:
    """1,000 random selections in random spellings, each against the state of another."""
    rng = random.Random(0)
    columns = ["speaker", "emotion_b", "frame_a"]
    rows = pq.read_table(next((folder / "data/pairs").iterdir()), columns=columns).to_pylist()
    domains: dict[str, list[Any]] = {
        "speaker": list(SPEAKERS), "emotion_b": list(EMOTIONS), "frame_a": [0, 1, 2]
    }  # fmt: skip
    saved: dict[tuple[int, ...], dict[str, Any]] = {}
    previous: tuple[tuple[int, ...], dict[str, Any]] | None = None
    accepted = refused = 0
    for _ in range(1000):
        chosen = {
            name: set(rng.sample(domain, rng.randint(1, len(domain))))
            for name, domain in domains.items()
        }
        where = [c for name in columns for c in _spelt(rng, name, chosen[name], domains[name])]
        where = rng.sample([*where, ("frame_a", "<", 3)], len(where) + 1)
        truth = tuple(
            k
            for k, row in enumerate(rows)
            if row["frame_a"] < 3 and all(row[name] in values for name, values in chosen.items())
        )
        data = Pairs(folder, "train", columns=["sample_id"], where=where)
        loader = Loader(data, 4, seed=1)
        state = loader.state_dict()
        assert saved.setdefault(truth, state) == state
        if previous is not None and previous[0] != truth:
            refused += 1
            with pytest.raises(PipelineError, match="the saved state belongs to another run: its"):
                loader.load_state_dict(previous[1])
        else:
            accepted += 1
        previous = truth, state
    assert len({state["data"] for state in saved.values()}) == len(saved) > 100
    assert accepted > 0
    assert refused > 900


def test_long_arrays_of_ids_are_distinguished(folder: Path) -> None:
    """Their text is abbreviated, and equal for both."""
    ids = [f"none{k}" for k in range(3000)]
    states = []
    for frame in (3, 4):
        name = f"S1_neutral_u1+S1_sad_u1/{frame:06d}-{frame:06d}"
        names = np.array([*ids[:1500], name, *ids[1500:]])
        data = Pairs(folder, "train", columns=["sample_id"], where=[("sample_id", "in", names)])
        assert data[0]["sample_id"].endswith(f"{frame:06d}")
        states.append(Loader(data, 1).state_dict())
    with pytest.raises(PipelineError, match="belongs to another run: its data is"):
        Loader(data, 1).load_state_dict(states[0])


def test_a_state_of_changed_files_is_refused(tmp_path: Path) -> None:
    """The files have the same size, and the rows other values."""
    write_pairs(tmp_path, ["happy"], files=1)
    path = Shards(tmp_path, "pairs", "train").files[0]
    table = pq.read_table(path)
    k = table.schema.get_field_index("frame_a")
    states, sizes = [], []
    for first in (0, 1000):
        frames = pa.array(range(first, first + len(table)), pa.int32())
        pq.write_table(table.set_column(k, table.schema.field(k), frames), path)
        loader = Loader(Pairs(tmp_path, "train", columns=["sample_id"]), 4)
        states.append(loader.state_dict())
        sizes.append(path.stat().st_size)
    assert sizes[0] == sizes[1]
    with pytest.raises(PipelineError, match="belongs to another run: its data is"):
        loader.load_state_dict(states[0])
