"""Evaluation protocols: fixed lists of sources and references, so that results are comparable.

Source and emotion reference have the same speaker (intra-ID) or different ones (cross-ID): the two
settings of ASCCL 5.1, CDRL 4.1 and SSERD 4.1, which publish no lists. Ours are in the shards'
`protocols/<name>.csv`; docs/shards.md describes how they are sampled.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from spfem_data.errors import TableError, unreadable

PROTOCOLS = ("intra_id", "cross_id")


@dataclass(frozen=True)
class Trial:
    """One line of a list: edit the source to show the emotion of the reference.

    Attributes
    ----------
    emotion
        The target emotion, which is that of the reference.
    source_take, reference_take
        Ids in the config `takes`.
    first_frame, last_frame
        The frames of the source to evaluate, inclusive.
    target_take
        The ground truth: the source's speaker and sentence in the target emotion (a take of the
        config `pairs`), or empty.
    same_sentence
        Whether the reference has the source's sentence (cross-ID only). A mouth copied from the
        reference would then go unnoticed.
    """

    trial_id: str
    emotion: str
    source_speaker: str
    source_take: str
    source_emotion: str
    first_frame: int
    last_frame: int
    reference_speaker: str
    reference_take: str
    target_take: str
    same_sentence: bool

    def __post_init__(self) -> None:
        if not 0 <= self.first_frame <= self.last_frame:
            raise ValueError(f"frames {self.first_frame} to {self.last_frame}")


COLUMNS = tuple(field.name for field in fields(Trial))


def protocol_file(name: str) -> str:
    """Path of a list, relative to the dataset's folder."""
    return f"protocols/{name}.csv"


def to_csv(trials: Iterable[Trial]) -> bytes:
    """The content of a list's file: a header and a line per trial."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for trial in trials:
        values = (getattr(trial, name) for name in COLUMNS)
        writer.writerow([str(v).lower() if isinstance(v, bool) else v for v in values])
    return stream.getvalue().encode()


def read_protocol(folder: str | Path, name: str) -> tuple[Trial, ...]:
    """The trials of a list, in order.

    Parameters
    ----------
    folder
        The dataset's folder.
    name
        intra_id or cross_id.

    Raises
    ------
    TableError
        If the list does not exist, has other columns, or has an invalid line.
    """
    if name not in PROTOCOLS:
        raise TableError(f"unknown protocol {name!r}; expected one of {', '.join(PROTOCOLS)}")
    path = Path(folder) / protocol_file(name)
    try:
        text = path.read_text(encoding="utf-8")
        lines = list(csv.reader(io.StringIO(text), strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise unreadable(path, error) from error
    if not lines or tuple(lines[0]) != COLUMNS:
        raise unreadable(path, ValueError(f"its columns are not {', '.join(COLUMNS)}"))
    return tuple(_trial(path, number, line) for number, line in enumerate(lines[1:], start=2))


def _trial(path: Path, number: int, line: list[str]) -> Trial:
    try:
        values: dict[str, Any] = dict(zip(COLUMNS, line, strict=True))
        for column in ("first_frame", "last_frame"):
            values[column] = int(values[column])
        values["same_sentence"] = {"true": True, "false": False}[values["same_sentence"]]
        return Trial(**values)
    except (ValueError, KeyError) as error:
        raise TableError(f"{path}, line {number}: not a trial ({error})") from error
