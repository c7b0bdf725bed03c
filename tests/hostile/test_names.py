"""Names and tables from strangers: files called anything, manifests that mean harm, pages."""

from __future__ import annotations

import csv
import io
import os
import unicodedata
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline import corpora, media
from pipeline.corpora.naming import safe_id
from pipeline.errors import PipelineError, Reject
from pipeline.records import Rejected, Sentence
from pipeline.runtime.run import Run
from pipeline.runtime.store import write_json
from pipeline.runtime.tables import read_rows, write_rows
from pipeline.stages.filter import stage as filter_stage
from pipeline.stages.pose import stage as pose
from pipeline.stages.report import stage as report
from spfem_data.protocols import COLUMNS, Trial, to_csv
from tests.builders import isolated_cases
from tests.builders.browser import CHROMIUM, browser
from tests.builders.dataset import make_inputs
from tests.builders.dataset import make_run as made_run
from tests.builders.manifests import row, written
from tests.builders.media_files import tone, write_media
from tests.builders.plain_user import as_plain_user
from tests.builders.report_run import REASONS, with_params
from tests.builders.scores import write_scores
from tests.builders.takes import make_run, run

PAYLOADS = (
    "<script>window.PWNED=1</script>",
    '"><img src=x onerror="window.PWNED=1">',
    "</script><script>window.PWNED=1</script>",
    "' onmouseover='window.PWNED=1' autofocus onfocus='window.PWNED=1",
    "{{ 7*7 }}{% for x in y %}",
    "javascript:window.PWNED=1",
    "</style><svg onload=window.PWNED=1>",
    "\u2028window.PWNED=1//",
    "<!--<script>-->",
)
FORMULAS = ("=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(1)", "\t=1", "\r=1", '=HYPERLINK("x")')
ODD_NAMES = (
    "plain.wav", "with blank.wav", "it's.wav", 'say "a".wav', "-rf.wav", "--help.wav",
    "$(touch x).wav",
    "`id`.wav", "a;b.wav", "a|b.wav", "a&b.wav", "per%20cent.wav", "line\nend.wav", "\x1b[2J.wav",
    "tab\there.wav", "[bold].wav", "<b>.wav", "=1+1.wav", "back\\slash.wav", "concat:a|b.wav",
    "file:x.wav", "http:x.wav", "pipe:0.wav", "CON.wav", "nul.wav", "ünï.wav", "日本語.wav",
    "🎬.wav", "\u202egpj.wav", "dot..dot.wav", "UPPER.wav", "n" * 251 + ".wav",
)  # fmt: skip


@pytest.mark.slow
def test_files_called_anything_are_taken_under_safe_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    write_media(root / "base.wav", audio=tone(0.5), audio_codec="pcm_s16le")
    for name in ODD_NAMES:
        os.link(root / "base.wav", root / name)
    before = isolated_cases.hashes(root)
    rows = [row(name, f"s{k}", name) for k, name in enumerate(ODD_NAMES)]
    made = make_run(written(root / "takes.csv", rows), tmp_path / "data")
    monkeypatch.chdir(root)  # where a relative path may look like a URL
    made = replace(made, data=tmp_path / "data")
    summary, clips, rejects = run(made)
    assert (summary.planned, summary.kept, rejects) == (len(ODD_NAMES), len(ODD_NAMES), [])
    assert len({clip.take_id.casefold() for clip in clips}) == len(ODD_NAMES)
    for path in (tmp_path / "data").rglob("*"):
        assert path.name.isascii()
        assert path.name.isprintable()
        assert len(path.name) < 256
    assert {k: v for k, v in isolated_cases.hashes(root).items() if k != "takes.csv"} == before


def test_a_relative_path_that_looks_like_a_protocol_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_media(tmp_path / "base.wav", audio=tone(0.5), audio_codec="pcm_s16le")
    monkeypatch.chdir(tmp_path)
    for name in ("concat:a|b.wav", "pipe:0", "subfile,,start,0,end,9,,:base.wav", "-", "http:x"):
        os.rename("base.wav", name)
        audio = media.decode_audio(name, 16000, 10.0)
        assert audio is not None
        assert audio.end_s == pytest.approx(0.5, abs=0.01)
        os.rename(name, "base.wav")
        with pytest.raises(Reject, match="unreadable"):
            media.decode_audio(name, 16000, 10.0)


def test_both_normal_forms_are_one_name(tmp_path: Path) -> None:
    write_media(tmp_path / "base.wav", audio=tone(0.5), audio_codec="pcm_s16le")
    forms = [unicodedata.normalize(form, "Zoë é.wav") for form in ("NFC", "NFD")]
    assert forms[0] != forms[1]
    for name in forms:
        os.link(tmp_path / "base.wav", tmp_path / name)
    rows = [row(forms[0], forms[0]), row(forms[1], forms[1])]
    made = make_run(written(tmp_path / "takes.csv", rows), tmp_path / "data")
    listing = corpora.list_takes("made", made.entry, Path(made.entry.root))
    assert len(listing.takes) == 1
    assert [(r.item, r.reason) for r in listing.rejected] == [("row 3", "duplicate_take")]
    assert safe_id(forms[0]) == safe_id(forms[1])


def test_paths_out_of_the_manifests_folder_are_refused(tmp_path: Path) -> None:
    outside, root = tmp_path / "outside", tmp_path / "root"
    outside.mkdir()
    (root / "in").mkdir(parents=True)
    write_media(outside / "secret.wav", audio=tone(0.5), audio_codec="pcm_s16le")
    os.link(outside / "secret.wav", root / "in" / "good.wav")
    (root / "file_link.wav").symlink_to(outside / "secret.wav")
    (root / "folder_link").symlink_to(outside)
    (root / "inner_link.wav").symlink_to("in/good.wav")
    (root / "loop").symlink_to("loop")
    (root / "root2").symlink_to(tmp_path / "root_and_more")
    (tmp_path / "root_and_more").mkdir()
    os.link(outside / "secret.wav", tmp_path / "root_and_more" / "a.wav")
    paths = {
        str(outside / "secret.wav"): "outside_root",
        "../outside/secret.wav": "outside_root",
        "in/../../outside/secret.wav": "outside_root",
        "file_link.wav": "outside_root",
        "folder_link/secret.wav": "outside_root",
        "root2/a.wav": "outside_root",
        "C:\\secret.wav": "outside_root",
        "\\\\host\\share\\secret.wav": "outside_root",
        "loop": "missing_file",
        "loop/x.wav": "missing_file",
        "in": "unreadable",
        "/dev/zero": "outside_root",
        "a\0b.wav": "bad_row",
        "x" * 300: "missing_file",
        "x/" * 3000: "missing_file",
    }
    rows = [row(path, f"s{k}") for k, path in enumerate(paths)]
    rows += [row("in/good.wav", "good"), row("inner_link.wav", "inner")]
    made = make_run(written(root / "takes.csv", rows), tmp_path / "data")
    listing = corpora.list_takes("made", made.entry, Path(made.entry.root))
    assert sorted(take.speaker for take in listing.takes) == ["good", "inner"]
    found = {r.item: r.reason for r in listing.rejected}
    assert found == {f"row {k + 2}": reason for k, reason in enumerate(paths.values())}


def test_formulas_and_markup_in_a_manifest_stay_text(tmp_path: Path) -> None:
    write_media(tmp_path / "a.wav", audio=tone(0.5), audio_codec="pcm_s16le")
    texts = (*FORMULAS, *PAYLOADS)
    rows = []
    for k, text in enumerate(texts):
        os.link(tmp_path / "a.wav", tmp_path / f"{k}.wav")
        rows.append(row(f"{k}.wav", f"{text} {k}", text))
    made = make_run(written(tmp_path / "takes.csv", rows), tmp_path / "data")
    listing = corpora.list_takes("made", made.entry, Path(made.entry.root))
    assert len(listing.takes) == len(texts)
    for take in listing.takes:
        for name in (take.speaker, take.take_id, take.utterance_id):
            assert name[0].isalnum()
            assert not set(name) & set("<>\"'=|;&\n\r\t\\/ ")


def test_no_cell_of_a_csv_that_is_written_begins_a_formula() -> None:
    texts = (*FORMULAS, *PAYLOADS)
    base: dict[str, Any] = dict.fromkeys(COLUMNS, "x")
    trials = []
    for text in texts:
        values = {**base, **{name: safe_id(text) for name in COLUMNS}}
        values |= {"first_frame": 0, "last_frame": 1}
        trials.append(_trial(values))
    cells = [cell for line in csv.reader(io.StringIO(to_csv(trials).decode())) for cell in line]
    assert len(cells) == (1 + len(texts)) * len(COLUMNS)
    assert not [cell for cell in cells if cell[:1] in tuple("=+-@\t\r")]


def _trial(values: dict[str, Any]) -> Trial:
    import dataclasses

    kinds = {field.name: str(field.type) for field in dataclasses.fields(Trial)}
    return Trial(**{
        name: (0 if kinds[name].startswith("int") and value == safe_id(str(value)) else value)
        for name, value in values.items()
    })  # fmt: skip


def test_a_tree_with_loops_pipes_and_odd_folders_is_listed(tmp_path: Path) -> None:
    root = tmp_path / "MEAD"
    good = root / "M003/video/front/angry/level_3"
    good.mkdir(parents=True)
    (good / "001.mp4").write_bytes(b"x")
    for name in ("line\nend", "\x1b[2J", "-rf", "<b>", "=1", "ü", "x" * 255, " "):
        folder = root / name
        folder.mkdir()
        (folder / "001.mp4").write_bytes(b"x")
    (root / "self").symlink_to("self")
    (good / "up").symlink_to(root)
    os.mkfifo(good / "002.mp4")
    (good / "003.mp4").symlink_to("/dev/zero")
    entry = make_run(root, tmp_path / "data", corpus="mead").entry
    listing = corpora.list_takes("made", entry, root)
    assert [take.take for take in listing.takes] == ["001"]
    assert [r.reason for r in listing.rejected] == ["unreadable", "unreadable"]
    for table in corpora.inventory(listing).tables():
        for line in table[2]:
            assert all(cell.isprintable() for cell in line), line


def test_a_message_is_one_line_whatever_the_name(tmp_path: Path) -> None:
    entry = make_run(tmp_path / "a\nb\x1b[31m", tmp_path / "data", corpus="mead").entry
    with pytest.raises(PipelineError, match=r"a b\\x1b\[31m") as found:
        corpora.list_takes("made", entry, Path(entry.root))
    assert str(found.value).isprintable()


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A report whose every free text is a payload."""
    made = with_params(made_run(tmp_path / "data"), "custom", tmp_path)
    make_inputs(made)
    pose.run(made)
    write_scores(made)
    filter_stage.run(made)
    _poison(made)
    report.run(made)
    return made.folder("report") / "report.html"


def _poison(made: Run) -> None:
    path = made.table("align", "sentences")
    sentences = read_rows(path, Sentence)
    everything = " ".join(PAYLOADS)
    write_rows(path, [replace(s, sentence=everything) for s in sentences], Sentence)
    rows = [
        Rejected(stage, grain, f"{text} {k}", reason, kind, text)
        for stage, grain, reason, kind in (
            ("extract", "take", "unreadable", "failed"),
            ("align", "clip pair", "no_partner", "filtered"),
        )
        for k, text in enumerate(PAYLOADS)
    ]
    for stage in ("extract", "align"):
        write_rows(made.table(stage, "rejected"), [r for r in rows if r.stage == stage], Rejected)
    for stage in REASONS:
        reasons = {r.reason: len(PAYLOADS) for r in rows if r.stage == stage}
        summary = {
            "stage": stage, "dataset": "made", "grain": "take", "kept": 6, "look": [everything],
            "planned": 6 + sum(reasons.values()), "reasons": reasons, "notes": list(PAYLOADS),
        }  # fmt: skip
        write_json(made.folder(stage) / "tables" / "summary.json", summary)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_no_script_of_a_stranger_runs_in_the_report(page: Path, tmp_path: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "&lt;script&gt;window.PWNED=1" in text
    live = tmp_path / "live.html"  # that these would run where nothing escapes them
    live.write_text(f"<meta charset=utf-8><body>{' '.join(PAYLOADS[:3])}", encoding="utf-8")
    with browser(tmp_path / "browser") as tab:
        tab.open(live)
        assert tab.run("window.PWNED") == 1
        tab.complaints.clear()
        tab.requests.clear()
        tab.open(page)
        tab.run("new Promise(r => setTimeout(r, 500))")
        assert tab.run("window.PWNED === undefined") is True
        odd = (
            "document.querySelectorAll('img[src=x], svg[onload], [onmouseover], [onerror]').length"
        )
        assert tab.run(odd) == 0
        assert tab.complaints == []
        assert tab.requests == [page.resolve().as_uri()]


_READ_ONLY = """
import sys
from pathlib import Path
from pipeline import corpora
from pipeline.errors import PipelineError
from tests.builders import isolated_cases
from tests.builders.manifests import row, written
from tests.builders.media_files import tone, write_media
from tests.builders.takes import make_run, run

folder = Path(sys.argv[1])
root = folder / "root"
(root / "shut").mkdir(parents=True)
for name in ("a.wav", "b.wav", "shut/c.wav"):
    write_media(root / name, audio=tone(0.5), audio_codec="pcm_s16le")
rows = [row(name, f"s{k}", name) for k, name in enumerate(("a.wav", "b.wav", "shut/c.wav"))]
written(root / "takes.csv", rows)
mead = folder / "MEAD/M003/video/front/angry/level_3"
mead.mkdir(parents=True)
(mead / "001.mp4").write_bytes(b"x")
before = isolated_cases.hashes(root)
(root / "b.wav").chmod(0)
for place in (root / "shut", mead):
    place.chmod(0)
root.chmod(0o555)
made = make_run(root / "takes.csv", folder / "data")
summary, clips, rejects = run(made)
print(summary.planned, [clip.speaker for clip in clips])
print(sorted((r.item.partition(":")[0][:6], r.reason) for r in rejects))
entry = make_run(folder / "MEAD", folder / "data", corpus="mead").entry
print([r.reason for r in corpora.list_takes("made", entry, Path(entry.root)).rejected])
shut = folder / "nowhere"
shut.mkdir()
shut.chmod(0o555)
try:
    run(make_run(root / "takes.csv", shut / "data"))
except PipelineError as error:
    print(str(error).replace(str(folder), "F"))
for place in (root, root / "shut", mead, root / "b.wav"):
    place.chmod(0o755)
assert isolated_cases.hashes(root) == before
"""


@pytest.mark.slow
def test_folders_that_may_not_be_written_or_read(tmp_path: Path) -> None:
    done = as_plain_user(_READ_ONLY, tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "3 ['s0']",
        "[('row 4', 'missing_file'), ('s1_neu', 'unreadable')]",
        "['unreadable']",
        "cannot write F/nowhere/data/made/.local/hashes.json: Permission denied; finished items "
        "are kept: fix the cause, then run the same command again",
    ]
