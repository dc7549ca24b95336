"""Procedural liveries. A seed gives the same livery at every call and at every texture size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uvtex.showroom.cars.built_in import texels
from uvtex.showroom.cars.texel_map import TexelMap
from uvtex.showroom.liveries import decals, patterns
from uvtex.showroom.liveries.canvas import Canvas, texels_a_side


def paint(seed: int, size: int, surface: TexelMap | None = None) -> NDArray[np.uint8]:
    """Paint the livery of ``seed``: a texture [size, size, 3], sRGB, row 0 is v = 1.

    Gutters and openings repeat the nearest paint.

    Args:
        surface: the place of each sample on the car, [side, side]. :func:`samples` gives the
            side. The default is the surface of the built-in car.
    """
    rng = np.random.default_rng([0x11BE4, seed])
    canvas = Canvas.blank(texels(samples(size)) if surface is None else surface)
    colours = patterns.palette(rng)
    _base(rng)(canvas, rng, colours)
    for accent, probability in patterns.ACCENTS:
        if rng.random() < probability:
            accent(canvas, rng, colours)
    large_word = rng.random() < 0.4
    decals.word_marks(canvas, rng, colours, large=large_word)
    decals.number(canvas, rng, colours, beside=large_word)
    return canvas.picture(size)


def samples(size: int) -> int:
    """The number of paint samples along the side of a texture with ``size`` texels a side."""
    return size * texels_a_side(size)


def _base(rng: np.random.Generator) -> patterns.Pattern:
    parts = np.array([part for _, part in patterns.BASES])
    return patterns.BASES[int(rng.choice(len(parts), p=parts / parts.sum()))][0]
