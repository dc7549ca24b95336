"""Each suspicion about the plateau, put to the test: one thing changed at a time, three seeds.

    python benchmarks/ablations.py data/quickstart --epochs 8 --jobs 2

The set is one that `uvtex showroom build` made. All runs share data, size, width, learning rate and
epochs; those of one line differ in the seed of weights and order alone. A figure is that of the
epoch with the best SSIM(UV), but for the last table, which asks what choosing by the lowest
`total` would have given. Figures are of held-out liveries, unless the line says `by sample`.
"""

from __future__ import annotations

import json
import multiprocessing
import shutil
import statistics
import tempfile
from pathlib import Path
from typing import Any

import click

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


def run(job: tuple[Path, dict[str, Any], int]) -> list[dict[str, float]]:
    """Every epoch's validation figures of one run."""
    import torch

    from uvtex.config import resolve
    from uvtex.data.store import PairStore
    from uvtex.trainer import Trainer

    torch.set_num_threads(1)
    data, values, seed = job
    config = resolve(values, {"seed": seed})
    store = PairStore.open(data, config)
    with tempfile.TemporaryDirectory() as folder:
        return [report.val for report in Trainer(config, store, Path(folder)).epochs()]


def pairs_alone(data: Path, folder: Path) -> Path:
    """The set as photo pairs: views, textures and masks, and nothing of the cameras."""
    shutil.copytree(data, folder)
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    for record in manifest["records"]:
        for key in ("uv_map", "plate", "camera"):
            record.pop(key, None)
    path.write_text(json.dumps(manifest))
    return folder


@click.command()
@click.argument("data", type=click.Path(path_type=Path, exists=True))
@click.option("--epochs", type=int, default=8)
@click.option("--image-size", type=int, default=48)
@click.option("--width", type=float, default=0.25)
@click.option("--lr", type=float, default=2e-3)
@click.option("--batch-size", type=int, default=6)
@click.option("--val-split", type=float, default=0.15)
@click.option("--seeds", type=int, default=3)
@click.option("--jobs", type=int, default=2)
@click.option("--only", default="", help="Lines that contain this.")
def main(data: Path, seeds: int, jobs: int, only: str, **common: Any) -> None:
    names = [name for name in VARIANTS if only in name]
    common["thresholds"] = [{"metric": "ssim_uv", "at_least": 0.245}]
    with tempfile.TemporaryDirectory() as folder:
        stripped = pairs_alone(data, Path(folder) / "pairs")
        work = [
            _job(data, stripped, VARIANTS[name], common, s) for name in names for s in range(seeds)
        ]
        with multiprocessing.get_context("spawn").Pool(jobs) as pool:
            curves = pool.map(run, work, chunksize=1)
    runs = {name: curves[i * seeds : (i + 1) * seeds] for i, name in enumerate(names)}
    print("| mean (sd) of seeds | " + " | ".join(SHOWN) + " |\n|" + " --- |" * (len(SHOWN) + 1))
    for name, of_seeds in runs.items():
        best = [max(curve, key=lambda val: val["ssim_uv"]) for curve in of_seeds]
        print(f"| {name} | " + " | ".join(_spread(best, metric) for metric in SHOWN) + " |")
    print(
        "\n| SSIM(UV) of the epoch chosen by | best SSIM(UV) | lowest total | last |\n|"
        + " --- |" * 4
    )
    for name, of_seeds in runs.items():
        chosen = [
            [max(curve, key=lambda val: val["ssim_uv"]) for curve in of_seeds],
            [min(curve, key=lambda val: val["total"]) for curve in of_seeds],
            [curve[-1] for curve in of_seeds],
        ]
        print(f"| {name} | " + " | ".join(_spread(c, "ssim_uv") for c in chosen) + " |")


def _job(
    data: Path, stripped: Path, values: dict[str, Any], common: dict[str, Any], seed: int
) -> tuple[Path, dict[str, Any], int]:
    pairs = values.get("pairs", False)
    settings = {k: v for k, v in values.items() if k != "pairs"}
    return stripped if pairs else data, {**common, **settings}, seed


def _spread(vals: list[dict[str, float]], metric: str) -> str:
    found = [val[metric] for val in vals if metric in val]
    if not found:
        return "-"
    sd = statistics.stdev(found) if len(found) > 1 else float("nan")
    return f"{statistics.mean(found):.3f} ({sd:.3f})"


if __name__ == "__main__":
    main()
