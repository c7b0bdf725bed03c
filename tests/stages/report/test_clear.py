from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import TableError
from pipeline.params import load
from pipeline.records import CLEAR_SCHEMA, ClarityThreshold, FilteredTake, Suspect, YieldPoint
from pipeline.runtime.run import Run
from pipeline.runtime.tables import write_rows, write_table
from pipeline.stages.report.clear import (
    CLEAR,
    Clear,
    chosen_frames,
    clarity_plot,
    clear_metrics,
    gather_clear,
    panels,
    suspect_frames,
    yield_tables,
)
from pipeline.stages.report.clear_page import clear_page, surest
from pipeline.stages.report.clear_truth import Judged, clear_figures, frame_truth
from pipeline.stages.report.truth import TrueTake, Truth
from spfem_data.labels import EMOTIONS as SEVEN_EMOTIONS
from tests.builders.report_page import EVIL, Tags, content, with_clear

FRAMES = [  # take, frame, emotion, clarity, verdict
    ("a", 0, "happy", 0.2, "unclear"),
    ("a", 1, "happy", 0.72, "kept"),
    ("a", 2, "happy", 0.97, "kept"),
    ("a", 3, "happy", 0.9, "duplicate"),
    ("b", 0, "happy", 0.82, "kept"),
    ("b", 1, "happy", 0.5, "unclear"),
    ("n", 0, "neutral", 0.9, "kept"),
    ("c", 0, "contempt", np.nan, "other_emotion"),
]


def made(take: str = "a") -> Clear:
    """The frames above; the take `a` may have another name."""
    takes, frames, emotions, clarity, verdicts = zip(*FRAMES, strict=True)
    names = [take if name == "a" else name for name in takes]
    rows = {
        name: FilteredTake(name, f"S-{name}", "happy", "train", 0, 0, 0, 0, 0, 0, None, "w", "s")
        for name in set(names)
    }
    yields = [
        YieldPoint(name, at, 6 if name == "happy" else 0, 3 if name == "happy" else 0)
        for name in SEVEN_EMOTIONS
        for at in (0.0, 0.5)
    ]
    return Clear(
        rows, tuple(ClarityThreshold(name, 0.6, "given", 0) for name in SEVEN_EMOTIONS),
        tuple(yields), (Suspect(take, "S", "happy", "sad", 3, None, 4, 3, 0.75, 0.8, 0.1),),
        np.array(names), np.array(frames), np.array(emotions), np.array(clarity),
        np.array(verdicts),
    )  # fmt: skip


def test_sheets_show_every_take_before_a_second_frame_of_one() -> None:
    chosen = chosen_frames(made(), 2)
    assert chosen["happy", "best"] == [2, 4]  # not 2 and 1, both of take a
    assert chosen["happy", "worst"] == [1]  # the others are on the first sheet
    assert chosen["happy", "below"] == [5, 0]
    assert chosen["neutral", "best"] == [6]
    assert set(chosen) == {
        ("happy", "best"), ("happy", "worst"), ("happy", "below"), ("neutral", "best"),
    }  # fmt: skip
    assert chosen_frames(made(), 3)["happy", "best"] == [2, 4, 1]


def test_a_suspect_is_shown_evenly() -> None:
    clear = made()
    assert suspect_frames(clear, clear.suspects[0], 2) == [0, 3]
    assert suspect_frames(clear, clear.suspects[0], 9) == [0, 1, 2, 3]


def test_the_surest_suspects_are_shown_and_the_rest_counted() -> None:
    first = made().suspects[0]
    many = [replace(first, take_id=f"t{k}", share=share) for k, share in enumerate((0.5, 0.9, 0.7))]
    assert [one.take_id for one in surest(many, 2)] == ["t1", "t2"]
    clear = replace(made(), suspects=(*many, first))
    section = load(None).report.model_copy(update={"suspects": 1, "sheet": 2})
    page = clear_page(clear, {}, None, {}, section)
    assert ([one.suspect.take_id for one in page.suspects], page.n_suspects) == (["t1"], 4)


def test_panels_count_what_was_kept() -> None:
    happy = panels(made())[1]
    assert (happy.emotion, happy.n_scored, happy.n_kept) == ("happy", 6, 3)
    assert sum(happy.counts) == 6
    assert happy.kept[14] == happy.kept[16] == happy.kept[19] == 1
    assert happy.curve == ((0.0, 0.5), (0.5, 0.5))
    assert panels(made())[2].curve == ()


def test_metrics_and_plots() -> None:
    metrics = clear_metrics(made())
    assert (metrics["frames_scored"], metrics["frames_clear"]) == (8, 4)
    assert metrics["clear_per_emotion"]["happy"] == 3
    assert clarity_plot(made()).counts["happy"][19] == 1
    tables = yield_tables(made())
    assert tables["happy"].splitlines()[:2] == ["threshold,share", "0,0.5"]
    assert set(tables) == set(SEVEN_EMOTIONS)


def judged() -> Judged:
    """Take a shows happiness that rises, b shows anger, n nothing."""
    happy, angry = SEVEN_EMOTIONS.index("happy"), SEVEN_EMOTIONS.index("angry")
    return Judged(
        row=np.arange(7),
        shown=np.array([happy] * 4 + [angry] * 2 + [0]),
        intensity=np.array([0.0, 0.4, 1.0, 0.9, 0.9, 0.9, 0.0]),
        seen=np.array([0, happy, happy, happy, happy, angry, 0]),
    )


def truth() -> Truth:
    """Take b is mislabelled."""
    return Truth(
        None,  # type: ignore[arg-type]
        {
            name: TrueTake(
                "s", "angry" if name == "b" else "happy", name == "b", (), np.empty(0), 0.0, 0
            )
            for name in ("a", "b")
        },
    )


def test_purity_counts_faint_and_mislabelled_frames_against() -> None:
    found = clear_figures(made(), judged(), truth())
    happy = found["per_emotion"]["happy"]
    assert (happy["scored"], happy["truly_clear"], happy["kept"]) == (6, 2, 3)
    assert happy["purity"] == pytest.approx(1 / 3, abs=1e-4)
    assert happy["truly_clear_kept_share"] == 0.5
    assert happy["truly_clear_passing_share"] == 1.0
    assert found["purity"] == 0.5  # frame 2 and the neutral one, of four
    assert found["mislabelled"] == {"takes": 1, "found": 0, "false_alarms": 1, "missed": ["b"]}
    accuracy = found["accuracy"]["per_emotion"]
    assert accuracy["happy"]["truly_clear"] == 1.0
    assert accuracy["happy"]["by_intensity"] == [0.0, 1.0, None, 1.0]
    assert accuracy["angry"]["truly_clear"] == 0.5
    assert frame_truth(judged())[4] == ("angry", 0.9)


def test_hostile_names_stay_text() -> None:
    section = load(None).report.model_copy(update={"sheet": 2})
    pages = []
    for name in (EVIL, "plain"):
        clear = made(name)
        drawn = {
            unit: {"image": "data:,", "size_px": 32}
            for unit in ("happy-best", "happy-worst", f"suspect-{name}")
        }
        page = clear_page(clear, drawn, None, {}, section)
        pages.append(Tags(with_clear(content(name), page)))
    assert [tag for tag, _ in pages[0].found] == [tag for tag, _ in pages[1].found]
    assert sum(attrs.get("class") == "sheet" for _, attrs in pages[0].found) == 3


def test_clear_frames_of_other_columns_are_refused(tmp_path: Path) -> None:
    run = Run("made", load(None), tmp_path)
    take = FilteredTake(
        "a", "S1", "happy", "train", 0, 0, 0, 0, 0, 0, None, "0" * 64, "0" * 64
    )  # fmt: skip
    write_rows(run.table("filter", "filtered_takes"), [take], FilteredTake)
    for name, kind in (
        ("thresholds", ClarityThreshold), ("yields", YieldPoint), ("suspects", Suspect),
    ):  # fmt: skip
        write_rows(run.table("filter", name), [], kind)
    path = run.items("filter").path("S1", CLEAR)
    write_table(path, CLEAR_SCHEMA.empty_table())
    assert len(gather_clear(run).frame) == 0
    write_table(path, CLEAR_SCHEMA.empty_table().drop_columns(["clarity"]))
    with pytest.raises(TableError, match="not those of this version"):
        gather_clear(run)
