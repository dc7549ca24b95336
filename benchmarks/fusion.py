"""Textures of several views of a livery: fused evidence beside averaged predictions.

    uvtex showroom build SET --size 48 --texture-size 48 --cameras 8 --liveries 40 --seed 0
    python -m benchmarks.fusion SET one/best.safetensors views4/best.safetensors

Each row is a checkpoint and a way to use the views, each column a number of views. Figures are
SSIM(UV) of the validation liveries, whose views are drawn into groups as in `uvtex evaluate
--views`. The last row is the share of the texels that the views see.

- best single view: the view of the group whose own texture is nearest to the truth, chosen by it;
- averaged: the mean of the views' textures, each by the texels that it sees (and a little by those
  that it does not);
- evidence alone: the fused evidence, without the refiner;
- fused: the texture of `uvtex infer --fuse`.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import click
import torch
from torch import Tensor

from uvtex.console import CleanErrorCommand
from uvtex.data.storage.groups import Groups, grouped, load_groups
from uvtex.data.store import PairStore
from uvtex.metrics import similarity
from uvtex.models.correspondence import AtlasPredictor
from uvtex.runs import checkpoint

UNSEEN = 0.05
"""Share that an unseen texel has in the average, so that texels that no view sees have one too."""
Rows = dict[str, dict[int, float]]


@click.command(cls=CleanErrorCommand)
@click.argument("data", type=click.Path(path_type=Path, exists=True))
@click.argument("checkpoints", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--views", default="1,2,3,4,8", help="Numbers of views.")
@click.option("--draws", default=4, help="Times that views are drawn into groups.")
def main(data: Path, checkpoints: tuple[Path, ...], views: str, draws: int) -> None:
    """Print a Markdown table of SSIM(UV) by number of views."""
    counts = [int(part) for part in views.split(",")]
    print("| SSIM(UV) by views | " + " | ".join(map(str, counts)) + " |")
    print("| --- |" + " --- |" * len(counts), flush=True)
    for path in checkpoints:
        for name, figures in measured(data, path, counts, draws).items():
            cells = " | ".join(f"{figures[n]:.3f}" for n in counts)
            print(f"| {path.stem}: {name} | {cells} |", flush=True)


@torch.no_grad()
def measured(data: Path, path: Path, counts: list[int], draws: int) -> Rows:
    """Row -> number of views -> mean over all groups of all draws."""
    loaded = checkpoint.load(path)
    store = PairStore.open(data, loaded.config.model_copy(update={"device": "cpu"}))
    predictor = loaded.predictor
    assert isinstance(predictor, AtlasPredictor)
    liveries = store.liveries(store.val)
    rows: Rows = defaultdict(dict)
    for count in counts:
        found: dict[str, list[Tensor]] = defaultdict(list)
        for draw in range(draws):
            # Another name of each livery draws other groups.
            groups = grouped([f"{name}{draw or ''}" for name in liveries], count)
            for group in load_groups(store.loaded, store.val, groups, 8):
                for name, values in figures_of(predictor, group).items():
                    found[name].append(values)
        for name, parts in found.items():
            rows[name][count] = float(torch.cat(parts).mean())
    return rows


def figures_of(predictor: AtlasPredictor, group: Groups) -> dict[str, Tensor]:
    """The figures of each way, [G] each."""
    count = group.views.shape[1]
    alone = torch.stack([predictor(group.views[:, v]) for v in range(count)], dim=1)
    shown = predictor.texels_of(group.views.flatten(0, 1))[1]
    seen = (shown > 0).float().reshape(-1, count, *shown.shape[1:]) + UNSEEN
    average = (alone * seen).sum(dim=1) / seen.sum(dim=1)
    single = torch.stack([_ssim(alone[:, v], group.texture) for v in range(count)])
    assert group.seen is not None
    return {
        "best single view": single.amax(dim=0),
        "averaged": _ssim(average, group.texture),
        "evidence alone": _ssim(predictor.evidence_of(group.views)[:, :3], group.texture),
        "fused": _ssim(predictor.fuse(group.views)[0], group.texture),
        "share of texels seen": group.seen.mean(dim=(1, 2, 3)),
    }


def _ssim(texture: Tensor, true: Tensor) -> Tensor:
    return similarity.cropped(similarity.ssim_map(texture, true))


if __name__ == "__main__":
    main()
