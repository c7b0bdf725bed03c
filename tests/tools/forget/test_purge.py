"""A person is gone from every file, others' bytes are what they would be without them."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.corpora import list_takes
from pipeline.params import Dataset
from pipeline.records import Clip, Pair, ScoredTake, Sentence
from pipeline.runtime.run import Run
from pipeline.runtime.store import write_json
from pipeline.runtime.tables import read_rows, write_rows
from pipeline.stages import STAGES
from pipeline.stages.filter import stage as filter_stage
from pipeline.stages.pose import stage as pose
from pipeline.stages.shards import stage as shards
from pipeline.tools.forget.purge import condemned, drop_links, left, purge, speakers_of, theirs
from pipeline.tools.forget.search import Person
from tests.builders.dataset import make_inputs, make_run
from tests.builders.digests import digests
from tests.builders.families import write_families
from tests.builders.scores import write_scores
from tests.builders.small_run import run_command, write_params

WAY = STAGES[1:]
S1 = Person("S1")


def _through(run: Run) -> None:
    for stage in (pose, filter_stage, shards):
        stage.run(run)


def _keep(run: Run, speaker: str) -> None:
    """What extract, align and score would leave of a corpus that has this speaker alone."""
    for stage, name, kind in (
        ("extract", "clips", Clip), ("align", "pairs", Pair), ("align", "sentences", Sentence),
        ("score", "scores", ScoredTake),
    ):  # fmt: skip
        path = run.table(stage, name)
        rows = [row for row in read_rows(path, kind) if row.speaker == speaker]
        write_rows(path, rows, kind)


@pytest.fixture
def made(tmp_path: Path) -> Run:
    run = make_run(tmp_path / "data")
    make_inputs(run)
    write_scores(run)
    _through(run)
    write_json(run.local("hashes.json"), {"/disk/S1/a.mp4:0:None": [1, 2, 3, "x"]})
    return run


@pytest.mark.slow
def test_who_is_known(made: Run) -> None:
    assert speakers_of(made, WAY) == {"S1", "S2"}


@pytest.mark.slow
def test_nothing_of_the_person_is_left_and_others_are_whole(made: Run, tmp_path: Path) -> None:
    tables = tmp_path / "tables"
    for stage in ("extract", "align", "score"):
        shutil.copytree(made.folder(stage) / "tables", tables / stage)
    assert len(left(made, S1, set(), [])) > 20
    removed = purge(made, S1, WAY)
    assert left(made, S1, removed.media, []) == []
    assert len(removed.media) > 3 * 14  # three takes' crops and recordings, and shards' images
    assert removed.files["extract"] == 3 * 2 + 1
    assert removed.n_bytes > 100_000
    for stage in ("extract", "align", "score"):
        shutil.copytree(tables / stage, made.folder(stage) / "tables", dirs_exist_ok=True)
    _keep(made, "S2")
    _through(made)
    assert left(made, S1, removed.media, []) == []

    fresh = make_run(tmp_path / "fresh")
    make_inputs(fresh)
    write_scores(fresh)
    _keep(fresh, "S2")
    for stage in ("extract", "score"):
        shutil.rmtree(fresh.items(stage).folder / "S1")
    _through(fresh)
    assert digests(made.data) == digests(fresh.data)


@pytest.mark.slow
def test_a_image_without_a_name_is_found(made: Run, tmp_path: Path) -> None:
    removed = purge(made, S1, WAY)
    other = make_run(tmp_path / "other")
    make_inputs(other)
    frames = other.items("extract").path("S1/S1_happy", ".frames.parquet")
    hidden = made.folder("report") / "sheet.jpg"
    hidden.parent.mkdir(parents=True, exist_ok=True)
    hidden.write_bytes(pq.read_table(frames)["crop"][3].as_py())
    assert left(made, S1, removed.media, []) == [hidden]


@pytest.mark.slow
def test_what_was_fitted_with_the_person_goes_as_a_whole(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    make_inputs(run)
    write_families(run)
    found = theirs(run, S1, WAY)
    assert found["synth"] == {p for p in run.folder("synth").rglob("*") if p.is_file()}
    assert found["directions"] == {p for p in run.folder("directions").rglob("*") if p.is_file()}


def test_a_listing_without_the_person_is_that_of_a_corpus_without_them(tmp_path: Path) -> None:
    select = {"speakers": [], "emotions": [], "levels": [], "views": []}
    listings = []
    for root, forgotten in ((tmp_path / "all", ["m003"]), (tmp_path / "one", [])):
        for actor in ("M003", "W009") if forgotten else ("W009",):
            for path in ("video/front/happy/level_1/001.mp4", "odd/thing.mp4"):
                (root / actor / path).parent.mkdir(parents=True)
                (root / actor / path).write_bytes(b"x")
        entry = Dataset.model_validate(
            {"corpus": "mead", "root": str(root), "select": select, "split": "by_speaker"}
        )
        listings.append(list_takes("mead", entry, root, forgotten))
    assert listings[0] == listings[1]
    assert {take.speaker for take in listings[0].takes} == {"W009"}


@pytest.mark.slow
def test_the_cache_loses_what_names_or_shows_the_person(made: Run, tmp_path: Path) -> None:
    cache = tmp_path / "cache" / "files" / "md5"

    def store(content: bytes, end: str = "") -> tuple[Path, str]:
        name = hashlib.md5(content, usedforsecurity=False).hexdigest()
        path = cache / name[:2] / f"{name[2:]}{end}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path, name

    table, _ = store(made.table("pose", "pose_pairs").read_bytes())
    crop = made.items("extract").path("S1/S1_happy", ".audio.flac").read_bytes()
    audio, md5 = store(crop)
    other, other_md5 = store(b"of S2")
    listed = [{"md5": md5, "relpath": "S1/a.flac"}, {"md5": other_md5, "relpath": "S2/b.flac"}]
    folder, _ = store(json.dumps(listed).encode(), ".dir")
    assert set(condemned(cache, S1, set())) == {table, audio, folder}
    assert other.is_file()


def link_shards(run: Run, cache: Path) -> list[Path]:
    """Move the shards into a cache and link them, as DVC does with `cache.type symlink`."""
    files = sorted(p for p in run.folder("shards").rglob("*") if p.is_file())
    for path in files:
        name = hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        target = cache / "files" / "md5" / name[:2] / name[2:]
        target.parent.mkdir(parents=True, exist_ok=True)
        path.rename(target)
        path.symlink_to(target)
    return files


@pytest.mark.slow
def test_outputs_that_are_links_into_the_cache_are_deleted(made: Run, tmp_path: Path) -> None:
    copied = theirs(made, S1, WAY)
    links = link_shards(made, tmp_path / "cache")
    assert theirs(made, S1, WAY) == copied
    assert len(copied["shards"]) > 5
    removed = purge(made, S1, WAY)
    assert removed.files["shards"] >= len(copied["shards"])
    assert left(made, S1, removed.media, []) == []
    objects = condemned(tmp_path / "cache", S1, removed.media)
    assert objects
    drop_links(made.data, objects)
    for path in objects:
        path.unlink()
    assert not [path for path in links if path.is_symlink() and not path.exists()]


def test_a_link_to_a_deleted_object_is_dropped(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    objects = [tmp_path / "cache" / name for name in ("gone", "kept")]
    for path in objects:
        path.write_bytes(b"x")
        (tmp_path / f"link_{path.name}").symlink_to(path)
    assert drop_links(tmp_path, objects[:1]) == 1
    assert not (tmp_path / "link_gone").is_symlink()
    assert (tmp_path / "link_kept").is_symlink()


@pytest.mark.slow
def test_reruns_report_their_time(
    made: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cli import console, forget

    shown: list[tuple[str, float]] = []
    monkeypatch.setattr(
        console, "show_summary", lambda s, seconds: shown.append((s.stage, seconds))
    )
    forget._rerun(made, ["pose"], commit=False)
    [(stage, seconds)] = shown
    assert (stage, seconds > 0) == ("pose", True)


@pytest.mark.slow
def test_the_command_says_what_it_did(made: Run, tmp_path: Path) -> None:
    root = tmp_path / "takes.csv"
    root.write_text("path,speaker,emotion,sentence\na.mp4,S1,happy,s\nb.mp4,S2,happy,s\n")
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / name).write_bytes(b"source")
    entry = made.params.datasets["made"].model_copy(update={"corpus": "custom", "root": str(root)})
    path = tmp_path / "params.yaml"
    write_params(path, made.params.model_copy(update={"datasets": {"made": entry}}))
    command = [
        sys.executable, "-m", "cli.main", "forget", "--data", str(made.data), "--params",
        str(path), "--no-rerun", "--no-lock", "--speaker",
    ]  # fmt: skip
    unknown = run_command([*command, "S3"])
    assert unknown.returncode == 1
    assert "no output or corpus of made has a speaker 'S3'" in unknown.stderr
    done = run_command([*command, "s1"])
    assert done.returncode == 0, done.stderr
    assert "deleted of S1: extract 7, align 2, pose 3" in done.stdout
    assert "no file names S1 or contains one of their" in done.stdout
    assert "not searched: source files (never touched)" in done.stdout
    assert (tmp_path / "a.mp4").read_bytes() == b"source"
    assert "S1" in path.read_text(encoding="utf-8").split("forgotten:")[1].split("score:")[0]
    again = run_command([*command, "S1"])
    assert again.returncode == 0, again.stderr
    assert "deleted of S1: nothing" in again.stdout
