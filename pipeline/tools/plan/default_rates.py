"""Rates that come with this version: the demo on two cores of a cloud machine.

Per stage: seconds of a measure of effort (frames in extract, seconds of sound in align, frame pairs
in pose, scored frames in score and filter, pictures in invert, directions, synth and shards, cards
in report, takes in demo), seconds more for a worker's first unit, for bringing up workers, and for
all else, at all and for a measure of effort; bytes of a measure of volume (that of effort, or what
the stage itself reckons with the networks' sizes), bytes beside; MB of a worker.
`benchmarks/plan.py --rates` prints them anew.
"""

from __future__ import annotations

from dataclasses import dataclass

MACHINE_S = 0.07
"""Seconds of `rating.machine_s` where these were measured."""
COMPILE_S = 36.0
"""Of the aligner's kernels, before their first use on an installation."""


@dataclass(frozen=True)
class Costs:
    """What a stage costs.

    Seconds: `unit_s` a measure of effort, `warm_s` more for each worker's first unit, `spawn_s` for
    bringing up workers, `rest_s` for what is not units (planning, tables), and `each_s` of that for
    a measure of all units' effort. Bytes: of a measure of volume, and what lies beside (receipts,
    tables, pages): of a planned unit, a measure of volume or a byte, see `pricing`.
    """

    unit_s: float
    warm_s: float
    spawn_s: float
    rest_s: float
    each_s: float
    unit_bytes: float
    beside_bytes: float
    memory_mb: float


SHIPPED = {
    "demo": Costs(0.7, 0.0, 1.5, 1.5, 0.0, 428e3, 0.0, 400.0),
    "extract": Costs(8e-3, 0.9, 1.2, 0.5, 1e-3, 33.6e3, 1.9e3, 330.0),
    "align": Costs(7.5e-3, 0.8, 1.7, 1.3, 1e-4, 0.0, 147.0, 370.0),
    "pose": Costs(1.5e-4, 0.15, 0.5, 0.15, 1e-6, 125.0, 16.0, 140.0),
    "score": Costs(3.2e-3, 0.1, 4.4, 1.8, 1e-5, 1.1, 1e3, 600.0),
    "filter": Costs(2e-6, 0.0, 0.0, 0.2, 6e-5, 7.0, 6.7, 135.0),
    "invert": Costs(0.03, 0.2, 3.7, 1.9, 1e-5, 1.03, 1.1e3, 500.0),
    "directions": Costs(0.03, 4.8, 4.3, 1.8, 1e-5, 1.5, 1.15, 650.0),
    "synth": Costs(0.45, 0.2, 5.5, 1.8, 1e-3, 5.6e3, 1.32e3, 720.0),
    "shards": Costs(3e-3, 0.05, 0.7, 0.3, 1e-5, 18.5e3, 2.9e3, 210.0),
    "report": Costs(0.11, 1.9, 1.1, 2.3, 1e-2, 141e3, 1.05, 400.0),
}
"""The networks of `score`, `invert`, `directions` and `synth` were the demo's: on larger ones, the
first run here is what tells."""
