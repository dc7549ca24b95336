"""Preset `atlas` on UV maps that were found, beside the true maps, plates, and pairs alone.

    uvtex showroom build /tmp/sets/q48 --size 48 --cameras 8 --liveries 40 --samples 32
    python -m benchmarks.maps_training /tmp/sets/q48 --liveries 16 --draws 3

The rows of a draw train on the same liveries under the same seed. The seed draws the training
liveries too, so the maps found differ from draw to draw. All are measured on the same held-out
liveries of the whole set, at the epoch with the best SSIM(UV) on it. A last line has the share of
the true maps' SSIM(UV) that the maps found reach in each draw, its mean and standard deviation.
"""

from __future__ import annotations

import math
import random
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.ablations import Job, run
from uvtex.console import PATH, CleanErrorCommand
from uvtex.data import manifest, splits
from uvtex.data.manifest import Record
from uvtex.intake.map_finding.find import SplitChoice, find_maps

ROWS = ("pairs alone", "maps found", "true maps", "plates")
SHOWN = ("ssim_uv", "ssim_uv_visible", "l1_uv_visible")


@click.command(cls=CleanErrorCommand)
@click.argument("folder", metavar="DATA", type=PATH)
@click.option("--liveries", type=int, default=16, help="Training liveries.")
@click.option("--val-split", type=float, default=0.15, help="Share of validation liveries.")
@click.option("--epochs", type=int, default=6, help="Epochs of each run.")
@click.option("--width", type=float, default=0.25, help="Factor on the networks' channels.")
@click.option("--size", type=int, default=48, help="Side of the networks' pictures, in pixels.")
@click.option("--lr", type=float, default=1e-3, help="Learning rate.")
@click.option("--seed", type=int, default=0, help="Seed of the runs and of their liveries.")
@click.option("--draws", type=click.IntRange(min=1), default=1, help="Seeds, from --seed on.")
@click.option("--stiffness", default="1", help="Stiffness of the maps found, with commas.")
@click.option("--only", type=click.Choice(ROWS), multiple=True, help="Rows to train; all.")
def main(
    folder: Path,
    liveries: int,
    val_split: float,
    size: int,
    stiffness: str,
    only: Sequence[str],
    seed: int,
    draws: int,
    **common: Any,
) -> None:
    """Train preset atlas on four kinds of knowledge of DATA's cameras, and print SSIM(UV).

    \b
    Example:
      python -m benchmarks.maps_training /tmp/sets/q48 --liveries 16 --draws 3
    """
    every = [float(part) for part in stiffness.split(",")]
    values = common | {
        "preset": "atlas",
        "device": "cpu",
        "image_size": size,
        "batch_size": 8,
        "thresholds": [{"metric": "ssim_uv", "at_least": 0.0}],
    }
    found: dict[str, list[float]] = {}
    for one in range(seed, seed + draws):
        for row, score in _draw(folder, liveries, val_split, only or ROWS, every, values, one):
            found.setdefault(row, []).append(score)
    true = found.pop("true maps", [])
    for row, scores in found.items():
        if true and row.startswith("maps found"):
            shares = np.array(scores) / true
            spread = f", sd {shares.std(ddof=1):.3f}" if draws > 1 else ""
            each = ", ".join(f"{share:.3f}" for share in shares)
            print(f"{row}: {each} of the true maps, mean {shares.mean():.3f}{spread}")


def _draw(
    folder: Path,
    liveries: int,
    val_split: float,
    rows: Sequence[str],
    stiffness: Sequence[float],
    settings: dict[str, Any],
    seed: int,
) -> Iterator[tuple[str, float]]:
    """Trains each of the rows on liveries that the seed draws; gives their SSIM(UV)."""
    records = manifest.read(folder).records
    names = [record.livery for record in records]
    sides = splits.split(names, "livery", val_split, 0)
    training = sorted({names[number] for number in sides.train})
    chosen = set(random.Random(seed).sample(training, min(liveries, len(training))))
    held_out = {names[number] for number in sides.val}
    kept = [record for record in records if record.livery in chosen | held_out]
    # The split draws from sorted names: they are given so that it draws the same ones again.
    share = len(held_out) / (len(held_out) + len(chosen))
    kept = _renamed(kept, held_out, share)
    print(f"{len(chosen)} training liveries, {len(held_out)} held out, seed {seed}")
    print("| | " + " | ".join(SHOWN) + " |")
    print("| --- |" + " --- |" * len(SHOWN))
    with tempfile.TemporaryDirectory() as temporary:
        whole = _variant(folder, Path(temporary) / "true", kept, ("plate",))
        for row in rows:
            data = _set(row, folder, Path(temporary), kept, whole, share, stiffness)
            for value in stiffness if row == "maps found" else (None,):
                values = settings | {"val_split": share, "map_stiffness": value}
                curve = run(Job(data, whole, values, seed))
                figures = [f"{curve.best[name]:.3f}" if curve else "-" for name in SHOWN]
                which = row if value is None else f"{row}, stiffness {value:g}"
                print(f"| {which} | " + " | ".join(figures) + " |", flush=True)
                yield which, curve.best["ssim_uv"] if curve else math.nan


def _set(
    row: str,
    folder: Path,
    temporary: Path,
    kept: list[Record],
    whole: Path,
    share: float,
    stiffness: Sequence[float],
) -> Path:
    if row == "true maps":
        return whole
    if row == "plates":
        return _variant(folder, temporary / "plates", kept, ())
    bare = temporary / "bare"
    if not bare.exists():
        _variant(folder, bare, kept, ("plate", "uv_map"))
    if row == "pairs alone":
        return bare
    split = SplitChoice(share, 0.0, 0)
    report = find_maps(bare, temporary / "found", split=split, stiffness=stiffness)
    known = sum(camera.known for camera in report.cameras) / len(report.cameras)
    print(f"maps found: {known:.1%} of the painted pixels known", flush=True)
    return temporary / "found"


def _variant(folder: Path, out: Path, records: list[Record], without: Sequence[str]) -> Path:
    """The set with some records, without some of their fields."""
    shutil.copytree(folder, out)
    manifest.write(out, [record.model_copy(update=dict.fromkeys(without)) for record in records])
    return out


def _renamed(records: list[Record], held_out: set[str], share: float) -> list[Record]:
    """The records with names of liveries, of which a split of ``share`` holds out ``held_out``."""
    liveries = sorted({record.livery for record in records})
    numbered = [f"livery-{number:04d}" for number in range(len(liveries))]
    sides = splits.split(numbered, "livery", share, 0)
    free = {side: [numbered[k] for k in sides.of(side)] for side in ("train", "val")}
    names = {livery: free["val" if livery in held_out else "train"].pop(0) for livery in liveries}
    return [record.model_copy(update={"livery": names[record.livery]}) for record in records]


if __name__ == "__main__":
    main()
