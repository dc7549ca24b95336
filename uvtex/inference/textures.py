"""The texture of prepared photos as files: at the network's size, or larger."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from uvtex.errors import ConfigError
from uvtex.evaluation.grids import to_picture
from uvtex.files import write_atomic
from uvtex.imaging.full_size.sharpness import SHARP
from uvtex.inference.encoding import encode_dds, encode_pixels, with_alpha
from uvtex.inference.full_size import full_size, samples_photos
from uvtex.inference.photos import Photo
from uvtex.inference.placement import BLURRED
from uvtex.models import Predictor
from uvtex.runs import checkpoint


def texture_files(
    predictor: Predictor,
    photos: Sequence[Photo],
    views: torch.Tensor,
    texture: torch.Tensor,
    side: int,
    alpha: bool,
) -> tuple[dict[str, bytes], list[str]]:
    """The file of the texture with ``side`` texels, those that belong to it, and warnings.

    Args:
        views: [N, 3, S, S], the views of ``photos``.
        texture: [3, S, S] in [-1, 1], the network's texture of all of them.
        alpha: unknown texels are transparent. The predictor must know its cameras.
    """
    native = texture.shape[-1]
    if not samples_photos(predictor, native, side):
        pixels = np.asarray(resampled(to_picture(texture), side))
        if alpha:
            pixels = with_alpha(pixels, ~predictor.groundless(views).cpu().numpy())
        return {"texture": encode_pixels(pixels)}, resampling_warnings(native, side)
    full = full_size(predictor, photos, views, texture, side)
    note = (
        f"{full.sampled:.0%} of the texels are sampled from the photo{'s'[: len(photos) > 1]}; the "
        f"others are enlarged from the network's {native} px"
    )
    blurred = [
        f"{photo.path}: {BLURRED}"
        for photo, share in zip(photos, full.sharpness, strict=True)
        if share < SHARP
    ]
    bent = [
        f"{photo.path}: shows parts of the car up to {pixels:.1f} pixels off, as from a step aside "
        "or through another lens: straightened"
        for photo, pixels in zip(photos, full.bends, strict=True)
        if pixels > 0
    ]
    return full.files(alpha), [*blurred, *bent, note]


def check_alpha(alpha: bool, loaded: checkpoint.Checkpoint) -> None:
    """Checks that a checkpoint can tell which texels are transparent, if ``alpha`` is asked for.

    Raises:
        ConfigError: it does not know which texels a photo sees.
    """
    if alpha and not loaded.predictor.knows_geometry:
        raise ConfigError(
            f"{loaded.path}: does not know which texels a photo sees, so none can be transparent; "
            "leave out --alpha, or give a checkpoint of preset atlas from a set with UV maps"
        )


def write_results(files: dict[str, Path], made: dict[str, bytes]) -> None:
    """Writes each kind of result to its file, and the DDS file of the texture if it has one."""
    for kind, content in made.items():
        write_atomic(files[kind], content)
    if "dds" in files:
        write_atomic(files["dds"], encode_dds(made["texture"]))


def resampled(texture: Image.Image, size: int) -> Image.Image:
    """``texture`` with ``size`` texels a side."""
    if texture.size == (size, size):
        return texture
    return texture.resize((size, size), Image.Resampling.LANCZOS)


def resampling_warnings(native: int, size: int) -> list[str]:
    """What a user is told of a texture that is not sampled from photos."""
    if size > native:
        return [
            f"texture upsampled from {native} to {size} px: larger, but not more detailed; only a "
            "checkpoint of preset atlas from a set with UV maps samples the photos"
        ]
    return [f"texture reduced from {native} to {size} px"] if size < native else []
