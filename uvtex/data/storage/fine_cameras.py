"""A set's cameras at more pixels than the networks see, for textures of full size.

Within a pixel of the network the light may change from one panel to the next, and a panel may end.
Training does not need to know. A photo that is sampled at its own resolution does: there an error
of the light is an error of the paint. Views and UV maps that are larger than the networks' tell
more, by the same fit of the light.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from uvtex.data import pictures
from uvtex.data.storage.loaded_set import COLUMNS, LoadedSet, Maps
from uvtex.data.storage.map_files import resampled, smoothed, without_gaps
from uvtex.imaging import camera_bank as banks
from uvtex.imaging import light_fit, uv_maps
from uvtex.imaging.compose import linear_from_srgb

LARGEST = 512
"""Largest side of a camera's picture, in pixels. Its light takes 3 MB of a checkpoint."""
FINEST = 1024
"""Largest side where there is paint. Half a picture of paint takes 8 MB, with its UV map."""
LIVERIES = 40
"""Most training views of a camera that are read again."""
SAMPLES = 2
"""Samples of the UV map along a pixel's side, by which the paint of the pixel is known."""
SATURATED = 0.98
"""Value of a view above which it may be saturated. Its light counts as too little then.

It is below 1, since a pixel is the mean of the view's pixels, some of them saturated.
"""


Read = Callable[[str, int], np.ndarray]
"""Gives a picture of the set at a side in pixels: uint8 [side, side, 3], sRGB."""


class FineCameras(NamedTuple):
    """The cameras of a set, as in :class:`uvtex.imaging.camera_bank.CameraBank`."""

    fine: Tensor  # float16 [K, 6, F, F]
    fine_painted: Tensor  # bool [K, D, D]
    fine_light: Tensor  # float16 [6, N]
    fine_paint: Tensor  # int16 [2, N]


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
    whole, painted, lights, paints = [], [], [], []
    for camera in range(len(maps.flow)):
        rows = index[index[:, COLUMNS.index("map")] == camera]
        rows = rows[torch.linspace(0, len(rows) - 1, min(len(rows), LIVERIES)).long()]
        shown = [(names[view], files.textures[paint]) for view, paint, *_ in rows.tolist()]
        path = files.folder / str(files.maps[camera])
        uv, confidence = uv_maps.read_doubtful_map(path, files.stiffness)
        if (confidence < 1).any():
            placed = _box(torch.from_numpy(np.isfinite(uv[..., 0])))
            uv[placed] = smoothed(without_gaps(uv[placed]))
        finest = min(largest, FINEST)
        paint = torch.from_numpy(banks.encode(resampled(uv, finest)))
        own = paint[0] != banks.NO_PAINT
        whole.append(_light(read, shown, uv, side, (slice(0, side), slice(0, side))).half())
        painted.append(own)
        part = _box(own)
        lights.append(_light(read, shown, uv, finest, part)[:, own[part]].half())
        paints.append(paint[:, own])
    device = loaded.device
    return FineCameras(
        torch.stack(whole).to(device),
        torch.stack(painted).to(device),
        torch.cat(lights, dim=1).to(device),
        torch.cat(paints, dim=1).to(device),
    )


def _box(chosen: Tensor) -> tuple[slice, slice]:
    """The rows and columns of the pixels ``chosen``, bool [h, w]; the first if there is none."""
    rows, columns = (
        slice(int(at.min()), int(at.max()) + 1) if len(at) else slice(0, 1)
        for at in torch.nonzero(chosen, as_tuple=True)
    )
    return rows, columns


def _light(
    read: Read,
    shown: Sequence[tuple[str, str]],
    uv: np.ndarray,
    side: int,
    part: tuple[slice, slice],
) -> Tensor:
    """Falling and reflected light, [6, h, w], of a part of a camera's picture.

    Args:
        shown: the names of views of the camera, each with the texture's.
        side: of the whole picture, in pixels.
    """
    rows, columns = part
    samples_of = tuple(slice(SAMPLES * x.start, SAMPLES * x.stop) for x in part)
    paint = torch.from_numpy(banks.encode(resampled(uv, SAMPLES * side)))
    whole = banks.aim(paint[None], side, side)
    at = banks.Aim(whole.grid[:, *samples_of], whole.share[..., rows, columns])

    def samples() -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        for view, texture in shown:
            albedo = banks.project(linear_from_srgb(_picture(read, texture, side)), at)
            shows = _picture(read, view, side)
            yield torch.zeros(1).long(), albedo, shows[..., rows, columns]

    both = light_fit.fit_lights(samples(), 1, SATURATED)
    return torch.cat(both, dim=1)[0].clamp_max(60_000)


def _picture(read: Read, name: str, side: int) -> Tensor:
    """A picture at ``side`` pixels: sRGB [1, 3, side, side] in [0, 1]."""
    return torch.tensor(read(name, side)).permute(2, 0, 1)[None].float() / 255
