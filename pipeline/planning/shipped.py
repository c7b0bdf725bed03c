"""Rates that come with this version: the demo on two cores of a cloud machine.

Per stage: seconds of a measure of effort (frames in extract, seconds of sound in align, frame pairs
in pose, scored frames in score and filter, pictures in invert, directions, synth and shards, sheets
in report, takes in demo), seconds more for a worker's first unit, for bringing up workers, and for
all else; bytes of a measure of effort, bytes of a unit beside; MB of a worker.
`benchmarks/plan.py --rates` prints them anew.
"""

from __future__ import annotations

from dataclasses import dataclass

MACHINE_S = 0.08
"""Seconds of `rating.machine_s` where these were measured."""


@dataclass(frozen=True)
class Costs:
    """What a stage costs.

    Seconds: `unit_s` a measure of effort, `warm_s` more for each worker's first unit, `spawn_s` for
    bringing up several workers, `rest_s` for what is not units (planning, tables). Bytes: of a
    measure of effort, and of a planned unit beside (receipt, rows).
    """

    unit_s: float
    warm_s: float
    spawn_s: float
    rest_s: float
    unit_bytes: float
    beside_bytes: float
    memory_mb: float


SHIPPED = {
    "demo": Costs(1.5, 0.0, 3.0, 3.0, 428e3, 0.0, 400.0),
    "extract": Costs(0.012, 2.0, 3.0, 1.0, 32e3, 3e3, 320.0),
    "align": Costs(0.03, 3.0, 3.0, 0.5, 0.0, 170e3, 360.0),
    "pose": Costs(1e-3, 0.5, 2.0, 0.5, 150.0, 10e3, 290.0),
    "score": Costs(6e-3, 3.0, 6.0, 1.0, 306.0, 1.5e3, 540.0),
    "filter": Costs(1e-5, 0.1, 0.0, 0.5, 10.0, 10e3, 290.0),
    "invert": Costs(0.05, 5.0, 5.0, 1.0, 10e3, 2e3, 1500.0),
    "directions": Costs(1e-3, 5.0, 5.0, 1.0, 1e3, 2e3, 1500.0),
    "synth": Costs(0.5, 5.0, 5.0, 1.0, 300e3, 2e3, 1500.0),
    "shards": Costs(3.9e-3, 1.0, 3.0, 2.0, 18.5e3, 2e3, 500.0),
    "report": Costs(0.2, 1.0, 3.0, 3.0, 60e3, 5e3, 500.0),
}
"""Of `invert`, `directions` and `synth` a guess, for networks larger than the demo's."""
