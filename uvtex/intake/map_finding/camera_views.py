"""The training views of one still camera, as tensors, and what was left out of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from uvtex.data import pictures
from uvtex.data.coding_error import brightness_error
from uvtex.data.manifest import Record
from uvtex.errors import DataError
from uvtex.imaging.compose import linear_from_srgb

ALIKE = 2.0
"""Mean difference of two textures, in levels of 255, up to which they are one livery."""
GREY = 2.0
"""Mean difference of a picture's channels, in levels, up to which it is grey."""
FORM = 1.02
"""Ratio of two pictures' aspect ratios from which they are not of one camera."""


@dataclass(frozen=True)
class CameraViews:
    """What the estimate of a camera's map is made from."""

    views: Tensor  # uint8 [L, 3, h, w], sRGB
    textures: Tensor  # float [L, 3, T, T], linear
    liveries: list[str]
    files: list[str]
    """The views' files, as the manifest names them."""
    brightness_error: float = 0.0
    """Standard deviation that lossy files, or a change of exposure, may have added to the views'
    brightness, in levels of 255: the root of the mean square over the views. 0 without either."""
    notes: list[str] = field(default_factory=list)
    resampled: bool = False
    """Whether any view was moved, or the files are of several sizes."""

    def without(self, number: int, why: str) -> CameraViews:
        """The views but one, with a note."""
        kept = [k for k in range(len(self.liveries)) if k != number]
        note = f"the view of {self.liveries[number]!r} was not used: {why}"
        return replace(
            self,
            views=self.views[kept],
            textures=self.textures[kept],
            liveries=[self.liveries[k] for k in kept],
            files=[self.files[k] for k in kept],
            notes=[*self.notes, note],
        )


class TextureReader:
    """Reads textures once, in linear light, at most ``side`` texels a side."""

    def __init__(self, folder: Path, side: int) -> None:
        self._folder, self._side = folder, side
        self._known: dict[str, Tensor] = {}

    def read(self, name: str) -> Tensor:
        """The texture, float [3, T, T] with ``T = side``.

        Raises:
            DataError: the file cannot be read.
        """
        if name not in self._known:
            rgb = torch.from_numpy(pictures.read_rgb(self._folder / name).copy())
            paint = linear_from_srgb(rgb.permute(2, 0, 1).float() / 255)[None]
            size = (self._side, self._side)
            if min(paint.shape[-2:]) >= self._side:
                paint = F.interpolate(paint, size=size, mode="area")
            else:
                paint = F.interpolate(paint, size=size, mode="bilinear", align_corners=False)
            self._known[name] = paint[0]
        return self._known[name]


def read_camera(
    folder: Path, records: Sequence[Record], longest: int, textures: TextureReader
) -> CameraViews | None:
    """The views of a camera: one for each livery that differs from the others.

    Args:
        records: training records of the camera.
        longest: the longer side of the views is reduced to so many pixels.

    Returns:
        None if no view can be read.
    """
    notes: list[str] = []
    first: dict[str, Record] = {}
    for record in records:
        first.setdefault(record.livery, record)
    opened: list[tuple[Record, np.ndarray]] = []
    for record in _distinct(first, textures, notes):
        try:
            opened.append((record, _reduced(folder / record.view, longest)))
        except DataError as error:
            notes.append(f"the view of {record.livery!r} was not used: {error}")
    if not opened:
        return None
    size = _common_size([picture for _, picture in opened])
    views, kept, paints, errors, sides = [], [], [], [], set()
    for record, picture in opened:
        if not _same_form(picture.shape[:2], size):
            notes.append(
                f"the view of {record.livery!r} was not used: it has another form "
                f"({picture.shape[1]}x{picture.shape[0]} after scaling, most have "
                f"{size[1]}x{size[0]})"
            )
            continue
        if picture.shape[:2] != size:
            picture = resized(picture, size)
        views.append(torch.from_numpy(picture.copy()).permute(2, 0, 1))
        kept.append(record)
        facts = pictures.describe(folder / record.view)
        sides.add((facts.width, facts.height))
        reduction = max(facts.width, facts.height) / max(size)
        errors.append(brightness_error(folder / record.view, reduction))
        paints.append(textures.read(record.texture))
    grey = [_is_grey(view) for view in views]
    if any(grey):
        notes.append(f"{sum(grey)} of {len(views)} views are grey: they tell less")
    names = [record.livery for record in kept], [record.view for record in kept]
    coded = float(np.sqrt(np.mean(np.square(errors))))
    resampled = len(sides) > 1
    return CameraViews(torch.stack(views), torch.stack(paints), *names, coded, notes, resampled)


def _distinct(first: dict[str, Record], textures: TextureReader, notes: list[str]) -> list[Record]:
    """A record for each livery. Two liveries with one texture count as one."""
    kept: list[tuple[Record, Tensor]] = []
    twins: dict[str, list[str]] = {}
    for livery, record in first.items():
        paint = _small(textures.read(record.texture))
        twin = next((r for r, other in kept if (paint - other).abs().mean() * 255 < ALIKE), None)
        if twin is None:
            kept.append((record, paint))
        else:
            twins.setdefault(twin.livery, []).append(livery)
    for livery, others in twins.items():
        if len(others) == 1:
            notes.append(f"{others[0]!r} has the paint of {livery!r} and counts once")
        else:
            notes.append(
                f"{len(others)} liveries, such as {others[0]!r}, have the paint of {livery!r} and "
                "count once with it"
            )
    return [record for record, _ in kept]


def _small(paint: Tensor) -> Tensor:
    return F.interpolate(paint[None], size=(32, 32), mode="area")[0]


def _reduced(path: Path, longest: int) -> np.ndarray:
    """The picture, uint8 [h, w, 3], its longer side at most ``longest``."""
    rgb = pictures.read_rgb(path)
    scale = longest / max(rgb.shape[:2])
    if scale >= 1:
        return rgb
    width, height = (max(1, round(side * scale)) for side in rgb.shape[1::-1])
    return resized(rgb, (height, width))


def resized(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture uint8 [H, W, 3] at a size (h, w).

    The means of whole pixels are taken where they divide the picture. Else they would lie up to
    half a pixel of the picture beside their middle.
    """
    if picture.shape[0] % size[0] == 0 and picture.shape[1] % size[1] == 0:
        how = Image.Resampling.BOX
    elif picture.shape[0] >= size[0]:
        how = Image.Resampling.HAMMING
    else:
        how = Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(picture).resize(size[::-1], how))


def _common_size(views: Sequence[np.ndarray]) -> tuple[int, int]:
    """Height and width: the most frequent size of the most frequent form."""
    sizes = [(view.shape[0], view.shape[1]) for view in views]

    def rank(size: tuple[int, int]) -> tuple[int, int, int]:
        form = sum(_same_form(size, other) for other in sizes)
        return form, sizes.count(size), size[0]

    return max(sizes, key=rank)


def _same_form(one: Sequence[int], other: Sequence[int]) -> bool:
    ratio = one[1] / one[0] * other[0] / other[1]
    pixel = 1.5 / min(*one, *other)
    return max(ratio, 1 / ratio) < max(FORM, 1 + pixel)


def _is_grey(view: Tensor) -> bool:
    colours = view.float()
    return bool((colours - colours.mean(dim=0)).abs().mean() < GREY / 2)
