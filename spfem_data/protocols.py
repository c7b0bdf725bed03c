"""The lists for evaluation: which source is given which reference, so that groups compare alike.

Source and emotion reference are of one speaker (intra-ID) or of two (cross-ID): the two settings
of ASCCL 5.1, CDRL 4.1 and SSERD 4.1, which publish no list. Ours are files of the shards,
`protocols/<name>.csv`; docs/shards.md says how they are drawn.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from spfem_data.errors import TableError

PROTOCOLS = ("intra_id", "cross_id")


@dataclass(frozen=True)
class Trial:
    """One line of a list: give the source this emotion, as the reference shows it.

    Attributes
    ----------
    emotion
        What the result should show; that of the reference.
    source_take, reference_take
        Rows of the config `takes`.
    first_frame, last_frame
        The source's frames that count, both included.
    target_take
        The source's speaker saying the source's sentence in that emotion (a take of the config
        `pairs`), empty where there is none: what a perfect result resembles.
    same_sentence
        Whether the reference says what the source says (only ever across speakers); then a mouth
        that is copied from it would not be noticed.
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
    """Path of a list below the dataset's folder."""
    return f"protocols/{name}.csv"


def to_csv(trials: Iterable[Trial]) -> bytes:
    """The list as a file: a header, a line a trial, lines end with a line feed."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for trial in trials:
        values = (getattr(trial, name) for name in COLUMNS)
        writer.writerow([str(v).lower() if isinstance(v, bool) else v for v in values])
    return stream.getvalue().encode()


def read_protocol(folder: str | Path, name: str) -> tuple[Trial, ...]:
    """The trials of a list, in its order.

    Parameters
    ----------
    folder
        The dataset's folder.
    name
        intra_id or cross_id.

    Raises
    ------
    TableError
        Where there is no such list or it is not of these columns: one line that says where.
    """
    if name not in PROTOCOLS:
        raise TableError(f"no protocol {name!r}; there are: {', '.join(PROTOCOLS)}")
    path = Path(folder) / protocol_file(name)
    try:
        text = path.read_text(encoding="utf-8")
        lines = list(csv.reader(io.StringIO(text), strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TableError(f"{path} cannot be read: {error}") from error
    if not lines or tuple(lines[0]) != COLUMNS:
        raise TableError(f"{path}: its columns are not {', '.join(COLUMNS)}")
    return tuple(_trial(path, number, line) for number, line in enumerate(lines[1:], start=2))


def _trial(path: Path, number: int, line: list[str]) -> Trial:
    try:
        values: dict[str, Any] = dict(zip(COLUMNS, line, strict=True))
        for column in ("first_frame", "last_frame"):
            values[column] = int(values[column])
        values["same_sentence"] = {"true": True, "false": False}[values["same_sentence"]]
        return Trial(**values)
    except (ValueError, KeyError) as error:
        raise TableError(f"{path}, line {number}: no trial ({error})") from error
