"""The canvas of a procedural livery: the car's texels with their positions on the car.

Patterns are functions of position. They therefore continue across the seams between panels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from uvtex.showroom.cars.texel_map import PANELS, TexelMap

Floats32 = NDArray[np.float32]
Colour = NDArray[np.float64]


def texels_a_side(size: int) -> int:
    """The number of paint samples along one side of a texel.

    The samples of a texel are averaged at the end. Edges are therefore smooth at any texture size.
    """
    return 4 if size <= 128 else 3 if size < 256 else 2


@dataclass
class Canvas:
    """n = (size * k) squared paint samples, row by row from v = 1."""

    side: int
    position: Floats32  # [n, 3] metres
    panel: NDArray[np.int64]  # [n], index into PANELS; negative for no panel
    colour: Floats32  # [n, 3] sRGB in [0, 1]

    @classmethod
    def blank(cls, surface: TexelMap) -> Canvas:
        """An unpainted canvas. Its samples are the texels of ``surface`` [side, side]."""
        position = surface.position.reshape(-1, 3).astype(np.float32)
        return cls(len(surface.covered), position, surface.panel.ravel(), np.ones_like(position))

    @property
    def x(self) -> Floats32:
        """Metres forward of the car's centre."""
        return self.position[:, 0]

    @property
    def y(self) -> Floats32:
        """Metres to the car's left."""
        return self.position[:, 1]

    @property
    def z(self) -> Floats32:
        """Metres above the floor."""
        return self.position[:, 2]

    def on(self, *panels: str) -> NDArray[np.bool_]:
        """The samples on one of ``panels``: bool [n]."""
        names = list(PANELS)
        return np.asarray(np.isin(self.panel, [names.index(p) for p in panels]))

    def fill(self, where: NDArray[np.bool_], colour: Colour) -> None:
        """Paint the samples ``where`` [n] in one colour."""
        self.colour[where] = colour

    def blend(self, share: NDArray[np.floating], colour: Colour) -> None:
        """Paint all samples in one colour with the opacity ``share`` [n], clipped to [0, 1]."""
        share = np.clip(share, 0, 1).astype(np.float32)[:, None]
        self.colour = self.colour * (1 - share) + share * colour.astype(np.float32)

    def picture(self, size: int) -> NDArray[np.uint8]:
        """The texture: uint8 [size, size, 3], sRGB."""
        k = self.side // size
        mean = self.colour.reshape(size, k, size, k, 3).mean((1, 3))
        return np.asarray(np.round(np.clip(mean, 0, 1) * 255), dtype=np.uint8)


@dataclass(frozen=True)
class Frame:
    """The place of a decal: a rectangle in space, projected along its normal onto some panels."""

    panels: tuple[str, ...]
    origin: tuple[float, float, float]  # the rectangle's centre, metres
    right: tuple[float, float, float]
    up: tuple[float, float, float]
    turn: float = 0.0
    """Rotation in degrees, anticlockwise for a reader of the decal."""


def stamp(canvas: Canvas, decal: Image.Image, frame: Frame, height: float) -> None:
    """Project ``decal`` (RGBA) with a height of ``height`` metres onto the canvas."""
    width = height * decal.width / decal.height
    # The decal gets as many pixels as there are samples. Only the resize filters it.
    pixels = max(2, round(height * canvas.side / 4.65))
    decal = decal.resize((max(2, round(pixels * width / height)), pixels), Image.Resampling.BOX)
    index = np.flatnonzero(canvas.on(*frame.panels))
    offset = canvas.position[index] - np.asarray(frame.origin, dtype=np.float32)
    a, b = (offset @ np.asarray(axis, dtype=np.float32) for axis in (frame.right, frame.up))
    cos, sin = np.cos(np.radians(frame.turn)), np.sin(np.radians(frame.turn))
    column = ((a * cos + b * sin) / width + 0.5) * decal.width
    row = (0.5 - (b * cos - a * sin) / height) * decal.height
    inside = (column >= 0) & (column < decal.width) & (row >= 0) & (row < decal.height)
    rgba = np.asarray(decal, dtype=np.float32) / 255
    chosen = rgba[row[inside].astype(int), column[inside].astype(int)]
    at, share = index[inside], chosen[:, 3:]
    canvas.colour[at] = canvas.colour[at] * (1 - share) + chosen[:, :3] * share
