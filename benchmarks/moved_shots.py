"""The paint that `uvtex data maps` finds in shots that moved, or are of several sizes.

    uvtex showroom build SET --size 64 --texture-size 64 --cameras 4 --liveries 16
    python -m benchmarks.moved_shots SET

The shots are the set's views. Each is moved with the edge repeated (cubic), or resized (Lanczos),
and is written as 8 bits. Then they are read, brought together and judged as by `uvtex data maps`.
The median of the moves is no move, so that the set's UV maps say where the paint is. Figures are
means over the cameras, with the least and the largest: the share of the picture that counts as
paint, in parts of the true share, and the part of the true paint that is in it. `unaware` is the
same without regard to the moves.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
from PIL import Image

from uvtex.console import PATH, CleanErrorCommand
from uvtex.data import manifest
from uvtex.data.manifest import Record
from uvtex.data.pictures import read_rgb
from uvtex.imaging.map_estimation.changing import changing_pixels
from uvtex.imaging.uv_maps import read_uv_map
from uvtex.intake.map_finding.alignment import aligned
from uvtex.intake.map_finding.camera_views import TextureReader, read_camera


@click.command(cls=CleanErrorCommand)
@click.argument("data", metavar="SET", type=PATH)
def main(data: Path) -> None:
    """Print a Markdown table of the paint that is found in shots of the cameras of SET."""
    cameras: dict[str, list[Record]] = {}
    for record in manifest.read(data).records:
        cameras.setdefault(str(record.camera), []).append(record)
    print(
        "| shots | found, of the true share | unaware | true paint in it |\n| --- |" + " --- |" * 3
    )
    for name, moves, sizes in kinds(max(map(len, cameras.values()))):
        rows = np.array([_figures(data, of, moves, sizes) for of in cameras.values()])
        cells = (f"{x.mean():.2f} ({x.min():.2f} to {x.max():.2f})" for x in rows.T)
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


def kinds(count: int) -> list[tuple[str, np.ndarray, Sequence[float]]]:
    """Names, moves float [count, 3] (right, down in pixels, scale less 1), and sizes in parts."""
    generator = np.random.default_rng(0)
    still, same = np.zeros((count, 3)), [1.0]
    shifts = np.pad(generator.normal(0, 1.2, (count, 2)), ((0, 0), (0, 1)))
    scales = np.pad(generator.uniform(-0.03, 0.03, (count, 1)), ((0, 0), (2, 0)))
    shifts, scales = (x - np.median(x, axis=0) for x in (shifts, scales))
    return [
        ("still", still, same),
        ("shifts by fractions of a pixel, standard deviation 1.2", shifts, same),
        ("shifts by whole pixels", shifts.round(), same),
        ("three sizes: 1, 1.25, 1.5", still, (1.0, 1.25, 1.5)),
        ("scale, up to 3 %", scales, same),
        ("shifts and scale", shifts + scales, same),
    ]


def _figures(
    data: Path, records: list[Record], moves: np.ndarray, sizes: Sequence[float]
) -> tuple[float, float, float]:
    with tempfile.TemporaryDirectory() as folder:
        shots = []
        for number, record in enumerate(records):
            name = f"{number}.png"
            shot(read_rgb(data / record.view), moves[number], sizes[number % len(sizes)]).save(
                Path(folder) / name
            )
            texture = str((data / record.texture).resolve())
            shots.append(record.model_copy(update={"view": name, "texture": texture}))
        read = read_camera(Path(folder), shots, 256, TextureReader(Path(folder), 64))
    assert read is not None
    views, _ = aligned(read)
    true = _painted(data / str(records[0].uv_map), views.views.shape[-1])
    found, unaware = (
        changing_pixels(views.views, views.brightness_error, resampled).numpy()
        for resampled in (views.resampled, False)
    )
    share = true.mean()
    return found.mean() / share, unaware.mean() / share, (found & true).sum() / true.sum()


def shot(view: np.ndarray, move: np.ndarray, size: float) -> Image.Image:
    """A view uint8 [h, w, 3], moved by [3] as in :func:`kinds`, at ``size`` times its size."""
    height, width = view.shape[:2]
    wide = Image.fromarray(np.pad(view, ((height,) * 2, (width,) * 2, (0, 0)), mode="edge"))
    scale = 1 / (1 + move[2])
    right, down = ((1 - scale) * n / 2 - scale * d for n, d in zip(wide.size, move, strict=False))
    lies = (scale, 0, right, 0, scale, down)
    moved = wide.transform(wide.size, Image.Transform.AFFINE, lies, Image.Resampling.BICUBIC)
    part = moved.crop((width, height, 2 * width, 2 * height))
    sides = round(width * size), round(height * size)
    return part if sides == part.size else part.resize(sides, Image.Resampling.LANCZOS)


def _painted(path: Path, side: int) -> np.ndarray:
    """The pixels that show paint in any sample of a UV map: bool [side, side]."""
    there = np.isfinite(read_uv_map(path)[..., 0])
    rows, columns = (np.arange(n) * side // n for n in there.shape)
    painted = np.zeros((side, side), bool)
    np.logical_or.at(painted, (rows[:, None], columns[None]), there)
    return painted


if __name__ == "__main__":
    main()
