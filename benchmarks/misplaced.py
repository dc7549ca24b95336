"""Textures of photos that do not lie as their cameras stood, with and without registration.

    python -m benchmarks.misplaced PHOTOS CHECKPOINT --liveries 4

The set and the checkpoint are those of :mod:`benchmarks.full_resolution`. Each photo is moved by
so many pixels of the network, in a direction of its own, and enlarged or reduced by so many percent
about its middle. Its border colours are repeated. Then `uvtex infer --fuse --whole --texture-size
T` makes the texture, T the true texture's size, once without registration and once as released.

Figures are SSIM with the true texture over the texels that the photos see, averaged over the
liveries; the change of a livery by registration, its mean, least and largest; the distance between
where a painted pixel lies and where it is taken to lie, in pixels of the network, root mean square
over a photo's pixels, its median and largest over the photos; and the photos that were not placed.

With `--no-textures` the photos of all cameras of the set are registered one by one, and no texture
is made. Figures are then how many photos were taken for another camera's, were not placed, or were
moved; the distance as above, over the photos that were placed; and in how many of these it is above
a tenth. SET may show the liveries elsewhere than the checkpoint's set: see `--studio` of
:mod:`benchmarks.photo_set`. With `--light` the checkpoint's light is reduced first, as if it came
from smaller views.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import click
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.full_resolution import (
    draw,
    held_out,
    of_held_out_photos,
    seen_by,
    ssim_within,
    written,
)
from uvtex.console import PATH, CleanErrorCommand
from uvtex.data.pictures import read_rgb
from uvtex.files import png
from uvtex.imaging.full_size import ViewGeometry
from uvtex.imaging.registration.similarity import inverse, picture_back
from uvtex.inference.fuse import fuse
from uvtex.inference.infer import as_views
from uvtex.inference.photos import Photo, prepare
from uvtex.inference.placement import not_placed, placed
from uvtex.models import Predictor
from uvtex.runs import checkpoint
from uvtex.showroom.rendering.plate_files import read_plate

MOVES = (
    *((shift, 0.0, 0.0) for shift in (0.0, 0.25, 0.5, 1.0, 2.0)),
    *((0.0, 1.0, 0.0), (0.0, 3.0, 0.0), (1.0, 3.0, 0.0)),
    *((0.0, 0.0, turn) for turn in (0.5, 1.0, 2.0, 4.0)),
    *((1.0, 3.0, 2.0), (0.0, 0.0, 7.0)),
)
"""Shifts in pixels of the network, changes of scale in percent, and turns in degrees."""
REGISTERED = (
    *((shift, 0.0, 0.0) for shift in (0.0, 0.25)),
    (1.0, 3.0, 2.0),
    *((8.0, 0.0, 0.0), (0.0, 12.0, 0.0), (0.0, 0.0, 7.0)),
)
"""Those of `--no-textures`. The last three are beyond what is sought."""
Move = tuple[float, float, float, float]
"""Right and down in parts of the side, scale, and turn in degrees, clockwise."""


@click.command(cls=CleanErrorCommand)
@of_held_out_photos
@click.option(
    "--picture",
    type=PATH,
    help="Write a part of the first livery's textures at a shift of 1 here: true, as the photos "
    "lie, registered.",
)
@click.option("--no-textures", is_flag=True, help="Register the photos of all cameras, no more.")
@click.option("--light", type=int, help="With --no-textures: reduce the light to this side.")
@click.option("--seed", type=int, default=0, help="Seed of the directions.")
def main(
    data: Path,
    trained: Path,
    counts: tuple[int, ...],
    liveries: int,
    picture: Path | None,
    no_textures: bool,
    light: int | None,
    seed: int,
) -> None:
    """Print a Markdown table of SSIM and errors by shift and scale.

    \b
    Example:
      python -m benchmarks.misplaced PHOTOS best.safetensors --photos 3 --liveries 4
    """
    textures, cameras = held_out(data, trained)
    if no_textures:
        print_registered(data, trained, textures[:liveries], cameras, light, seed)
        return
    native = checkpoint.load(trained).config.image_size
    print(
        "| photos | shift | scale | turn | as it lies | registered | change | error | not placed |"
    )
    print("| --- |" + " --- |" * 8, flush=True)
    for count in counts:
        for shift, percent, degrees in MOVES:
            rng = np.random.default_rng(seed)
            found = []
            for texture in textures[:liveries]:
                moves = [drawn_move(rng, shift / native, percent, degrees) for _ in range(count)]
                drawn = picture if (shift, percent, degrees) == (1.0, 0.0, 0.0) else None
                found.append(measured(data, trained, texture, cameras[:count], moves, drawn))
                picture = None if drawn else picture
            scores = np.array([row.ssim for row in found])
            gains = scores[:, 1] - scores[:, 0]
            before, after = scores.mean(axis=0)
            errors = np.concatenate([row.errors for row in found]) * native
            lost = sum(row.lost for row in found)
            print(
                f"| {count} | {shift:g} | {percent:g} % | {degrees:g} | {before:.3f} | {after:.3f} "
                f"| {gains.mean():+.3f} ({gains.min():+.3f} to {gains.max():+.3f}) "
                f"| {np.median(errors):.3f}, {errors.max():.3f} | {lost} of {len(errors)} |",
                flush=True,
            )


def print_registered(
    data: Path,
    trained: Path,
    textures: list[Path],
    cameras: list[str],
    light: int | None,
    seed: int,
) -> None:
    """Prints how the photos of all cameras are registered, one row a move."""
    loaded = checkpoint.load(trained)
    predictor, native = loaded.predictor.eval(), loaded.config.image_size
    known = [view.uv for view in predictor.still_cameras()]
    print(
        "| shift | scale | turn | photos | other camera | not placed | moved | error | above .1 |"
    )
    print("| --- |" + " --- |" * 8, flush=True)
    for shift, percent, degrees in REGISTERED:
        rng = np.random.default_rng(seed)
        photos, errors, others = [], [], 0
        for texture, (number, camera) in product(textures, enumerate(cameras)):
            move = drawn_move(rng, shift / native, percent, degrees)
            view = misplaced(read_rgb(data / "views" / camera / texture.name), *move)
            with tempfile.TemporaryDirectory() as scratch:
                path = Path(scratch) / texture.name
                path.write_bytes(png(view))
                before = prepare(path, native, None, whole=True)
                with patch.object(predictor, "geometry", partial(_geometry, predictor, light)):
                    photos.append(placed(predictor, before))
            [found] = predictor.geometry(as_views([before], torch.device("cpu")))
            others += not np.array_equal(found.uv, known[number], equal_nan=True)
            if not not_placed(photos[-1]):
                errors.append(native * _error(read_plate(data, camera).mask, move, photos[-1]))
        lost = sum(map(not_placed, photos))
        moved = sum(p.placement is not None and p.placement.moved for p in photos)
        median, most = (np.median(errors), max(errors)) if errors else (np.nan, np.nan)
        print(
            f"| {shift:g} | {percent:g} % | {degrees:g} | {len(photos)} | {others} | {lost} "
            f"| {moved} | {median:.3f}, {most:.3f} | {sum(e > 0.1 for e in errors)} |",
            flush=True,
        )


def _geometry(predictor: Predictor, light: int | None, views: Tensor) -> list[ViewGeometry]:
    """What ``predictor`` knows of the views, with light of ``light`` pixels a side."""

    def reduced(values: np.ndarray) -> np.ndarray:
        channels = torch.from_numpy(values).permute(2, 0, 1)[None]
        return F.adaptive_avg_pool2d(channels, light)[0].permute(1, 2, 0).numpy()

    found = type(predictor).geometry(predictor, views)
    if light is None:
        return found
    return [replace(v, falling=reduced(v.falling), reflected=reduced(v.reflected)) for v in found]


class Measured(NamedTuple):
    """What was found for one livery."""

    ssim: tuple[float, float]
    """As the photos lie, and registered."""
    errors: list[float]
    """Of each photo, registered, in parts of its side."""
    lost: int
    """Photos that were not placed."""


def measured(
    data: Path,
    trained: Path,
    texture: Path,
    cameras: list[str],
    moves: list[Move],
    picture: Path | None,
) -> Measured:
    """Makes the texture of misplaced photos with and without registration.

    Args:
        moves: of each camera's photo, the arguments of :func:`misplaced`.
        picture: a part of the textures is drawn into this file.
    """
    true = read_rgb(texture)
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch)
        views = [
            misplaced(read_rgb(data / "views" / camera / texture.name), *move)
            for camera, move in zip(cameras, moves, strict=True)
        ]
        photos = written(out, texture.name, cameras, views)
        settings = {"device": "cpu", "whole": True, "keep_all": True, "texture_size": len(true)}
        with patch("uvtex.inference.infer.placed", lambda _, photo: photo):
            [still] = fuse(str(trained), photos, out / "still", **settings)
        [made] = fuse(str(trained), photos, out / "placed", **settings)
        mask = np.any([seen_by(data, camera, len(true)) for camera in cameras], axis=0)
        one, two = (read_rgb(result.files["texture"]) for result in (still, made))
    if picture is not None:
        draw(picture, [true, one, two], mask)
    return Measured(
        (ssim_within(one, true, mask), ssim_within(two, true, mask)),
        [
            _error(read_plate(data, camera).mask, move, photo)
            for camera, move, photo in zip(cameras, moves, made.photos, strict=True)
        ],
        sum(p.placement is not None and not p.placement.known for p in made.photos),
    )


def drawn_move(rng: np.random.Generator, shift: float, percent: float, degrees: float) -> Move:
    """A direction and the senses of scale and turn by chance."""
    angle = rng.uniform(0, 2 * np.pi)
    scale = (1 + percent / 100) ** rng.choice([-1, 1])
    turn = degrees and degrees * rng.choice([-1, 1])
    return shift * np.cos(angle), shift * np.sin(angle), float(scale), float(turn)


def misplaced(
    photo: np.ndarray, right: float, down: float, scale: float, degrees: float = 0.0
) -> np.ndarray:
    """A square photo uint8 [H, H, 3], scaled and turned about its middle, then moved.

    The arguments are those of :data:`Move`.
    """
    lies = [2 * right, 2 * down, np.log(scale), np.radians(degrees)]
    return picture_back(photo, inverse(torch.tensor(lies, dtype=torch.float64)))


def _form(scale: float, degrees: float) -> np.ndarray:
    """The matrix that turns points (right, down) clockwise and scales them."""
    cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    form: np.ndarray = scale * np.array([[cos, -sin], [sin, cos]])
    return form


def _error(mask: np.ndarray, move: Move, photo: Photo) -> float:
    """How far painted pixels lie from where they are taken to lie, root mean square.

    In parts of the photo's side.

    Args:
        mask: [H, H], the painted pixels of the camera's picture.
        move: how the photo was moved from it.
    """
    right, down, scale, degrees = move
    rows, columns = np.nonzero(mask)
    side = len(mask)
    at = np.stack([columns, rows], axis=1) + 0.5 - side / 2
    true = side / 2 + at @ _form(scale, degrees).T + side * np.array([right, down])
    turn = 0.0 if photo.placement is None else np.degrees(photo.placement.turn)
    taken = np.array(photo.square.middle) + at @ _form(photo.square.side / side, turn).T
    return float(np.sqrt(((true - taken) ** 2).sum(axis=1).mean()) / side)


if __name__ == "__main__":
    main()
