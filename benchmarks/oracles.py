"""Upper bounds of the texture metrics, and the texels on which a checkpoint loses.

    python -m benchmarks.oracles data/set --checkpoint runs/best/checkpoints/best.safetensors

The first table has five textures for each validation view:

- the mean colour of the true texture;
- the true texture where the view sees it, and the mean colour elsewhere. This is the best that a
  model can do without knowledge of unseen texels;
- the checkpoint's texture;
- the checkpoint's texture, replaced by the true one where the view sees it;
- the checkpoint's texture, replaced by the true one elsewhere.

The window of `ssim_uv_visible` reaches five texels beyond the visible ones; that of `_alone` does
not. The lines after the table group the views by the score of the mean colour, which is high for
plain liveries. Compare two data sets only within one such group.
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
@click.option(
    "--checkpoint",
    "file",
    type=click.Path(path_type=Path, exists=True),
    required=True,
    help="Checkpoint file; required.",
)
@click.option("--all", "everything", is_flag=True, help="Measure on all views of DATA.")
@torch.no_grad()
def main(data: Path, file: Path, everything: bool) -> None:
    """Print the texture metrics of a checkpoint and of partly exact textures on DATA.

    \b
    Example:
      python -m benchmarks.oracles data/set --checkpoint runs/best/checkpoints/best.safetensors
    """
    loaded = checkpoint.load(file)
    store = PairStore.open(data, loaded.config, unsplit=everything)
    predictor = loaded.predictor.to(store.device)
    found: dict[str, dict[str, list[Tensor]]] = {}
    for batch in store.batches("all" if everything else "val", 32):
        true, seen = batch.pair.texture, batch.seen_a
        if seen is None:
            raise click.ClickException(f"{data}: has no UV maps, so the visible texels are unknown")
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
