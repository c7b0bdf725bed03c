"""Train ASCCL's metric on the shards, with checkpoints, and plot the paper's figure 6.

    python train.py            # resumes from last.pt if that run is unfinished

A killed and resumed run gives the same numbers as an uninterrupted one: the checkpoint has the
state of the network, the optimiser and the loader, and random regions depend on the step's number.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from metric import Metric, asccl_loss, sample_regions, similarities

from spfem_data import AscclPairs, ImageFormat, Loader

REGIONS = 24


def settings(file: Path) -> dict[str, Any]:
    """The section `train` of params.yaml."""
    from ruamel.yaml import YAML

    return dict(YAML(typ="safe").load(file.read_text(encoding="utf-8"))["train"])


def save(file: Path, state: dict[str, Any]) -> None:
    """Write atomically: a kill while writing leaves the last checkpoint intact."""
    torch.save(state, file.with_suffix(".part"))
    os.replace(file.with_suffix(".part"), file)


def train(
    shards: str, given: dict[str, Any], folder: Path, stop_at: int | None = None
) -> list[Any]:
    """Train to the last step or to `stop_at`; returns rows of step and the two similarities."""
    device = given["device"]
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(given["seed"])
    image_format = ImageFormat(size=given["size_px"], values="-1..1")
    where = [("confidence", ">=", given["min_confidence"])]
    pairs = AscclPairs(
        shards, "train", where=where, columns=["sample_id"], image_format=image_format
    )
    loader = Loader(pairs, given["batch_size"], seed=given["seed"], remainder="join", device=device)
    metric = Metric().to(device)
    optimiser = torch.optim.Adam(metric.parameters(), lr=given["learning_rate"])
    step, history = 0, []
    checkpoint = folder / "last.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        if state["given"] == given and state["step"] < given["steps"]:
            metric.load_state_dict(state["metric"])
            optimiser.load_state_dict(state["optimiser"])
            loader.load_state_dict(state["loader"])
            step, history = state["step"], state["history"]
            print(f"resuming from step {step}")

    def checkpointed() -> dict[str, Any]:
        return {
            "given": given, "step": step, "history": history, "loader": loader.state_dict(),
            "metric": metric.state_dict(), "optimiser": optimiser.state_dict(),
        }  # fmt: skip

    watched = pairs[:: max(1, len(pairs) // 32)]
    watched_x, watched_y = watched["x"].to(device), watched["y"].to(device)
    fixed = sample_regions(given["size_px"], 64, torch.Generator().manual_seed(1))
    last = min(given["steps"], stop_at or given["steps"])
    while step < last:
        for batch in loader:
            if step % given["watch_every"] == 0:
                history.append([step, *similarities(metric, watched_x, watched_y, fixed)])
            generator = torch.Generator().manual_seed(given["seed"] * 1_000_003 + step)
            regions = sample_regions(given["size_px"], REGIONS, generator)
            loss = asccl_loss(metric, batch["x"], batch["y"], regions)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            step += 1
            if step % given["save_every"] == 0 or step == last:
                save(checkpoint, checkpointed())
                print(f"step {step}: loss {loss.item():.3f}", flush=True)
            if step == last:
                break
    if step == given["steps"]:
        history.append([step, *similarities(metric, watched_x, watched_y, fixed)])
    return history


def plot(history: list[Any], file: Path) -> None:
    """Plot the similarity of corresponding and of other regions (ASCCL, figure 6)."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    steps, same, other = zip(*history, strict=True)
    figure, axes = pyplot.subplots(figsize=(6, 4), dpi=120)
    axes.plot(steps, same, label="corresponding regions")
    axes.plot(steps, other, label="other regions")
    axes.set(xlabel="step", ylabel="mean cosine similarity", ylim=(-0.2, 1))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(file, metadata={"Software": None})


def main() -> None:
    """Train, plot, and write the ends of the two curves."""
    folder = Path(__file__).parent
    history = train(str(folder / "shards"), settings(folder / "params.yaml"), folder)
    plot(history, folder / "figure.png")
    (_, same_0, other_0), (_, same, other) = history[0], history[-1]
    facts = {"gap_before": same_0 - other_0, "gap_after": same - other, "corresponding": same,
             "other": other}  # fmt: skip
    (folder / "metrics.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    print(facts)


if __name__ == "__main__":
    main()
