"""How well one face is laid onto another, against known motion: prints every table of docs/pose.md.

    python benchmarks/pose_accuracy.py [FOLDER ...] [--params params.yaml] [--quick]

FOLDER is the output of a run (data/<dataset>). With the demo's truth beside it (corpus/truth) its
residuals are those of the true head; else those of landmarks that no method fits. Takes without
pairs are paired with themselves a second later. Heads are drawn by the demo corpus.

Places are judged on the head, not on the landmarks that were fitted: `face` is what lies within .62
eye distances of its middle line, in neutral, wherever the head has gone.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from ruamel.yaml import YAML

from pipeline.demo_corpus.action_units import UNIT_INDEX, UNITS, Muscles
from pipeline.demo_corpus.emotion_profiles import FACES
from pipeline.demo_corpus.geometry import face_points
from pipeline.demo_corpus.head import Expression, Head
from pipeline.demo_corpus.head_parts import NECK_PIVOT
from pipeline.demo_corpus.head_pose import Pose, rotation
from pipeline.demo_corpus.speakers import CAST, Person
from pipeline.demo_corpus.truth import read_frames
from pipeline.faces.affine import STABLE, apply, compose, fit, invert, residual
from pipeline.faces.expression import fit_faces, landmarks_of
from pipeline.faces.framing import crop_to_frame
from pipeline.faces.mesh import MeshTracker
from pipeline.records import Clip, Pair
from pipeline.runtime.store import ItemStore
from pipeline.runtime.tables import read_rows
from pipeline.stages.report.truth import match_times, read_truth
from pipeline.takes.frame_file import read_columns

SIZE_PX = 256
EYES_PX = SIZE_PX / 1.9 / 1.68  # a face as it fills the stored crop: 1.68 eye distances high
STILL_PX = 0.25
HELD_OUT = (4, 5, 2, 98, 327, 48, 278, 118, 347, 101, 330)
"""Nose and under the eyes: not fitted, and moved little by speech and brows.

Not the forehead (9, 151): the model moves it with the brows, on drawn heads by 5 to 7 hundredths of
the eyes' distance, so it would blame a map for what the mesh does.
"""
MOVED = {
    "nothing": {}, "jaw open": {"jaw": 1.0}, "brows raised": {"1": 1.0, "2": 1.0},
    "brows drawn": {"4": 1.0}, "eyes shut": {"43": 1.0},
}  # fmt: skip


class Way(NamedTuple):
    """A way to fit: method, landmark set, shear prior, what becomes of the expression."""

    method: str
    landmarks: str
    prior: float
    expression: str = "ignore"

    def __str__(self) -> str:
        prior = "" if self.method == "similarity" else f", prior {self.prior:g}"
        return f"{self.method}, {self.landmarks}{prior}, {self.expression}"

    def fit(
        self,
        b: np.ndarray,
        a: np.ndarray,
        times_s: np.ndarray | None = None,
        smooth_s: float = 0.0,
    ) -> np.ndarray:
        """(n, 2, 3) from meshes (n, >= 468, 2)."""
        landmarks = landmarks_of(self.landmarks, self.expression)
        points = (mesh[:, list(landmarks.indices)] for mesh in (b, a))
        return fit_faces(self.method, *points, landmarks, times_s, smooth_s, self.prior)


@dataclass(frozen=True)
class View:
    """One image's truth: the face as drawn (468, 2), and the neutral head in its place."""

    drawn: np.ndarray
    neutral: np.ndarray


def main() -> None:
    """Print every table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--params", type=Path, default=Path("params.yaml"))
    parser.add_argument("--quick", action="store_true", help="draw and track nothing")
    options = parser.parse_args()
    prior = YAML(typ="safe").load(options.params)["pose"]["shear_prior"]
    ways = [
        Way("affine", "stable", prior, "solve"),
        Way("affine", "stable", prior),
        Way("affine", "stable", 0.0),
        Way("affine_robust", "stable", prior, "solve"),
        Way("similarity", "stable", prior, "solve"),
        Way("affine", "all", prior),
    ]
    print_exact(ways)
    print_turned(ways)
    if not options.quick:
        print_tracked(ways)
    for folder in options.folders:
        print_run(folder, ways)


# --- the head and what it does ---------------------------------------------------------------


def expression(jaw: float = 0.0, **units: float) -> Expression:
    """A face that does this on both sides."""
    strengths = np.zeros((2, len(UNITS)))
    for name, strength in units.items():
        strengths[:, UNIT_INDEX[name]] = strength
    return Expression(strengths, jaw, (0.0, 0.0))


def expressions() -> dict[str, Expression]:
    """Single movements at full strength, and the six emotions at their apex."""
    acted = {name: {**face.units, "jaw": face.jaw} for name, face in FACES.items()}
    return {name: expression(**units) for name, units in (MOVED | acted).items()}


def placed(
    roll_deg: float = 0.0, scale: float = 1.0, x_px: float = 0.0, y_px: float = 0.0,
    yaw_deg: float = 0.0, pitch_deg: float = 0.0,
) -> Pose:  # fmt: skip
    """A pose whose point between the eyes lies near the middle of the image."""
    pivot = rotation(yaw_deg, pitch_deg, roll_deg) @ NECK_PIVOT * EYES_PX * scale
    x, y = SIZE_PX / 2 + x_px + pivot[0], 0.42 * SIZE_PX + y_px - pivot[1]
    return Pose(yaw_deg, pitch_deg, roll_deg, EYES_PX * scale, x, y)


def motions() -> list[Pose]:
    """Rolls within 12 degrees, sizes within a tenth, shifts within 12 px."""
    rng = np.random.default_rng(3)
    low, high = np.array([(-12, 12), (0.9, 1.1), (-12, 12), (-12, 12)]).T
    return [placed(*rng.uniform(low, high)) for _ in range(8)]


def seen(points: np.ndarray, pose: Pose) -> np.ndarray:
    """Head points (468, 3) in the image (468, 2)."""
    return pose.to_screen(points @ pose.matrix.T)[:, :2]


def view(person: Person, what: Expression, pose: Pose) -> View:
    """The exact truth of one image."""
    rest = face_points(person.shape)
    moved = Muscles(rest).deform(what.units, what.jaw, what.press)
    return View(seen(moved, pose), seen(rest, pose))


def of_face(person: Person) -> list[int]:
    """The points by which places are judged."""
    return [i for i, x in enumerate(face_points(person.shape)[:, 0]) if abs(x) < 0.62]


# --- errors ----------------------------------------------------------------------------------


def errors(found: np.ndarray, b: View, a: View, face: list[int]) -> np.ndarray:
    """Of one matrix: rotation in degrees, scale and uneven stretch in %, shift in px at `face`."""
    true = fit("similarity", b.neutral[None], a.neutral[None])[0]
    left = compose(found, invert(true))
    wide = np.linalg.svd(left[:, :2], compute_uv=False)
    middle = a.neutral[face].mean(axis=0)
    turn = np.rad2deg(np.arctan2(left[1, 0] - left[0, 1], left[0, 0] + left[1, 1]))
    shift = np.linalg.norm(apply(left, middle[None])[0] - middle)
    return np.array(
        [abs(turn), 100 * abs(np.sqrt(wide.prod()) - 1), 100 * (wide[0] / wide[1] - 1), shift]
    )


def line(name: str, rows: list[np.ndarray]) -> None:
    """Median and 95th percentile of each column."""
    middle, high = np.quantile(np.array(rows), [0.5, 0.95], axis=0)
    cells = "  ".join(f"{m:6.3f} {h:6.3f}" for m, h in zip(middle, high, strict=True))
    print(f"{name:34s}{len(rows):5d}  {cells}")


def header(title: str, columns: str) -> None:
    """A table's name and columns."""
    print(f"\n## {title}\n{columns}")


COLUMNS = f"{'':34s}    n  rotation/deg   scale/%        uneven/%       shift/px   (median, p95)"


def print_exact(ways: list[Way]) -> None:
    """(a) Exact landmarks, in-plane motion, every expression."""
    for way in ways:
        header(f"Exact landmarks: {way}", COLUMNS)
        for name, what in expressions().items():
            rows = []
            for person in CAST.values():
                b = view(person, what, placed())
                for pose in motions():
                    a = view(person, expression(), pose)
                    matrix = way.fit(b.drawn[None], a.drawn[None])[0]
                    rows.append(errors(matrix, b, a, of_face(person)))
            line(name, rows)


def print_turned(ways: list[Way]) -> None:
    """(c) Exact landmarks, one head turned against the other: what is left over the face."""
    header("Turned heads, exact landmarks: residual over the face, of the eyes' distance", "")
    turns = [(0, 0), (5, 0), (10, 0), (20, 0), (0, 5), (0, 10), (0, 20), (10, 10)]
    print(f"{'yaw, pitch difference':34s}" + "".join(f"{t!s:>9s}" for t in turns))
    best = [Way("affine", "face", 0.0), *ways]
    for way in best:
        cells = []
        for yaw_deg, pitch_deg in turns:
            left = []
            for person in CAST.values():
                b = view(person, expression(), placed(yaw_deg=-yaw_deg / 2, pitch_deg=pitch_deg))
                a = view(person, expression(), placed(yaw_deg=yaw_deg / 2))
                face = of_face(person)
                if way.landmarks == "face":
                    matrix = fit("affine", b.neutral[None, face], a.neutral[None, face])
                else:
                    matrix = way.fit(b.drawn[None], a.drawn[None])
                left.append(residual(matrix, b.neutral[None, face], a.neutral[None, face])[0])
            cells.append(np.mean(left) / EYES_PX)
        name = "the best affine there is" if way.landmarks == "face" else str(way)
        print(f"{name:34s}" + "".join(f"{c:9.4f}" for c in cells))


# --- through the landmark model --------------------------------------------------------------


class Tracked(NamedTuple):
    """A image drawn and tracked: its truth, the mesh found, and where the mesh lies (2, 3)."""

    view: View
    mesh: np.ndarray
    bias: np.ndarray


def print_tracked(ways: list[Way]) -> None:
    """(b) Drawn, tracked as extract does, fitted."""
    tracker = MeshTracker()
    groups: dict[str, list[tuple[Tracked, Tracked, list[int]]]] = {}
    for person in CAST.values():
        head, face = Head(person, SIZE_PX), of_face(person)

        def look(
            what: Expression, pose: Pose, frame: int = 0, head: Head = head, person: Person = person
        ) -> Tracked:
            tracker.restart()
            image = cv2.cvtColor(head.draw(what, pose, frame).image, cv2.COLOR_BGR2RGB)
            mesh = tracker.track(image)
            assert mesh is not None
            truth = view(person, what, pose)
            mesh = mesh[:468, :2]
            return Tracked(truth, mesh, fit("similarity", truth.drawn[None], mesh[None])[0])

        calm = look(expression(), placed())
        groups.setdefault("still, other grain", []).append(
            (look(expression(), placed(), 1), calm, face)
        )
        for k, pose in enumerate(motions()):
            moved = look(expression(), pose, k)
            groups.setdefault("motion alone", []).append((calm, moved, face))
            name = list(FACES)[1 + k % 6]
            acted = look(expressions()[name], placed(), k)
            groups.setdefault("motion and emotion", []).append((acted, moved, face))
            if k < 6:
                groups.setdefault(name, []).append((acted, calm, face))
        for name in ("jaw open", "brows raised", "brows drawn"):
            for pose in (placed(), *motions()[:3]):
                shown = look(expressions()[name], pose)
                groups.setdefault(name, []).append((shown, calm, face))
                groups.setdefault(name, []).append((shown, moved, face))
    header("Tracked at 256 px: the model's own error, 468 points' similarity to the truth", COLUMNS)
    for name, pairs in groups.items():
        line(name, [errors(own(b, a), b.view, a.view, face) for b, a, face in pairs])
    header(
        "Tracked at 256 px: the model's own error under an expression: similarity of its points "
        "that truly stand still, which only the truth knows",
        COLUMNS,
    )
    for name, pairs in groups.items():
        line(name, [errors(of_still(b, a), b.view, a.view, face) for b, a, face in pairs])
    header("Tracked at 256 px: the stable landmarks' error, px (median, p95)", "")
    for name, pairs in groups.items():
        line(name, [np.array([misplaced(b, a)]) for b, a, _ in pairs])
    for way in ways:
        header(f"Tracked at 256 px: {way}", COLUMNS)
        for name, pairs in groups.items():
            rows = [
                errors(way.fit(b.mesh[None], a.mesh[None])[0], b.view, a.view, face)
                for b, a, face in pairs
            ]
            line(name, rows)


def misplaced(b: Tracked, a: Tracked) -> float:
    """What the landmarks to fit lie off each other under the true map, root mean square, px."""
    true = fit("similarity", b.view.neutral[None], a.view.neutral[None])
    error = a.mesh - a.view.drawn - (b.mesh - b.view.drawn) @ true[0, :, :2].T
    return float(np.sqrt((error[list(STABLE)] ** 2).sum(axis=-1).mean()))


def of_still(b: Tracked, a: Tracked) -> np.ndarray:
    """The map by all points that the expression moves by less than `STILL_PX`, alike."""
    true = fit("similarity", b.view.neutral[None], a.view.neutral[None])[0]
    moved = np.linalg.norm(apply(true, b.view.drawn) - a.view.drawn, axis=1)
    still = moved < STILL_PX
    return fit("similarity", b.mesh[None, still], a.mesh[None, still])[0]


def own(b: Tracked, a: Tracked) -> np.ndarray:
    """The map from b to a that meshes misplaced as wholes, and right in themselves, would give."""
    true = fit("similarity", b.view.neutral[None], a.view.neutral[None])[0]
    return compose(a.bias, compose(true, invert(b.bias)))


# --- runs ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Match:
    """Frame pairs of two takes: meshes, matrices by crops, and what to judge by (n, p, 2)."""

    b: np.ndarray
    a: np.ndarray
    by_crops: np.ndarray
    judge_b: np.ndarray
    judge_a: np.ndarray
    unit_px: np.ndarray
    times_s: np.ndarray


def print_run(folder: Path, ways: list[Way]) -> None:
    """(d) Residuals of a run's frame pairs, before and after."""
    clips = {c.take_id: c for c in read_rows(folder / "extract/tables/clips.parquet", Clip)}
    is_true = (folder / "corpus/truth/takes.parquet").is_file()
    judge = true_face(folder, clips) if is_true else held_out
    matches = list(matches_of(folder, clips, judge))
    n = sum(len(m.a) for m in matches)
    by = "the true face" if is_true else "landmarks held out"
    header(f"{folder}: {len(matches)} pairs of takes, {n} of frames; over the eyes' distance", "")
    print(
        f"{'':34s}fitted landmarks (median, p95)   {by} (median, p95, p99)   uneven/% median, p95"
    )
    rows: list[tuple[str, Callable[[Match], np.ndarray]]] = [("before", lambda m: m.by_crops)]
    rows += [(str(way), lambda m, way=way: way.fit(m.b, m.a)) for way in ways]
    if is_true:
        rows.append(("the best affine there is", lambda m: fit("affine", m.judge_b, m.judge_a)))
    for name, way in rows:
        maps = [np.broadcast_to(way(m), (len(m.a), 2, 3)) for m in matches]
        print(f"{name:34s}" + summary(matches, maps))
    print_smoothing(matches, ways[0])


def summary(matches: list[Match], maps: list[np.ndarray]) -> str:
    """The cells of one row."""
    stable = list(STABLE)
    fitted, judged, uneven = [], [], []
    for match, matrix in zip(matches, maps, strict=True):
        fitted.append(residual(matrix, match.b[:, stable], match.a[:, stable]) / match.unit_px)
        judged.append(residual(matrix, match.judge_b, match.judge_a) / match.unit_px)
        wide = np.linalg.svd(matrix[..., :2], compute_uv=False)
        uneven.append(100 * (wide[:, 0] / wide[:, 1] - 1))
    f, j, u = (np.concatenate(part) for part in (fitted, judged, uneven))
    cells = [*np.quantile(f, [0.5, 0.95]), *np.quantile(j, [0.5, 0.95, 0.99])]
    return "  ".join(f"{c:.4f}" for c in cells) + "  " + "  ".join(
        f"{c:.2f}" for c in np.quantile(u, [0.5, 0.95])
    )  # fmt: skip


def print_smoothing(matches: list[Match], way: Way) -> None:
    """What smoothing gives: residual, and how much the face's middle trembles."""
    print("smooth_s: residual median, p95; tremble (second difference, median, thousandths)")
    for smooth_s in (0.0, 0.08, 0.12, 0.2, 0.4):
        left, tremble = [], []
        for m in matches:
            matrix = way.fit(m.b, m.a, m.times_s, smooth_s)
            left.append(residual(matrix, m.judge_b, m.judge_a) / m.unit_px)
            gap = (apply(matrix, m.judge_b) - m.judge_a).mean(axis=1) / m.unit_px[:, None]
            tremble.append(np.linalg.norm(np.diff(gap, 2, axis=0), axis=1))
        middle, high = np.quantile(np.concatenate(left), [0.5, 0.95])
        shake = 1000 * np.median(np.concatenate(tremble))
        print(f"  {smooth_s:4.2f}  {middle:.4f} {high:.4f}  {shake:5.2f}")


Judge = Callable[[Clip, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def held_out(clip: Clip, mesh: np.ndarray, times_s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Landmarks that no method fits, and the eyes' distance (n,)."""
    unit_px = np.linalg.norm(mesh[:, 33] - mesh[:, 263], axis=1)
    return mesh[:, HELD_OUT], unit_px


def true_face(folder: Path, clips: dict[str, Clip]) -> Judge:
    """The demo's neutral heads where they truly are; NaN where that is unknown."""
    truth = read_truth(folder / "corpus", clips.values())

    def judge(
        clip: Clip, mesh: np.ndarray, times_s: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
        person = CAST[clip.speaker.removeprefix("Actor_")]
        points = face_points(person.shape)[of_face(person)]
        true = read_frames(truth.root, truth.takes[clip.take_id].place)
        nearest, near = match_times(times_s, true.times_s)
        names = ("yaw_deg", "pitch_deg", "roll_deg", "scale_px", "tx_px", "ty_px")
        columns = np.stack([true.measures[name][nearest] for name in names], axis=1)
        columns[~(near & true.face[nearest])] = np.nan
        out = np.full((len(columns), len(points), 2), np.nan)
        for k, (yaw, pitch, roll, scale, x, y) in enumerate(columns):
            turned = points @ rotation(yaw, pitch, roll).T * scale
            out[k] = np.stack([x + turned[:, 0], y - turned[:, 1]], axis=1)
        return out, columns[:, 3].astype(np.float64)

    return judge


def matches_of(folder: Path, clips: dict[str, Clip], judge: Judge) -> Iterator[Match]:
    """Every pair of takes of a run; a take with itself a second later where there are none."""
    pairs = folder / "align/tables/pairs.parquet"
    rows = read_rows(pairs, Pair) if pairs.is_file() else []
    if not rows:
        for clip in clips.values():
            step = round(clip.fps or 25)
            first = np.arange(max(clip.n_frames - step, 0))
            yield from match_of(folder, clip, clip, first, first + step, judge)
    for pair in rows:
        a, b = clips[pair.take_a], clips[pair.take_b]
        if a.has_video and b.has_video:
            yield from match_of(folder, a, b, np.array(pair.frame_a), np.array(pair.frame_b), judge)


def match_of(
    folder: Path, a: Clip, b: Clip, i: np.ndarray, j: np.ndarray, judge: Judge
) -> Iterator[Match]:
    """The match, if any of its frame pairs is known."""
    tracks = []
    for clip, frames in ((a, i), (b, j)):
        path = ItemStore(folder / "extract/items").path(
            f"{clip.speaker}/{clip.take_id}", ".frames.parquet"
        )
        columns = read_columns(path, ("time_s", "duration_s", "landmarks"))
        times_s = columns["time_s"] + columns["duration_s"] / 2
        mesh = columns["landmarks"][..., :2]
        places, unit_px = judge(clip, mesh, times_s)
        tracks.append((mesh[frames], places[frames], unit_px[frames], times_s[frames]))
    (mesh_a, judge_a, unit_px, times_a), (mesh_b, judge_b, _, times_b) = tracks
    known = [np.isfinite(part).all((1, 2)) for part in (mesh_a, mesh_b, judge_a, judge_b)]
    good = np.logical_and.reduce(known)
    if not good.any():
        return
    crops = [crop_to_frame(c.crop_x_px, c.crop_y_px, c.crop_side_px, 1) for c in (a, b)]
    yield Match(
        mesh_b[good], mesh_a[good], compose(crops[0], invert(crops[1])), judge_b[good],
        judge_a[good], unit_px[good], np.stack([times_a, times_b], axis=1)[good],
    )  # fmt: skip


if __name__ == "__main__":
    main()
