"""Textures sampled from photos at full resolution, beside the network's texture enlarged.

    uvtex showroom build SET --size 1024 --texture-size 1024 --cameras 3 --liveries 10 \\
        --samples 4 --supersample 2
    python -m benchmarks.photo_set SET PHOTOS
    uvtex train PHOTOS --preset atlas --image-size 64 --val-split 0.4
    python -m benchmarks.full_resolution PHOTOS CHECKPOINT --picture PNG

The photos are the set's own views of held-out liveries. The first cameras of the set take them, in
the order of their names. `--of` measures the liveries of another set with the same cameras: real
ones. Each row is a number of photos.

- sampled: the texture of `uvtex infer --fuse --whole --texture-size T`, T the true texture's size;
- enlarged: the texture of `uvtex infer --fuse --whole`, enlarged to T (Lanczos);
- ideal: what `sampled` would be if nothing were wrong in the photos. Each pixel is the mean of the
  true texture over it, in even light, without noise, and the UV map is the true one.

Figures are SSIM with the true texture, averaged over the texels that the photos see by the set's
own UV maps, then over the liveries, and the least and the largest gain of a livery. The last
columns are the share of those texels, and the share of the texels that were sampled from a photo.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from itertools import zip_longest
from pathlib import Path

import click
import numpy as np
import torch
from PIL import Image
from scipy import ndimage
from torch import Tensor

from uvtex.console import PATH, CleanErrorCommand
from uvtex.data import manifest, splits
from uvtex.data.pictures import read_rgb
from uvtex.errors import DataError
from uvtex.files import png
from uvtex.imaging.compose import linear_from_srgb, sample, srgb_from_linear
from uvtex.imaging.framing import Box
from uvtex.imaging.full_size import SEEN, FullTexture, PhotoTexels, ViewGeometry
from uvtex.imaging.view_mesh import full_flow
from uvtex.inference.fuse import fuse
from uvtex.inference.textures import resampled
from uvtex.metrics import similarity
from uvtex.runs import checkpoint
from uvtex.showroom.rendering.plate_files import read_plate

LIT = 0.8
"""Light on white paint in ideal photos: so none is saturated."""
PART = 320
"""Side of the part of a texture that is drawn, in texels."""


OF_HELD_OUT_PHOTOS = (
    click.argument("data", metavar="SET", type=PATH),
    click.argument("trained", metavar="CHECKPOINT", type=PATH),
    click.option(
        "--photos",
        "counts",
        type=click.IntRange(min=1),
        multiple=True,
        default=(3, 1),
        help="Number of photos; may be repeated.",
    ),
    click.option(
        "--liveries",
        type=click.IntRange(min=1),
        default=1,
        help="Held-out liveries to measure, the first by name.",
    ),
)


def of_held_out_photos(command: Callable[..., None]) -> Callable[..., None]:
    """The arguments of a benchmark on photos of held-out liveries."""
    for parameter in reversed(OF_HELD_OUT_PHOTOS):
        command = parameter(command)
    return command


@click.command(cls=CleanErrorCommand)
@of_held_out_photos
@click.option(
    "--of",
    "others",
    type=PATH,
    help="A set with the same cameras: its liveries are the held-out ones instead.",
)
@click.option(
    "--picture",
    type=PATH,
    help="Write a part of the first livery's textures here: true, enlarged, sampled.",
)
def main(
    data: Path,
    trained: Path,
    counts: tuple[int, ...],
    liveries: int,
    others: Path | None,
    picture: Path | None,
) -> None:
    """Print a Markdown table of SSIM over the texels that the photos see.

    \b
    Example:
      python -m benchmarks.full_resolution PHOTOS best.safetensors --photos 3 --liveries 4
    """
    textures, cameras = held_out(data, trained)
    if others is not None:
        data = others
        textures = sorted({data / record.texture for record in manifest.read(data).records})
    if max(counts) > len(cameras):
        raise DataError(
            f"{data}: has {len(cameras)} cameras with plates; give --photos {len(cameras)} or fewer"
        )
    textures = textures[:liveries]
    print(f"liveries: {', '.join(path.stem for path in textures)}\n")
    heads = ("photos", "SSIM sampled", "SSIM enlarged", "gain", "SSIM ideal", "gain of the ideal")
    print("| " + " | ".join((*heads, "texels seen", "texels sampled")) + " |")
    print("| --- |" + " --- |" * 7, flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        for count in counts:
            rows = [
                figures_of(data, trained, path, cameras[:count], Path(scratch), drawn)
                for path, drawn in zip_longest(textures, [picture])
            ]
            picture = None
            sampled, enlarged, ideal, seen, share = np.array(rows).T
            print(
                f"| {count} | {sampled.mean():.3f} | {enlarged.mean():.3f} "
                f"| {_gain(sampled - enlarged)} | {ideal.mean():.3f} | {_gain(ideal - enlarged)} "
                f"| {seen.mean():.3f} | {share.mean():.3f} |",
                flush=True,
            )


def _gain(gains: np.ndarray) -> str:
    return f"{gains.mean():+.3f} ({gains.min():+.3f} to {gains.max():+.3f})"


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


def written(
    folder: Path, name: str, cameras: Sequence[str], views: Sequence[np.ndarray]
) -> list[Path]:
    """The views uint8 [H, W, 3] of cameras as files of one name, in a folder for each camera."""
    paths = [folder / camera / name for camera in cameras]
    for path, view in zip(paths, views, strict=True):
        path.parent.mkdir()
        path.write_bytes(png(view))
    return paths


def figures_of(
    data: Path,
    trained: Path,
    texture: Path,
    cameras: list[str],
    scratch: Path,
    picture: Path | None,
) -> tuple[float, float, float, float, float]:
    """SSIM sampled, enlarged and ideal; the shares of seen and of sampled texels.

    Args:
        texture: the true texture of the livery whose views are the photos.
        picture: the textures are drawn into this file.
    """
    photos = [data / "views" / camera / texture.name for camera in cameras]
    true = read_rgb(texture)
    side, out = len(true), scratch / f"{texture.stem}-{len(cameras)}"
    mask = np.any([seen_by(data, camera, side) for camera in cameras], axis=0)
    settings = {"device": "cpu", "whole": True, "keep_all": True}
    [full] = fuse(str(trained), photos, out / "sampled", texture_size=side, **settings)
    [small] = fuse(str(trained), photos, out / "network", **settings)
    sampled = read_rgb(full.files["texture"])
    with Image.open(small.files["texture"]) as file:
        network = file.convert("RGB")
    enlarged = np.asarray(resampled(network, side))
    with Image.open(full.files["layers"]) as layers:
        from_photos = np.asarray(layers) == SEEN
    if picture is not None:
        draw(picture, [true, enlarged, sampled], mask)
    return (
        ssim_within(sampled, true, mask),
        ssim_within(enlarged, true, mask),
        ssim_within(ideal_texture(data, cameras, true, np.asarray(network)), true, mask),
        float(mask.mean()),
        float(from_photos.mean()),
    )


def ideal_texture(
    data: Path, cameras: list[str], true: np.ndarray, network: np.ndarray
) -> np.ndarray:
    """The texture of the column `ideal`: uint8 [side, side, 3].

    Args:
        true: the true texture, uint8 [side, side, 3].
        network: the network's texture, uint8 [S, S, 3], for texels that no camera sees.
    """
    whole = FullTexture(len(true))
    texture = torch.tensor(true).permute(2, 0, 1)[None].float() / 255
    paint = torch.cat([linear_from_srgb(texture), torch.ones_like(texture[:, :1])], dim=1)
    for camera in cameras:
        plate = read_plate(data, camera)
        shown = sample(paint, torch.from_numpy(plate.uv), plate.mask.shape)
        covered = shown[:, 3:]
        seen = srgb_from_linear(LIT * shown[:, :3] / covered.clamp_min(0.1))
        photo = (seen[0].permute(1, 2, 0).numpy() * 65535).round().astype(np.uint16)
        light = np.full(photo.shape, LIT, np.float32)
        view = ViewGeometry(plate.uv, light, 0 * light, covered[0, 0].numpy(), np.eye(2, 3))
        square = Box(0, 0, photo.shape[1], photo.shape[0])
        whole.add(PhotoTexels(photo, square, view, len(true)))
    return whole.finish(network)


@cache
def flow_of(data: Path, camera: str, side: int) -> np.ndarray:
    """Where a camera sees each texel, as from :func:`full_flow`."""
    return full_flow(read_plate(data, camera).uv, side)[0]


def seen_by(data: Path, camera: str, side: int) -> np.ndarray:
    """The texels that a camera sees: bool [side, side]."""
    return np.isfinite(flow_of(data, camera, side)[..., 0])


def draw(path: Path, textures: list[np.ndarray], mask: np.ndarray) -> None:
    """Writes the same part of several textures beside each other.

    It is the square of PART texels with the most detail in the first of them, where it is seen.
    """
    detail = np.abs(np.diff(textures[0].astype(np.float32), axis=1, prepend=0)).sum(axis=2) * mask
    busy = ndimage.uniform_filter(detail, PART, mode="constant")
    half = PART // 2
    inner = busy[half : len(busy) - half, half : len(busy) - half]
    row, column = np.unravel_index(inner.argmax(), inner.shape)
    parts = [texture[row : row + PART, column : column + PART] for texture in textures]
    gap = np.full((PART, 8, 3), 255, np.uint8)
    joined = np.hstack([p for part in parts for p in (part, gap)][:-1])
    Image.fromarray(joined).save(path)


def ssim_within(texture: np.ndarray, true: np.ndarray, mask: np.ndarray) -> float:
    values = similarity.ssim_map(_tensor(texture), _tensor(true))
    return similarity.within(values, torch.from_numpy(mask)[None, None]).item()


def _tensor(pixels: np.ndarray) -> Tensor:
    """A uint8 picture [T, T, 3] as [1, 3, T, T] in [-1, 1]."""
    return torch.tensor(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1


if __name__ == "__main__":
    main()
