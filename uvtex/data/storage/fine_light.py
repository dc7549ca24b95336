"""The light of a set's cameras at more pixels than the networks see, for textures of full size.

Within a pixel of the network the light may change from one panel to the next. Training does not
need to know. A photo that is sampled at its own resolution does: there an error of the light is an
error of the paint. Views that are larger than the networks' tell the finer light, by the same fit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from uvtex.data import pictures
from uvtex.data.storage.loaded_set import COLUMNS, LoadedSet, Maps, PictureFiles
from uvtex.imaging import camera_bank as banks
from uvtex.imaging import light_fit
from uvtex.imaging.compose import linear_from_srgb
from uvtex.imaging.full_size import WHOLE

LARGEST = 256
"""Largest side of the fine light, in pixels. A camera takes 0.8 MB of a checkpoint."""
LIVERIES = 40
"""Most training views of a camera that are read again."""
BLUR = 0.7
"""Standard deviation of the blur of the fitted light, in pixels of it."""


def fine_light(loaded: LoadedSet, maps: Maps, train: Sequence[int]) -> Tensor | None:
    """``fine`` of :class:`uvtex.imaging.camera_bank.CameraBank`.

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
    side = _side(maps.paint.shape[-1], loaded.size, min(first.width, first.height, LARGEST))
    if side is None:
        return None
    texture = lru_cache(maxsize=4 * LIVERIES)(lambda k: _linear(files, files.textures[k], side))
    found = []
    for camera in range(len(maps.flow)):
        rows = index[index[:, COLUMNS.index("map")] == camera]
        rows = rows[torch.linspace(0, len(rows) - 1, min(len(rows), LIVERIES)).long()]
        at = banks.aim(maps.paint[camera][None].cpu(), side, side)

        def samples(
            rows: Tensor = rows, at: banks.Aim = at
        ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
            for view, paint, *_ in rows.tolist():
                shown = _picture(files, names[view], side)
                yield torch.zeros(1, dtype=torch.int64), banks.project(texture(paint), at), shown

        falling, reflected = light_fit.fit_lights(samples(), 1, side)
        both = _smooth(torch.cat([falling, reflected], dim=1)[0], at.share[0, 0])
        found.append(both.clamp_max(60_000).half())
    return torch.stack(found).to(loaded.device)


def _smooth(light: Tensor, share: Tensor) -> Tensor:
    """The light [6, F, F], blurred a little by pixels of whole paint alone; others stay.

    The fit of each pixel has an error of its own, from noise and from what the map rounds.

    Args:
        share: [F, F], the share of each pixel that shows paint.
    """
    whole = ndimage.minimum_filter(share.numpy(), 3) >= WHOLE
    total = np.maximum(ndimage.gaussian_filter(whole.astype(np.float32), BLUR), 1e-4)
    blurred = ndimage.gaussian_filter(light.numpy() * whole, (0, BLUR, BLUR)) / total
    return torch.from_numpy(np.where(whole, blurred, light.numpy()))


def _side(grid: int, size: int, most: int) -> int | None:
    """The largest multiple of ``size`` up to ``most`` that divides the UV map's side ``grid``."""
    sides = [n for n in range(2 * size, min(grid, most) + 1, size) if grid % n == 0]
    return max(sides, default=None)


def _picture(files: PictureFiles, name: str, side: int) -> Tensor:
    """A picture at ``side`` pixels: sRGB [1, 3, side, side] in [0, 1]."""
    pixels = pictures.read_rgb(files.folder / name, side)
    return torch.tensor(pixels).permute(2, 0, 1)[None].float() / 255


def _linear(files: PictureFiles, name: str, side: int) -> Tensor:
    return linear_from_srgb(_picture(files, name, side))
