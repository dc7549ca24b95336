"""Textures sampled from photos at full resolution, beside the network's texture enlarged.

    uvtex showroom build SET --size 1024 --texture-size 1024 --liveries 16 --samples 4
    uvtex train SET --preset atlas --image-size 64
    python -m benchmarks.full_resolution SET CHECKPOINT

Each row is a number of photos and a width of smoothing. The photos are composed from the set's
plates and a held-out livery's texture. The first cameras of the set take them, in the order of
their names.

- sampled: the texture of `uvtex infer --fuse --whole --texture-size T`, T the true texture's size;
- enlarged: the texture of `uvtex infer --fuse --whole`, enlarged to T (Lanczos).

Figures are SSIM with the true texture, averaged over the texels that the photos see by the set's
own UV maps, then over the liveries. The last columns are the share of those texels, and the share
of the texels that were sampled from a photo.

A smoothing of N blurs a plate's light by a Gaussian with a standard deviation of N pixels before
the photos are composed. It takes the path tracer's noise away, and the edges of shadows too. Pixels
without paint keep their light. A smoothing of 0 leaves the plate as it was traced: the photos are
then the set's own views.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import torch
from PIL import Image
from scipy import ndimage
from torch import Tensor

from uvtex.console import PATH, CleanErrorCommand, FiniteRange
from uvtex.data import manifest, splits
from uvtex.data.pictures import read_rgb
from uvtex.errors import DataError
from uvtex.imaging.full_size import SEEN
from uvtex.imaging.view_mesh import full_flow
from uvtex.inference.fuse import fuse
from uvtex.inference.infer import resampled
from uvtex.metrics import similarity
from uvtex.runs import checkpoint
from uvtex.showroom.rendering.plate_files import read_plate, write_views
from uvtex.showroom.rendering.plates import Plate


@click.command(cls=CleanErrorCommand)
@click.argument("data", metavar="SET", type=PATH)
@click.argument("trained", metavar="CHECKPOINT", type=PATH)
@click.option(
    "--photos",
    "counts",
    type=click.IntRange(min=1),
    multiple=True,
    default=(3, 1),
    help="Number of photos; may be repeated.",
)
@click.option(
    "--smooth",
    "widths",
    type=FiniteRange(min=0),
    multiple=True,
    default=(6.0, 0.0),
    help="Width of the smoothing, in pixels; may be repeated.",
)
@click.option(
    "--liveries",
    type=click.IntRange(min=1),
    default=1,
    help="Held-out liveries to measure, the first by name.",
)
def main(
    data: Path, trained: Path, counts: tuple[int, ...], widths: tuple[float, ...], liveries: int
) -> None:
    """Print a Markdown table of SSIM over the texels that the photos see.

    \b
    Example:
      python -m benchmarks.full_resolution SET best.safetensors --photos 3 --smooth 6
    """
    textures, cameras = held_out(data, trained)
    if max(counts) > len(cameras):
        raise DataError(
            f"{data}: has {len(cameras)} cameras with plates; give --photos {len(cameras)} or fewer"
        )
    textures = textures[:liveries]
    print(f"liveries: {', '.join(path.stem for path in textures)}\n")
    print("| photos | smoothing | SSIM sampled | SSIM enlarged | texels seen | texels sampled |")
    print("| --- |" + " --- |" * 5, flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        for width in widths:
            out = Path(scratch) / f"{width:g}"
            rows = measured(data, trained, textures, cameras, counts, width, out)
            for count, figures in rows:
                cells = " | ".join(f"{figure:.3f}" for figure in figures)
                print(f"| {count} | {width:g} | {cells} |", flush=True)


def held_out(data: Path, trained: Path) -> tuple[list[Path], list[str]]:
    """Textures of the liveries on which the checkpoint was validated, and the set's cameras."""
    config = checkpoint.load(trained).config
    records = manifest.read(data).records
    sides = splits.split(
        [record.livery for record in records],
        config.split_by,
        config.val_split,
        config.split_seed,
        config.test_split,
    )
    textures = sorted({data / records[i].texture for i in sides.val})
    cameras = sorted({record.camera for record in records if record.camera and record.plate})
    return textures, cameras


def measured(
    data: Path,
    trained: Path,
    textures: list[Path],
    cameras: list[str],
    counts: tuple[int, ...],
    width: float,
    out: Path,
) -> Iterator[tuple[int, np.ndarray]]:
    """Number of photos, and its four figures: means over the liveries."""
    side = len(read_rgb(textures[0]))
    seen = []
    for camera in cameras[: max(counts)]:
        plate = read_plate(data, camera)
        seen.append(full_flow(plate.uv, side)[1] > 0)
        write_views(out, camera, smoothed(plate, width), textures)
    for count in counts:
        figures = []
        for path in textures:
            views = [out / "views" / camera / path.name for camera in cameras[:count]]
            folder = out / f"{path.stem}-{count}"
            mask = np.any(seen[:count], axis=0)
            figures.append(figures_of(str(trained), views, read_rgb(path), mask, folder))
        yield count, np.mean(figures, axis=0)


def smoothed(plate: Plate, width: float) -> Plate:
    """The plate with the light of its painted pixels blurred, by painted pixels alone."""
    if width == 0:
        return plate
    share = plate.mask[..., None] / np.float32(255)
    total = np.maximum(_blurred(share, width), 1e-6)

    def blurred(light: np.ndarray) -> np.ndarray:
        return np.where(share > 0, _blurred(light * share, width) / total, light)

    return replace(plate, falling=blurred(plate.falling), reflected=blurred(plate.reflected))


def _blurred(picture: np.ndarray, width: float) -> np.ndarray:
    blurred: np.ndarray = ndimage.gaussian_filter(picture, (width, width, 0))
    return blurred


def figures_of(
    trained: str, photos: list[Path], true: np.ndarray, mask: np.ndarray, out: Path
) -> tuple[float, float, float, float]:
    """SSIM sampled and enlarged, the share of ``mask``, and the share of sampled texels.

    Args:
        true: uint8 [T, T, 3].
        mask: bool [T, T], the texels that the photos see.
    """
    side = len(true)
    settings = {"device": "cpu", "whole": True, "keep_all": True}
    [full] = fuse(trained, photos, out / "sampled", texture_size=side, **settings)
    [small] = fuse(trained, photos, out / "network", **settings)
    sampled = read_rgb(full.files["texture"])
    with Image.open(small.files["texture"]) as picture:
        enlarged = np.asarray(resampled(picture.convert("RGB"), side))
    with Image.open(full.files["layers"]) as layers:
        from_photos = np.asarray(layers) == SEEN
    return (
        _ssim(sampled, true, mask),
        _ssim(enlarged, true, mask),
        float(mask.mean()),
        float(from_photos.mean()),
    )


def _ssim(texture: np.ndarray, true: np.ndarray, mask: np.ndarray) -> float:
    values = similarity.ssim_map(_tensor(texture), _tensor(true))
    return similarity.within(values, torch.from_numpy(mask)[None, None]).item()


def _tensor(pixels: np.ndarray) -> Tensor:
    """A uint8 picture [T, T, 3] as [1, 3, T, T] in [-1, 1]."""
    return torch.tensor(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1


if __name__ == "__main__":
    main()
