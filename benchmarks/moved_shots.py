"""What `uvtex data maps` finds in shots that moved, or are of several sizes.

    uvtex showroom build SET --size 512 --texture-size 512 --cameras 3 --liveries 16
    python -m benchmarks.moved_shots SET --size 256

The shots are the set's views: each is moved by cubic splines, reduced to half its side or to
another size, and written as 8 bits. Then they are read, brought together and placed as by `uvtex
data maps`. Figures are means over the cameras, with the least and the largest:

- the error of the moves, in pixels of the map: how far a point half way to the border lies off,
  the median of the views. What all views have in common is no error;
- the share of the picture that counts as paint, in parts of the true share;
- the part of the true paint that is in it;
- the part of the true paint whose place is known (a confidence of 0.5) and within two texels of an
  atlas of 256;
- the share of the known places that are within two texels.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
import torch
from PIL import Image
from torch import Tensor

from benchmarks.maps import errors, paintable, true_samples
from uvtex.console import PATH, CleanErrorCommand
from uvtex.data import manifest
from uvtex.data.manifest import Record
from uvtex.data.pictures import read_rgb
from uvtex.imaging.map_estimation.certainty.confidence import WITHIN
from uvtex.imaging.map_estimation.changing import changing_pixels
from uvtex.imaging.map_estimation.estimate import estimate_map
from uvtex.imaging.map_estimation.levels import reduced
from uvtex.imaging.registration.similarity import frame, inverse, joined, picture_back, placed
from uvtex.imaging.uv_maps import KNOWN, read_uv_map
from uvtex.intake.map_finding.alignment import aligned
from uvtex.intake.map_finding.camera_views import CameraViews, TextureReader, read_camera, resized

SAMPLES = 4
"""Samples along each side of a pixel of the map that say what it truly shows."""
HEADS = """
| shots | error of the moves | found, of the true share | true paint in it | known and right | \
of the known right |
| --- | --- | --- | --- | --- | --- |"""


@click.command(cls=CleanErrorCommand)
@click.argument("data", metavar="SET", type=PATH)
@click.option("--size", default=256, help="Side of the maps, in pixels.")
@click.option("--cameras", default=3, help="Number of cameras.")
def main(data: Path, size: int, cameras: int) -> None:
    """Print a Markdown table of what is found in shots of the cameras of SET."""
    records = manifest.read(data).records
    members: dict[str, list[Record]] = {}
    for record in records:
        members.setdefault(str(record.camera), []).append(record)
    some = list(members.values())[:cameras]
    paints = sorted({record.texture for record in records})
    print(HEADS)
    for name, moves, sizes in kinds(max(map(len, some))):
        rows = np.array([_figures(data, of, moves, sizes, size, paints) for of in some])
        cells = (f"{x.mean():.3f} ({x.min():.3f} to {x.max():.3f})" for x in rows.T)
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def kinds(count: int) -> list[tuple[str, Tensor, Sequence[float]]]:
    """Names, moves float64 [count, 4], and the sides of the shots, in parts of the first's."""
    generator = np.random.default_rng(0)
    parts = [
        generator.normal(0, 0.0375, (count, 2)),
        generator.uniform(-0.03, 0.03, (count, 1)),
        np.radians(generator.uniform(-2, 2, (count, 1))),
    ]
    every = torch.from_numpy(np.hstack([part - np.median(part, axis=0) for part in parts]))
    shift, scale, turn = torch.eye(4, dtype=torch.float64).split([2, 1, 1])
    same = [1.0]
    return [
        ("still", 0 * every, same),
        ("still, 1.5 times the map's side", 0 * every, [1.5]),
        ("shifts, standard deviation 1.9 % of the side", every * shift.sum(dim=0), same),
        ("three sizes: 1, 1.25, 1.5", 0 * every, (1.0, 1.25, 1.5)),
        ("scale, up to 3 %", every * scale[0], same),
        ("turns, up to 2 degrees", every * turn[0], same),
        ("shifts, scale and turns", every, same),
    ]


def _figures(
    data: Path,
    records: list[Record],
    moves: Tensor,
    sizes: Sequence[float],
    size: int,
    paints: Sequence[str],
) -> tuple[float, ...]:
    views, off = _together(data, records, moves, sizes, size)
    changing = changing_pixels(views.views, views.brightness_error, views.resampled)
    found = estimate_map(views.views, views.textures, changing)
    middle = off.mean(dim=0)
    ring = torch.linspace(0, 2 * torch.pi, 17, dtype=torch.float64)[:-1]
    ring = torch.stack([ring.cos(), ring.sin()], dim=1) / 2
    lie = torch.stack([placed(ring, move) for move in off]) - placed(ring, middle)
    error = float(lie.square().sum(dim=2).mean(dim=1).sqrt().median()) * size / 2
    samples = _true_places(read_uv_map(data / str(records[0].uv_map)), size, middle)
    there, known = changing.numpy(), (found.confidence >= KNOWN).numpy()
    painted = paintable(samples, data, paints)
    right = errors(samples, found.uv.numpy()) < WITHIN
    count = painted.sum()
    return (
        error,
        there.sum() / count,
        (there & painted).sum() / count,
        (known & right & painted).sum() / count,
        (known & right).sum() / max(1, known.sum()),
    )


def _together(
    data: Path, records: list[Record], moves: Tensor, sizes: Sequence[float], size: int
) -> tuple[CameraViews, Tensor]:
    """The shots, brought together, and where each then shows what the set's view shows, [L, 4]."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        shots = []
        for number, (record, move) in enumerate(zip(records, moves, strict=False)):
            view, name = read_rgb(data / record.view), f"{number}.png"
            side = round(len(view) / 2 * sizes[number % len(sizes)])
            shot(view, move, side).save(folder / name)
            texture = str((data / record.texture).resolve())
            shots.append(record.model_copy(update={"view": name, "texture": texture}))
        side = reduced(len(read_rgb(data / records[0].texture)), size)
        read = read_camera(folder, shots, size, TextureReader(folder, side))
        assert read is not None
        views, alignment = aligned(read, folder)
    found = torch.tensor([alignment.known[name].move for name in views.files], dtype=torch.float64)
    true = torch.stack([moves[int(Path(name).stem)] for name in views.files])
    return views, joined(inverse(true), found)


def shot(view: np.ndarray, move: Tensor, side: int) -> Image.Image:
    """A view uint8 [s, s, 3] that lies off by ``move`` [4], of so many pixels a side."""
    moved = picture_back(view, inverse(move)) if move.any() else view
    return Image.fromarray(resized(moved, (side, side)))


def _true_places(uv: np.ndarray, size: int, move: Tensor) -> np.ndarray:
    """What the pixels of a map show, [size, size, n, 2], where it lies off ``uv`` by ``move``."""
    at = placed(frame((size * SAMPLES, size * SAMPLES)), move).numpy()
    column, row = np.moveaxis(((at + 1) / 2 * len(uv)).astype(int).clip(0, len(uv) - 1), 2, 0)
    return true_samples(uv[row, column], size)


if __name__ == "__main__":
    main()
