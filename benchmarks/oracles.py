"""How far figures of texels could rise, and where a checkpoint loses.

    python -m benchmarks.oracles data/set --checkpoint runs/best/checkpoints/best.safetensors

Over the views that validate: a texture that is exact wherever the view sees it and has the true
mean colour elsewhere, which is what a perfect reader of the view would give who knows nothing of
the rest; and the checkpoint's textures, as they are, made exact where the view sees them, and made
exact elsewhere. `ssim_uv_visible` looks five texels beyond what is seen, `_alone` does not. Then
the views by how plain their liveries are, told by what the mean colour scores there: figures of
sets compare only where that is alike.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import click
import torch
from torch import Tensor

from uvtex.console import CleanErrorCommand
from uvtex.data.store import PairStore
from uvtex.device import autocast
from uvtex.metrics.per_sample import texture_columns
from uvtex.runs import checkpoint

BANDS = (0.0, 0.2, 0.4, 0.65, 0.81, 1.0)
SHOWN = ("ssim_uv", "ssim_uv_visible", "ssim_uv_visible_alone", "l1_uv", "l1_uv_visible")


@click.command(cls=CleanErrorCommand)
@click.argument("data", type=click.Path(path_type=Path, exists=True))
@click.option("--checkpoint", "file", type=click.Path(path_type=Path, exists=True), required=True)
@click.option("--all", "everything", is_flag=True, help="Every view, not those held out.")
@torch.no_grad()
def main(data: Path, file: Path, everything: bool) -> None:
    loaded = checkpoint.load(file)
    store = PairStore.open(data, loaded.config, everything=everything)
    predictor = loaded.predictor.to(store.device)
    found: dict[str, dict[str, list[Tensor]]] = {}
    for batch in store.val_batches(32):
        true, seen = batch.pair.texture, batch.seen_a
        if seen is None:
            raise click.ClickException(f"{data}: no UV maps: what a view sees is not known")
        with autocast(store.device, loaded.config.precision):
            ours = predictor(batch.pair.a).float()
        flat = true.mean(dim=(2, 3), keepdim=True).expand_as(true)
        for name, texture in {
            "mean colour": flat,
            "exact where seen, mean colour elsewhere": torch.where(seen > 0, true, flat),
            "checkpoint": ours,
            "checkpoint, exact where seen": torch.where(seen > 0, true, ours),
            "checkpoint, exact elsewhere": torch.where(seen > 0, ours, true),
        }.items():
            for metric, column in texture_columns(batch, texture).items():
                found.setdefault(name, {}).setdefault(metric, []).append(column)
    print("| " + " | ".join(["", *SHOWN]) + " |\n|" + " --- |" * (len(SHOWN) + 1))
    for name, columns in found.items():
        means = [f"{torch.cat(columns[metric]).nanmean():.4f}" for metric in SHOWN]
        print("| " + " | ".join([name, *means]) + " |")
    plain, ours = (
        torch.cat(found[name]["ssim_uv_visible"]) for name in ("mean colour", "checkpoint")
    )
    for low, high in pairwise(BANDS):
        chosen = (plain > low) & (plain <= high)
        print(
            f"mean colour {low} to {high}: {int(chosen.sum())} views, "
            f"{plain[chosen].mean():.3f}; checkpoint {ours[chosen].mean():.3f}"
        )


if __name__ == "__main__":
    main()
