"""The page's section on clear frames: panels, contact sheets and suspects, for the template."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.params import Report
from pipeline.records import Clip, Suspect
from pipeline.stages.report.clear import KINDS, Clear, Panel, chosen_frames, panels, suspect_frames
from pipeline.stages.report.clear_truth import Judged, frame_truth, intensity_bins
from pipeline.stages.report.contact_sheets import SheetJob
from spfem_data.labels import EMOTIONS

SHEETS = "sheets/"
_TITLES = {
    "best": "clearest",
    "worst": "faintest of the others kept",
    "below": "clearest below the threshold",
}


@dataclass(frozen=True)
class Sheet:
    """One strip of faces and the label of each."""

    title: str
    image: str
    size_px: int
    labels: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True)
class Suspected:
    """A take that looks mislabelled. `truly` is its true emotion, None if unknown."""

    suspect: Suspect
    sheet: Sheet | None
    truly: str | None


@dataclass(frozen=True)
class ClearPage:
    """All that the section shows: `sheets` by emotion, `figures` of the ground truth or empty.

    `suspects` are the most certain of `n_suspects`.
    """

    panels: tuple[Panel, ...]
    sheets: Mapping[str, tuple[Sheet, ...]]
    suspects: tuple[Suspected, ...]
    n_suspects: int
    figures: Mapping[str, Any]
    bins: tuple[str, ...]


def sheet_jobs(
    clear: Clear, clips: Mapping[str, Clip], extracted: Path, section: Report
) -> Iterator[tuple[str, SheetJob]]:
    """The sheets to draw, by unit name."""
    for name, rows in _rows(clear, section).items():
        frames = tuple((clips[str(clear.take[row])], int(clear.frame[row])) for row in rows)
        yield f"{SHEETS}{name}", SheetJob(frames, extracted, section.sheet_px)


def _rows(clear: Clear, section: Report) -> dict[str, list[int]]:
    """The rows of every sheet: `<emotion>-<kind>` and `suspect-<take>`."""
    chosen = chosen_frames(clear, section.sheet)
    sheets = {f"{emotion}-{kind}": rows for (emotion, kind), rows in chosen.items()}
    for suspect in surest(clear.suspects, section.suspects):
        sheets[f"suspect-{suspect.take_id}"] = suspect_frames(clear, suspect, section.sheet)
    return sheets


def surest(suspects: Sequence[Suspect], count: int) -> list[Suspect]:
    """At most `count` suspects, by their share of frames that are clear as another emotion."""
    order = sorted(suspects, key=lambda one: (-one.share, -one.p_seen, one.take_id))
    return order[:count]


def clear_page(
    clear: Clear,
    drawn: Mapping[str, Mapping[str, Any]],
    judged: Judged | None,
    figures: Mapping[str, Any],
    section: Report,
) -> ClearPage:
    """Assemble the section.

    Parameters
    ----------
    drawn
        The sheets that were drawn, by unit name relative to `sheets/`.
    """
    truth = frame_truth(judged) if judged else {}
    rows = _rows(clear, section)

    def sheet(name: str, title: str) -> Sheet | None:
        if name not in drawn:
            return None
        labels = tuple(_label(clear, row, truth) for row in rows[name])
        return Sheet(title, drawn[name]["image"], drawn[name]["size_px"], labels)

    sheets = {
        emotion: tuple(
            drawn_sheet
            for kind in KINDS
            if f"{emotion}-{kind}" in rows
            and (drawn_sheet := sheet(f"{emotion}-{kind}", _TITLES[kind]))
        )
        for emotion in EMOTIONS
    }
    suspects = tuple(
        Suspected(
            one, sheet(f"suspect-{one.take_id}", one.take_id), _truly(clear, one, truth)
        )
        for one in surest(clear.suspects, section.suspects)
    )  # fmt: skip
    shown = {emotion: some for emotion, some in sheets.items() if some}
    n, bins = len(clear.suspects), tuple(intensity_bins())
    return ClearPage(tuple(panels(clear)), shown, suspects, n, figures, bins)


def _label(clear: Clear, row: int, truth: Mapping[int, tuple[str, float]]) -> dict[str, Any]:
    shown, intensity = truth.get(row, (None, None))
    clarity = float(clear.clarity[row])
    return {
        "take": str(clear.take[row]),
        "speaker": clear.takes[str(clear.take[row])].speaker,
        "frame": int(clear.frame[row]),
        "clarity": None if clarity != clarity else clarity,
        "verdict": str(clear.verdict[row]),
        "shown": shown,
        "intensity": intensity,
    }


def _truly(clear: Clear, suspect: Suspect, truth: Mapping[int, tuple[str, float]]) -> str | None:
    rows = suspect_frames(clear, suspect, 1)
    return truth[rows[0]][0] if rows and rows[0] in truth else None
