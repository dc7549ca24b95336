"""A set's cameras at more pixels than the networks see, for textures of full size.

Within a pixel of the network the light may change from one panel to the next, and a panel may end.
Training does not need to know. A photo that is sampled at its own resolution does: there an error
of the light is an error of the paint. Views and UV maps that are larger than the networks' tell
more, by the same fit of the light.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from uvtex.data import pictures
from uvtex.data.storage.loaded_set import COLUMNS, LoadedSet, Maps, PictureFiles
from uvtex.data.storage.map_files import resampled
from uvtex.imaging import camera_bank as banks
from uvtex.imaging import light_fit, uv_maps
from uvtex.imaging.compose import linear_from_srgb

LARGEST = 512
"""Largest side of a fine camera, in pixels. A camera takes 4 MB of a checkpoint."""
LIVERIES = 40
"""Most training views of a camera that are read again."""
BLUR = 0.5
"""Standard deviation of the blur of what the light is fitted to, in pixels of a fine camera.

The fit of each pixel has an error of its own, from noise and from what the map rounds.
"""


class FineCameras(NamedTuple):
    """The cameras of a set at F pixels."""

    paint: Tensor  # int16 [K, 2, F, F]: UV of each pixel, see uvtex.imaging.camera_bank.encode
    light: Tensor  # float16 [K, 6, F, F]: falling, then reflected


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
    side = min(first.width, first.height, LARGEST) // loaded.size * loaded.size
    if side < 2 * loaded.size:
        return None
    texture = lru_cache(maxsize=2 * LIVERIES)(lambda k: _linear(files, files.textures[k], side))
    paints, lights = [], []
    for camera in range(len(maps.flow)):
        rows = index[index[:, COLUMNS.index("map")] == camera]
        rows = rows[torch.linspace(0, len(rows) - 1, min(len(rows), LIVERIES)).long()]
        uv, _ = uv_maps.read_doubtful_map(files.folder / str(files.maps[camera]), files.stiffness)
        paint = torch.from_numpy(banks.encode(resampled(uv, side)))
        at = banks.aim(paint[None], side, side)

        def samples(
            rows: Tensor = rows, at: banks.Aim = at
        ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
            for view, paint, *_ in rows.tolist():
                shown = _picture(files, names[view], side)
                yield torch.zeros(1, dtype=torch.int64), banks.project(texture(paint), at), shown

        inner = ndimage.minimum_filter(at.share[0, 0].numpy(), 3)
        both = light_fit.fit_lights(samples(), 1, side, partial(_blurred, inner=inner))
        paints.append(paint)
        lights.append(torch.cat(both, dim=1)[0].clamp_max(60_000).half())
    return FineCameras(torch.stack(paints).to(loaded.device), torch.stack(lights).to(loaded.device))


def _blurred(means: Tensor, inner: np.ndarray) -> Tensor:
    """Planes [..., F, F], blurred among the pixels ``inner`` [F, F], 1 or 0; others stay."""
    width = (0,) * (means.ndim - 2) + (BLUR, BLUR)
    total = np.maximum(ndimage.gaussian_filter(inner, BLUR), 1e-4)
    blurred = ndimage.gaussian_filter(means.numpy() * inner, width) / total
    return torch.from_numpy(np.where(inner > 0, blurred, means.numpy()))


def _picture(files: PictureFiles, name: str, side: int) -> Tensor:
    """A picture at ``side`` pixels: sRGB [1, 3, side, side] in [0, 1]."""
    pixels = pictures.read_rgb(files.folder / name, side)
    return torch.tensor(pixels).permute(2, 0, 1)[None].float() / 255


def _linear(files: PictureFiles, name: str, side: int) -> Tensor:
    return linear_from_srgb(_picture(files, name, side))
