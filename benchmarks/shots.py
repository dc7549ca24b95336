"""The pictures of a rendered set, as a camera would have written them that is less than perfect."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from uvtex.data import pictures
from uvtex.data.coding_error import brightness_error
from uvtex.imaging.compose import linear_from_srgb, srgb_from_linear
from uvtex.imaging.map_estimation.exposure import ERROR, exposures, levelled


@dataclass(frozen=True)
class Shot:
    """What became of a picture."""

    jpeg: int | None = None
    """Quality of its JPEG file, of the picture's own size. None: it is without loss."""
    size: int | None = None
    """Side to which it is reduced, after that."""
    exposure: float = 0.0
    """Largest factor, less 1, by which the exposure of a picture differs, up or down."""

    def name(self, of: str) -> str:
        """What a table calls a set with such pictures."""
        named = of if self.jpeg is None else f"{of}-jpeg{self.jpeg}"
        named = named if self.size is None else f"{named} at {self.size}"
        return named if not self.exposure else f"{named}, exposure {self.exposure:g}"


def photographed(paths: Sequence[Path], shot: Shot) -> tuple[Tensor, float]:
    """Pictures uint8 [L, 3, h, w] as `uvtex data maps` has them, and the error of their brightness.

    The error is in levels of 255. Exposures are drawn by seed 0, the logarithm uniformly.
    """
    found, errors = [], []
    generator = np.random.default_rng(0)
    with TemporaryDirectory() as folder:
        for path in paths:
            pixels = pictures.read_rgb(path)
            if shot.exposure:
                most = np.log1p(shot.exposure)
                pixels = _exposed(pixels, float(np.exp(generator.uniform(-most, most))))
            if shot.jpeg is not None:
                path = Path(folder) / f"{path.stem}.jpg"
                Image.fromarray(pixels).save(path, quality=shot.jpeg)
                pixels = pictures.read_rgb(path)
            side = shot.size or len(pixels)
            errors.append(brightness_error(path, len(pixels) / side))
            if side != len(pixels):
                smaller = Image.fromarray(pixels).resize((side, side), Image.Resampling.BOX)
                pixels = np.asarray(smaller)
            found.append(torch.from_numpy(pixels.copy()).permute(2, 0, 1))
    error = float(np.sqrt(np.mean(np.square(errors))))
    if shot.exposure:
        pairs = zip(found, exposures(torch.stack(found))[0], strict=True)
        found = [levelled(*pair) for pair in pairs]
        error = math.hypot(error, ERROR)
    return torch.stack(found), error


def _exposed(pixels: np.ndarray, factor: float) -> np.ndarray:
    light = linear_from_srgb(torch.from_numpy(pixels.copy()) / 255) * factor
    exposed: np.ndarray = (srgb_from_linear(light) * 255).round().to(torch.uint8).numpy()
    return exposed
