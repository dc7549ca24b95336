"""Textures at full resolution, from prepared photos: see :mod:`uvtex.imaging.full_size`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from uvtex.data import pictures
from uvtex.evaluation.grids import encode_png, to_picture
from uvtex.imaging.full_size import (
    DOUBTFUL,
    UNKNOWN,
    FullTexture,
    PhotoTexels,
    ViewGeometry,
    detail_of,
    weights,
)
from uvtex.imaging.placing import Placement
from uvtex.imaging.placing.bending import displacements
from uvtex.inference.encoding import encode_pixels, with_alpha
from uvtex.inference.photos import Photo
from uvtex.inference.placement import exposed, straightened
from uvtex.models import Predictor


@dataclass(frozen=True)
class FullSize:
    """A texture that was sampled from photos, and what is known of each texel."""

    texture: np.ndarray  # uint8 or uint16 [T, T, 3]
    confidence: np.ndarray  # uint8 [T, T]
    layers: np.ndarray  # uint8 [T, T] of 255 seen, 128 mended, 0 unknown
    sampled: float
    """Share of the texels that were sampled from a photo."""
    sharpness: tuple[float, ...]
    """Of each photo, in parts of the sharpest's: see :mod:`uvtex.imaging.full_size.sharpness`."""
    bends: tuple[float, ...]
    """How far each photo was straightened, in its pixels, at most; 0 where it was not."""

    def files(self, alpha: bool = False) -> dict[str, bytes]:
        """Kind of result -> the PNG file: ``texture``, ``confidence`` and ``layers``.

        Args:
            alpha: the texture gets an alpha channel: unknown texels are transparent.
        """
        pixels = with_alpha(self.texture, self.layers != UNKNOWN) if alpha else self.texture
        return {
            "texture": encode_pixels(pixels),
            "confidence": encode_png(Image.fromarray(self.confidence)),
            "layers": encode_png(Image.fromarray(self.layers)),
        }


def samples_photos(predictor: Predictor, native: int, side: int | None) -> bool:
    """Whether a texture of ``side`` texels is sampled from the photos themselves."""
    return side is not None and side > native and predictor.knows_geometry


@torch.no_grad()
def full_size(
    predictor: Predictor, photos: Sequence[Photo], views: Tensor, texture: Tensor, side: int
) -> FullSize:
    """The texture of ``side`` texels.

    Args:
        views: [N, 3, S, S], the views of ``photos``, on the predictor's device.
        texture: [3, S, S] in [-1, 1], the network's texture of all of them.

    Raises:
        DataError: a photo can no longer be read.
    """
    whole = FullTexture(side)
    # All photos are compared before any is held: both take memory.
    given = [
        (photo, exposed(photo, straightened(photo, geometry)))
        for photo, geometry in zip(photos, predictor.geometry(views), strict=True)
    ]
    sharp: list[np.ndarray | None] = [None] * len(given)
    shares = [1.0] * len(given)
    shown, sixteen = zip(*(_texels(*one, side) for one in given), strict=True)
    if len(given) > 1:
        found, shares = weights([detail_of(texels) for texels in shown])
        sharp = [*found]
    for texels, weight in zip(shown, sharp, strict=True):
        whole.add(texels, weight)
    unknown = predictor.groundless(views).cpu().numpy()
    layers = whole.layers(unknown)
    return FullSize(
        whole.finish(np.asarray(to_picture(texture)), any(sixteen)),
        (whole.confidence * 255).round().astype(np.uint8),
        layers,
        float((whole.confidence > DOUBTFUL).mean()),
        tuple(shares),
        tuple(_bend(*one) for one in given),
    )


def _texels(photo: Photo, view: ViewGeometry, side: int) -> tuple[PhotoTexels, bool]:
    """What a photo shows of a texture, and whether its file has 16 bits a channel."""
    sixteen = pictures.read_sixteen(photo.path)
    pixels = pictures.read_rgb(photo.path) if sixteen is None else sixteen
    opaque = pictures.read_alpha(photo.path) if "alpha" in photo.facts.oddities else None
    turned = _turned(view, photo.placement)
    return PhotoTexels(pixels, photo.square, turned, side, opaque), sixteen is not None


def _bend(photo: Photo, view: ViewGeometry) -> float:
    """How far a photo was straightened, in its pixels, at most."""
    if view.bend is None:
        return 0.0
    return float(displacements(view.bend, view).max()) * photo.square.side / 2


def _turned(geometry: ViewGeometry, found: Placement | None) -> ViewGeometry:
    """The geometry of a view in a photo's square before the square was turned."""
    if found is None or found.turn == 0:
        return geometry
    cos, sin = math.cos(found.turn), math.sin(found.turn)
    return replace(geometry, pose=np.array([[cos, -sin], [sin, cos]]) @ geometry.pose)
