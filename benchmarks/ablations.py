"""Ablations: trains each preset with one setting changed at a time, over several seeds.

    python -m benchmarks.ablations data/ablations --epochs 8 --jobs 2

The data set must come from `uvtex showroom build`. All runs share data, image size, width, learning
rate and epochs. Runs of one table row differ only in the seed of initial weights and data order.

Each row has the mean and the standard deviation over seeds, measured at the epoch with the best
SSIM(UV). The last two columns have SSIM(UV) at the epoch with the lowest `total`, and at the last
epoch. Metrics are of held-out liveries, except in the row `split by sample`. Row `pairs alone`
trains without cameras and UV maps, and is measured with them like all others. A run that diverges
is counted and left out of the mean. A row is printed as soon as its runs are finished.
"""

from __future__ import annotations

import json
import multiprocessing
import shutil
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from uvtex.console import CleanErrorCommand

BASELINE: dict[str, Any] = {"preset": "poc05"}
ONE: dict[str, float] = {"cycle": 0.0, "uv": 0.0, "direct": 0.0, "cross": 0.0}
VARIANTS: dict[str, dict[str, Any]] = {
    "poc05, baseline": BASELINE,
    "  split by sample": {**BASELINE, "split_by": "sample"},
    "  direct alone": {**BASELINE, "schedule": {**ONE, "direct": 1.0}},
    "  no uv term": {**BASELINE, "schedule": {"uv": 0.0}},
    "  no cycle term": {**BASELINE, "schedule": {"cycle": 0.0}},
    "  R(t) = v as well": {**BASELINE, "w_render": 1.0},
    "  noise before R": {**BASELINE, "texture_noise": 0.1},
    "  R(t) = v, and noise": {**BASELINE, "w_render": 1.0, "texture_noise": 0.1},
    "atlas, pairs alone": {"preset": "atlas", "pairs": True},
    "atlas": {"preset": "atlas"},
    "  the studio alone": {"preset": "atlas", "augment": {"background": 0.0}},
    "  no SSIM": {"preset": "atlas", "w_ssim": 0.0},
    "  liveries as they are": {"preset": "atlas", "augment": {"livery": 0.0}},
}
SHOWN = (
    "ssim_uv",
    "ssim_uv_visible",
    "l1_uv_visible",
    "ssim_view",
    "ssim_view_true",
    "ssim_view_noisy",
    "bleed",
)


@dataclass(frozen=True)
class Curve:
    """Validation metrics of one run."""

    best: dict[str, float]
    """Metrics of the epoch with the best SSIM(UV)."""
    epochs: list[dict[str, float]]
    """Metrics of every epoch."""


@dataclass(frozen=True)
class Job:
    """One run to make."""

    data: Path
    """Data set to train on."""
    whole: Path
    """Data set on which the best epoch is measured."""
    values: dict[str, Any]
    seed: int


def run(job: Job) -> Curve | None:
    """Trains one run; None if it diverged."""
    import torch

    from uvtex.config import resolve
    from uvtex.data.store import PairStore
    from uvtex.errors import DivergenceError
    from uvtex.evaluation.measure import measure
    from uvtex.metrics.lpips import load_lpips
    from uvtex.runs import checkpoint
    from uvtex.training.trainer import Trainer

    torch.set_num_threads(1)
    config = resolve(job.values, {"seed": job.seed})
    store = PairStore.open(job.data, config)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(config, store, Path(folder))
        try:
            epochs = [report.val for report in trainer.epochs()]
        except DivergenceError:
            return None
        best = max(epochs, key=lambda val: val["ssim_uv"])
        if job.whole != job.data:
            # Both sets have the same liveries, so the split holds out the same views.
            store = PairStore.open(job.whole, config)
            chosen = checkpoint.load(trainer.best_checkpoint)
            networks = (n.to(store.device) for n in (chosen.predictor, chosen.renderer))
            lpips = load_lpips(config.lpips_backbone, store.device)
            best = measure(*networks, store, config, lpips)
    return Curve(best, epochs)


def pairs_alone(data: Path, folder: Path) -> Path:
    """Copies the data set to ``folder`` without cameras, UV maps and plates."""
    shutil.copytree(data, folder)
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    for record in manifest["records"]:
        for key in ("uv_map", "plate", "camera"):
            record.pop(key, None)
    path.write_text(json.dumps(manifest))
    return folder


@click.command(cls=CleanErrorCommand)
@click.argument("data", type=click.Path(path_type=Path, exists=True))
@click.option("--epochs", type=int, default=8, help="Epochs of each run.")
@click.option("--image-size", type=int, default=48, help="Side of the views, in pixels.")
@click.option("--width", type=float, default=0.25, help="Factor on the networks' channels.")
@click.option("--lr", type=float, default=2e-3, help="Learning rate.")
@click.option("--batch-size", type=int, default=6, help="Pairs of views in a step.")
@click.option("--val-split", type=float, default=0.15, help="Share of validation liveries.")
@click.option("--seeds", type=int, default=3, help="Runs of each row.")
@click.option("--jobs", type=int, default=2, help="Runs at the same time.")
@click.option("--only", default="", help="Only rows whose name contains this text.")
def main(data: Path, seeds: int, jobs: int, only: str, **common: Any) -> None:
    """Train every variant on DATA and print a Markdown table of its metrics.

    \b
    Example:
      python -m benchmarks.ablations data/ablations --epochs 8 --jobs 2
    """
    names = [name for name in VARIANTS if only in name]
    common["thresholds"] = [{"metric": "ssim_uv", "at_least": 0.245}]
    heads = ["mean (sd) of seeds", *SHOWN, "ssim_uv, lowest total", "ssim_uv, last epoch"]
    print("| " + " | ".join(heads) + " |\n|" + " --- |" * len(heads), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        stripped = pairs_alone(data, Path(folder) / "pairs")
        work = [
            _job(data, stripped, VARIANTS[name], common, s) for name in names for s in range(seeds)
        ]
        with multiprocessing.get_context("spawn").Pool(jobs) as pool:
            curves = pool.imap(run, work)
            for name in names:
                print(_line(name, [next(curves) for _ in range(seeds)]), flush=True)


def _job(
    data: Path, stripped: Path, values: dict[str, Any], common: dict[str, Any], seed: int
) -> Job:
    settings = {**common, **{k: v for k, v in values.items() if k != "pairs"}}
    return Job(stripped if values.get("pairs") else data, data, settings, seed)


def _line(name: str, of_seeds: list[Curve | None]) -> str:
    """The table row of a variant."""
    curves = [curve for curve in of_seeds if curve is not None]
    lost = len(of_seeds) - len(curves)
    if not curves:
        return f"| {name} |" + " diverged |" * (len(SHOWN) + 2)
    if lost:
        name += f" ({lost} of {len(of_seeds)} diverged)"
    best = [curve.best for curve in curves]
    cheapest = [min(curve.epochs, key=lambda val: val["total"]) for curve in curves]
    last = [curve.epochs[-1] for curve in curves]
    cells = [_spread(best, metric) for metric in SHOWN]
    cells += [_spread(chosen, "ssim_uv") for chosen in (cheapest, last)]
    return f"| {name} | " + " | ".join(cells) + " |"


def _spread(vals: list[dict[str, float]], metric: str) -> str:
    found = [val[metric] for val in vals if metric in val]
    if not found:
        return "-"
    sd = statistics.stdev(found) if len(found) > 1 else float("nan")
    return f"{statistics.mean(found):.3f} ({sd:.3f})"


if __name__ == "__main__":
    main()
