"""How brows and jaw move the landmark model's points: writes `pipeline/faces/expression.json`.

    python benchmarks/pose_directions.py [--out FILE]

Heads are drawn with shapes between the demo's cast and looks put together from it, none of the cast
itself, at 256 px. For each movement at full strength: where the mesh is when the face shows it,
less where it is when calm, both seen from the true head; the mean over identities and motions, over
the eyes' distance and level with them. `rest` is where the points lie when calm.
"""

import argparse
import dataclasses
import json
from pathlib import Path

import cv2
import numpy as np

from benchmarks.pose_accuracy import SIZE_PX, Tracked, expressions, placed, view
from pipeline.demo_corpus.geometry import FaceShape
from pipeline.demo_corpus.head import Expression, Head
from pipeline.demo_corpus.head_pose import Pose
from pipeline.demo_corpus.speakers import CAST, Person
from pipeline.faces.affine import F64, apply, fit
from pipeline.faces.expression import MOVEMENTS, WITNESSED
from pipeline.faces.mesh import MeshTracker

IDENTITIES = 14
MOTIONS = 3


def main() -> None:
    """Draw, track, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("pipeline/faces/expression.json"))
    out = parser.parse_args().out
    tracker = MeshTracker()
    rest, moved = [], {name: [] for name in MOVEMENTS}
    for seed in range(IDENTITIES):
        person = drawn_lot(seed)
        calm, shown = meshes(person, seed, tracker)
        to_head = level(calm)
        rest.append(apply(to_head, calm))
        for name, mesh in shown.items():
            moved[name].append(apply(to_head, mesh) - apply(to_head, calm))
    asset = {"rest": _listed(rest)} | {name: _listed(found) for name, found in moved.items()}
    out.write_text(json.dumps(asset, indent=0) + "\n", encoding="utf-8")
    print(f"{IDENTITIES} identities: {out}")


def drawn_lot(seed: int) -> Person:
    """Somebody between the demo's people: a shape by lot, hair, paint and light of any of them."""
    cast = list(CAST.values())
    rng = np.random.default_rng(1000 + seed)
    shape = {}
    for field in dataclasses.fields(FaceShape):
        values = [getattr(person.shape, field.name) for person in cast]
        shape[field.name] = float(rng.uniform(min(values), max(values)))
    a, b, c = (cast[k] for k in rng.integers(0, len(cast), 3))
    return Person(
        f"X{seed}", 100 + seed, FaceShape(**shape), a.hair, b.paint, c.voice, a.neck_width,
        a.shoulder_width, float(rng.uniform(-0.5, 0.5)), c.light_colour,
        float(rng.uniform(0.6, 1.5)),
    )  # fmt: skip


def meshes(person: Person, seed: int, tracker: MeshTracker) -> tuple[F64, dict[str, F64]]:
    """The calm mesh and that of each movement (468, 2), as the same unmoved head shows them."""
    head, known = Head(person, SIZE_PX), expressions()
    rng = np.random.default_rng(seed)
    low, high = np.array([(-12, 12), (0.9, 1.1), (-12, 12), (-12, 12)]).T
    poses = [placed(), *(placed(*rng.uniform(low, high)) for _ in range(MOTIONS - 1))]
    home = view(person, known["nothing"], poses[0]).neutral

    def mean(name: str) -> F64:
        found = [look(person, head, known[name], pose, k, tracker) for k, pose in enumerate(poses)]
        back = [fit("similarity", seen.view.neutral[None], home[None])[0] for seen in found]
        laid = [apply(to, seen.mesh) for to, seen in zip(back, found, strict=True)]
        return np.asarray(np.mean(laid, axis=0))

    return mean("nothing"), {name: mean(name) for name in MOVEMENTS}


def look(
    person: Person, head: Head, what: Expression, pose: Pose, frame: int, tracker: MeshTracker
) -> Tracked:
    """One image drawn and tracked."""
    tracker.restart()
    mesh = tracker.track(cv2.cvtColor(head.draw(what, pose, frame).image, cv2.COLOR_BGR2RGB))
    assert mesh is not None
    return Tracked(view(person, what, pose), mesh[:468, :2], np.eye(2, 3))


def level(mesh: F64) -> F64:
    """The similarity that makes the outer eye corners level and one apart, their middle 0."""
    ends = np.array([[-0.5, 0.0], [0.5, 0.0]])
    across = mesh[263] - mesh[33]
    scale = 1 / np.linalg.norm(across)
    x, y = across * scale
    linear = scale * np.array([[x, y], [-y, x]])
    shift = ends.mean(axis=0) - linear @ (mesh[33] + mesh[263]) / 2
    return np.concatenate([linear, shift[:, None]], axis=1)


def _listed(found: list[F64]) -> dict[str, list[float]]:
    mean = np.mean(found, axis=0)
    return {str(i): [round(float(v), 4) for v in mean[i]] for i in WITNESSED}


if __name__ == "__main__":
    main()
