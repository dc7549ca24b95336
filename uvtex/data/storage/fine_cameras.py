"""A set's cameras at more pixels than the networks see, for textures of full size.

Within a pixel of the network the light may change from one panel to the next, and a panel may end.
Training does not need to know. A photo that is sampled at its own resolution does: there an error
of the light is an error of the paint. Views and UV maps that are larger than the networks' tell
more, by the same fit of the light.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from uvtex.data import pictures
from uvtex.data.storage.loaded_set import COLUMNS, LoadedSet, Maps
from uvtex.data.storage.map_files import resampled
from uvtex.imaging import camera_bank as banks
from uvtex.imaging import light_fit, uv_maps
from uvtex.imaging.compose import linear_from_srgb

LARGEST = 512
"""Largest side of a fine camera, in pixels. A camera takes 4 MB of a checkpoint.

Where there is paint the light is finer by `camera_bank.DETAIL`, if the views are: 3 MB more.
"""
LIVERIES = 40
"""Most training views of a camera that are read again."""
BLUR = 0.5
"""Standard deviation of the blur of what the light is fitted to, in pixels of a fine camera.

The fit of each pixel has an error of its own, from noise and from what the map rounds.
"""
SATURATED = 0.98
"""Value of a view above which it may be saturated. Its light counts as too little then.

It is below 1, since a pixel is the mean of the view's pixels, some of them saturated.
"""


Read = Callable[[str, int], np.ndarray]
"""Gives a picture of the set at a side in pixels: uint8 [side, side, 3], sRGB."""


class FineCameras(NamedTuple):
    """The cameras of a set at F pixels."""

    paint: Tensor  # int16 [K, 2, F, F]: UV of each pixel, see uvtex.imaging.camera_bank.encode
    light: Tensor  # float16 [K, 6, F, F]: falling, then reflected
    detail: Tensor | None  # float16 [6, N], see uvtex.imaging.camera_bank.CameraBank


def fine_cameras(loaded: LoadedSet, maps: Maps, train: Sequence[int]) -> FineCameras | None:
    """The fine cameras of ``maps``, by the training views ``train`` alone.

    None if the views are no finer than the networks', or are composed: then they are of that size.

    Raises:
        DataError: a file cannot be read any more.
    """
    files = loaded.files
    if files is None:
        return None
    names = files.views.split("\0")
    index = loaded.index[list(train)]
    first = pictures.describe(files.folder / names[int(index[0, COLUMNS.index("view")])])
    largest = min(first.width, first.height)
    side = min(largest, LARGEST) // loaded.size * loaded.size
    if side < 2 * loaded.size:
        return None
    # One call's own: the files may be others at the next.
    read = lru_cache(2 * LIVERIES)(lambda name, side: pictures.read_rgb(files.folder / name, side))
    paints, lights, details = [], [], []
    for camera in range(len(maps.flow)):
        rows = index[index[:, COLUMNS.index("map")] == camera]
        rows = rows[torch.linspace(0, len(rows) - 1, min(len(rows), LIVERIES)).long()]
        shown = [(names[view], files.textures[paint]) for view, paint, *_ in rows.tolist()]
        uv, _ = uv_maps.read_doubtful_map(files.folder / str(files.maps[camera]), files.stiffness)
        paint = torch.from_numpy(banks.encode(resampled(uv, side)))
        light = _light(read, shown, paint, (slice(None), slice(None)))
        paints.append(paint)
        lights.append(light.half())
        if largest >= banks.DETAIL * side:
            details.append(_detail(read, shown, uv, banks.detailed(paint), light))
    detail = torch.cat(details, dim=1).half().to(loaded.device) if details else None
    paint, light = (torch.stack(part).to(loaded.device) for part in (paints, lights))
    return FineCameras(paint, light, detail)


def _detail(
    read: Read,
    shown: Sequence[tuple[str, str]],
    uv: np.ndarray,
    painted: Tensor,
    coarse: Tensor,
) -> Tensor:
    """The light [6, N] of the pixels ``painted``, bool [D, D], row by row.

    Args:
        coarse: the light [6, F, F], for pixels that have no place in the finer map.
    """
    side = len(painted)
    rows, columns = (
        slice(int(at.min()), int(at.max()) + 1) if len(at) else slice(0, 1)
        for at in torch.nonzero(painted, as_tuple=True)
    )
    paint = torch.from_numpy(banks.encode(resampled(uv, side)))
    light = F.interpolate(coarse[None], (side, side), mode="bilinear")[0]
    placed = (paint[0] != banks.NO_PAINT)[rows, columns]
    fitted = _light(read, shown, paint, (rows, columns))
    light[:, rows, columns] = torch.where(placed, fitted, light[:, rows, columns])
    return light[:, painted]


def _light(
    read: Read,
    shown: Sequence[tuple[str, str]],
    paint: Tensor,
    part: tuple[slice, slice],
) -> Tensor:
    """Falling and reflected light, [6, h, w], of a part of a camera's picture.

    Args:
        shown: the names of views of the camera, each with the texture's.
        paint: int16 [2, F, F], of F pixels.
    """
    side, (rows, columns) = paint.shape[-1], part
    at = banks.aim(paint[None], side, side)

    def samples() -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        for view, texture in shown:
            albedo = banks.project(linear_from_srgb(_picture(read, texture, side)), at)
            shows = _picture(read, view, side)
            yield torch.zeros(1).long(), albedo[..., rows, columns], shows[..., rows, columns]

    inner = ndimage.minimum_filter(at.share[0, 0].numpy(), 3)[part]
    smooth = partial(_blurred, inner=inner)
    both = light_fit.fit_lights(samples(), 1, smooth, SATURATED)
    return torch.cat(both, dim=1)[0].clamp_max(60_000)


def _blurred(means: Tensor, inner: np.ndarray) -> Tensor:
    """Planes [..., F, F], blurred among the pixels ``inner`` [F, F], 1 or 0; others stay."""
    width = (0,) * (means.ndim - 2) + (BLUR, BLUR)
    total = np.maximum(ndimage.gaussian_filter(inner, BLUR), 1e-4)
    blurred = ndimage.gaussian_filter(means.numpy() * inner, width) / total
    return torch.from_numpy(np.where(inner > 0, blurred, means.numpy()))


def _picture(read: Read, name: str, side: int) -> Tensor:
    """A picture at ``side`` pixels: sRGB [1, 3, side, side] in [0, 1]."""
    return torch.tensor(read(name, side)).permute(2, 0, 1)[None].float() / 255
