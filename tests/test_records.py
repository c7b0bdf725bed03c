"""The Arrow schemas derived from the records: equal to the byte, whatever declares them."""

from __future__ import annotations

import hashlib

import pyarrow as pa
import pytest

from pipeline import records

DIGESTS = {
    "CLEAR_SCHEMA": "bd030be279ee601f",
    "CODES_SCHEMA": "e14349fcc8664ce6",
    "ClarityThreshold": "2fef41906a0fcb8e",
    "Clip": "35a660c36a11caab",
    "Direction": "0a18f118bfe55dca",
    "FAMILIES_SCHEMA": "37c1bfc4d42da639",
    "FRAMES_SCHEMA": "9be9c15f91b54973",
    "FilteredTake": "41cbd28784eef048",
    "InvertedTake": "a3cf510cced795d5",
    "MadeFamily": "d47d78daec5f8c66",
    "MadeImage": "0445e73fd220b6a1",
    "Pair": "a3894decf76dd005",
    "PosePair": "f303c2bc2af8a3b8",
    "PosedPair": "0adc9cd8c9da439a",
    "Rejected": "a62ba085bf691cc1",
    "SCORES_SCHEMA": "fc5a4ff9ec5a9346",
    "ScoredTake": "4cd899cfce09ffff",
    "Sentence": "b7724d62c8d105ff",
    "Suspect": "a5df9c56e9deda80",
    "SyncSession": "f4596e1004e423db",
    "SyncTake": "69b07c32b3dd62c8",
    "Take": "6e063ab491addfd3",
    "YieldPoint": "3dc5da5a708ccebb",
}
"""First half of the SHA-256 of each serialized schema. Change one only with the tables' version."""


@pytest.mark.parametrize("name", DIGESTS)
def test_schema_bytes(name: str) -> None:
    declared = getattr(records, name)
    schema = declared if isinstance(declared, pa.Schema) else declared.SCHEMA
    assert hashlib.sha256(schema.serialize().to_pybytes()).hexdigest()[:16] == DIGESTS[name]


def test_no_schema_is_left_out() -> None:
    declared = {
        name
        for name, value in vars(records).items()
        if isinstance(value, pa.Schema)
        or (isinstance(value, type) and issubclass(value, records.Row) and value is not records.Row)
    }
    assert declared == set(DIGESTS)


def test_nullability_and_types() -> None:
    schema = records.PosePair.SCHEMA
    assert all(field.nullable for field in schema)
    assert schema.field("frame_a").type == pa.int32()
    assert schema.field("affine").type == pa.list_(pa.float64(), 6)
    assert records.Clip.SCHEMA.field("level").type == pa.int8()
    assert records.Clip.SCHEMA.field("findings").type == pa.list_(pa.string())
    assert records.Pair.SCHEMA.field("confidence").type == pa.list_(pa.float32())
