"""plan on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.builders.media_files import plain, tone, write_media
from tests.builders.takes import manifest


def _params(repository: Path, folder: Path) -> Path:
    """Parameters for a corpus of three takes."""
    for name in ("a", "b", "c"):
        write_media(folder / f"{name}.mp4", plain(25), audio=tone(1.0))
    yaml = YAML()
    values = yaml.load((repository / "params.yaml").read_text(encoding="utf-8"))
    select: dict[str, list[str]] = {n: [] for n in ("speakers", "emotions", "levels", "views")}
    root = str(manifest(folder, "a.mp4", "b.mp4", "c.mp4"))
    values["datasets"] = {
        "made": {"corpus": "custom", "root": root, "select": select, "split": "by_speaker"}
    }
    path = folder / "params.yaml"
    with path.open("w", encoding="utf-8") as stream:
        yaml.dump(values, stream)
    return path


def test_a_plan_of_one_stage(call: Any, repository: Path, tmp_path: Path) -> None:
    given = ("-d", "made", "--params", _params(repository, tmp_path))
    code, out, err = call("plan", "extract", *given)
    assert (code, err) == (0, "")
    row = next(line for line in out.splitlines() if line.split()[:1] == ["extract"])
    assert row.split()[1:4] == ["3", "0", "0"]
    assert row.endswith("new 3")
    assert "rates defaults: extract" in out
    assert "align" not in out


def test_a_plan_for_machines(call: Any, repository: Path, tmp_path: Path) -> None:
    given = ("-d", "made", "--params", _params(repository, tmp_path), "--json")
    code, out, _ = call("plan", "pose", *given)
    assert code == 0
    plan = json.loads(out)
    assert list(plan["stages"]) == ["demo", "extract", "sync", "align", "pose"]
    assert set(plan["stages"]["extract"]["run"].values()) == {"new"}
    assert plan["stages"]["align"]["depends_on"] == "extract"
    assert plan["stages"]["align"]["at_most"] == 1
    seconds = plan["totals"]["seconds"]
    assert 0 < seconds["at_least"] < seconds["at_most"]
    assert not (tmp_path / "data").exists()


def test_a_stage_that_is_none(call: Any) -> None:
    code, _, err = call("plan", "extrct")
    assert code in (1, 2)
    assert "plan extrct: not a stage; the stages are: demo, extract" in err


def test_a_plan_names_what_the_inventory_skipped(
    call: Any, repository: Path, tmp_path: Path
) -> None:
    path = _params(repository, tmp_path)
    folder = tmp_path / "MEAD" / "M003"
    video = folder / "video/front/angry/level_3/001.mp4"
    video.parent.mkdir(parents=True)
    video.write_bytes(b"not read for a plan")
    (folder / "audio.tar.gz").write_bytes(b"compressed")
    yaml = YAML()
    values = yaml.load(path.read_text(encoding="utf-8"))
    values["datasets"]["made"] |= {"corpus": "mead", "root": str(folder.parent)}
    with path.open("w", encoding="utf-8") as stream:
        yaml.dump(values, stream)
    code, out, _ = call("plan", "extract", "-d", "made", "--params", path)
    assert code == 0
    kind = "compressed archives or parts of archives; unpack or join them"
    note = f"1 skipped, {kind}: M003/audio.tar.gz"
    assert note in " ".join(out.split())
    value = json.loads(call("plan", "extract", "-d", "made", "--params", path, "--json")[1])
    assert value["stages"]["extract"]["notes"] == [note]
