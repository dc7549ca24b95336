"""The cameras of a data set: visibility, light, and donor texels for texels that are not seen.

A donor is a seen texel that gives its colour to another texel. The colours of the training
liveries determine the donors. Cars have the same paint on the left and on the right, and stripes
run from panel to panel. An unseen texel therefore resembles some seen texels. No mesh is needed to
find them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from uvtex.imaging.constant_texels import constant_texels

NO_PAINT = -32768
DONORS = 8
MOST_LIVERIES = 256
"""The largest number of liveries that donors are computed from."""
CHUNK = 1024
"""The largest number of texels that are compared with all texels in one step."""
COMPARED = 2**26
"""The largest number of texel pairs in one step.

The matrix of their distances takes a quarter of a gigabyte. For textures of 512 pixels, one step
compares 256 texels.
"""
NEVER = 2.0
"""A colour difference above every real one. Real differences are at most 1, the colour range."""
CLOSENESS = 0.05
"""The colour difference at which a donor's share falls to 1/e, as a fraction of the range."""
DIM = 0.02
"""The least light on a donor texel, as a fraction of the light on a white wall.

A darker texel cannot be a donor.
"""


@dataclass(frozen=True)
class CameraBank:
    """Tensors of K cameras, for textures and views of S pixels, on the training device."""

    flow: Tensor  # float32 [K, 2, S, S] in [-1, 1]: position of each texel in the view
    seen: Tensor  # bool [K, 1, S, S]
    paint: Tensor  # int16 [K, 2, kS, kS]: UV of each sub-pixel, from `encode`
    falling: Tensor  # float32 [K, 3, S, S]: linear light that white paint adds
    reflected: Tensor  # float32 [K, 3, S, S]: linear light of a view with black paint
    hits: Tensor  # float32 [K, 1, S, S]: number of sub-pixels that see the texel
    lender: Tensor  # int32 [K, M, S, S]: donors (row * S + column), seen by camera k
    share: Tensor  # float16 [K, M, S, S]: donor weights; sum 1, or 0 without donors
    doubt: Tensor  # float32 [K, 1, S, S]: mean difference to the donors; 1 without
    fixed: Tensor  # float32 [4, S, S]: constant texels, colour in [-1, 1] and 1; else 0
    trust: Tensor | None = None  # float32 [K, 1, S, S] in [0, 1]: confidence; None if all are sure
    # For textures of full size, all or none of them:
    fine: Tensor | None = None  # float16 [K, 6, F, F]: both lights at F pixels
    fine_painted: Tensor | None = None  # bool [K, D, D]: pixels that show paint, of D >= F
    fine_light: Tensor | None = None  # float16 [6, N]: both lights of these N pixels
    fine_paint: Tensor | None = None  # int16 [2, N]: UV of these, from `encode`

    def __post_init__(self) -> None:
        for name in ("fine_painted", "fine_light", "fine_paint"):
            if (getattr(self, name) is None) != (self.fine is None):
                raise TypeError(f"{name} and fine are not both known")


def encode(uv: np.ndarray) -> np.ndarray:
    """Encode a UV map, float [h, w, 2], as coordinates of grid_sample, int16 [2, h, w].

    The first channel is x. The second channel is y, which points down. The values -32767 to 32767
    stand for -1 to 1. A pixel that sees no paint has the value NO_PAINT.
    """
    painted = np.isfinite(uv).all(axis=2)
    xy = np.where(painted[..., None], uv, 0.5) * (2, -2) + (-1, 1)
    steps = np.round(np.clip(xy, -1, 1) * 32767)
    coded: np.ndarray = np.where(painted[..., None], steps, NO_PAINT).astype(np.int16)
    return coded.transpose(2, 0, 1)


def decode(paint: Tensor) -> np.ndarray:
    """The UV map, float32 [h, w, 2], of what :func:`encode` made, int16 [2, h, w]."""
    x, y = (paint.float().cpu() / 32767 + 1) / 2
    uv = torch.stack([x, 1 - y], dim=2)
    uv[paint[0].cpu() == NO_PAINT] = torch.nan
    found: np.ndarray = uv.numpy()
    return found


def count_hits(paint: Tensor, size: int) -> Tensor:
    """Count the sub-pixels of ``paint``, int16 [2, h, w], per texel: float [1, size, size]."""
    x, y = paint.flatten(1)[:, paint[0].flatten() != NO_PAINT].float()
    column, row = ((((a / 32767 + 1) / 2) * size).long().clamp(0, size - 1) for a in (x, y))
    hits = torch.bincount(row * size + column, minlength=size * size)
    return hits.view(1, size, size).float()


def find_donors(textures: Tensor, lit_and_seen: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Find the donors of every texel for every camera: the seen texels with the most similar paint.

    Args:
        textures: uint8 [L, 3, S, S], the training liveries.
        lit_and_seen: bool [K, 1, S, S], the texels that can be donors for each camera.

    Returns:
        ``lender``, ``share`` and ``doubt`` of :class:`CameraBank`. A texel is never its
        own donor. An entry with share 0 is not a donor. A texel has fewer than DONORS donors if
        few texels are lit and seen.
    """
    cameras, size = len(lit_and_seen), textures.shape[-1]
    texels = size * size
    colours = textures.permute(2, 3, 0, 1).reshape(texels, -1).float() / 255
    squares = colours.square().sum(dim=1)
    usable = lit_and_seen.reshape(cameras, texels)
    lender = torch.zeros(cameras, DONORS, texels, dtype=torch.int32, device=textures.device)
    share = torch.zeros(cameras, DONORS, texels, dtype=torch.float16, device=textures.device)
    doubt = torch.ones(cameras, texels, device=textures.device)
    rows_at_once = max(1, min(CHUNK, COMPARED // texels))
    for start in range(0, texels, rows_at_once):
        part = slice(start, start + rows_at_once)
        distances = _colour_distances(colours, squares, part)
        for k in range(cameras):
            index, part_of, doubt[k, part] = _nearest(distances.masked_fill(~usable[k], NEVER))
            lender[k, :, part], share[k, :, part] = index.T.int(), part_of.T.half()
    shape = (cameras, -1, size, size)
    return lender.view(shape), share.view(shape), doubt.view(shape)


def _colour_distances(colours: Tensor, squares: Tensor, part: slice) -> Tensor:
    """Distances from the texels of ``part`` to all texels: float [n, N], as fractions of the range.

    ``colours`` is [N, C]. The distance of a texel to itself is NEVER. The operations run in place
    because each matrix of this shape can fill all of COMPARED.
    """
    distances = squares[part, None] + squares
    distances -= 2 * colours[part] @ colours.T
    distances.clamp_min_(0).div_(colours.shape[1]).sqrt_()
    rows = torch.arange(len(distances), device=distances.device)
    distances[rows, rows + part.start] = NEVER
    return distances


def _nearest(distances: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Indices, shares and doubt of the nearest texels in each row of ``distances`` [n, N].

    Indices and shares are [n, DONORS]. The doubt, [n], is the mean distance to them. A texel at
    distance NEVER has share 0.
    """
    # A search in the usable columns alone would take half the time. But topk would then choose
    # other texels among texels of equal paint, and the results of earlier runs would change.
    distance, index = distances.topk(DONORS, dim=1, largest=False)
    is_donor = distance < NEVER
    nearness = (-distance / CLOSENESS).masked_fill(~is_donor, -torch.inf)
    share = torch.softmax(nearness, dim=1).masked_fill(~is_donor, 0)  # NaN without donors
    doubt = (distance * share).sum(dim=1).clamp_max(1)
    return index, share, doubt.masked_fill(~is_donor.any(dim=1), 1)


class Aim(NamedTuple):
    """The texels that the pixels of B views see."""

    grid: Tensor  # float32 [B, k * S, k * S, 2] for grid_sample; far outside without paint
    share: Tensor  # float32 [B, 1, S, S]: fraction of a pixel's sub-pixels that see paint


def aim(paint: Tensor, size: int, texels: int) -> Aim:
    """The :class:`Aim` of ``paint`` at textures of ``texels`` by ``texels``.

    ``paint`` is int16 [B, 2, k * size, k * size], as :func:`encode` returns it.
    """
    edge = 1 - 1 / texels
    coded = paint.permute(0, 2, 3, 1)
    # Coordinates stop half a texel inside the border, so that no sample blends with zero.
    # A sub-pixel without paint gets a coordinate far outside, where grid_sample returns zero.
    grid = torch.where(coded == NO_PAINT, 3.0, (coded * (1 / 32767)).clamp(-edge, edge))
    return Aim(grid, painted(paint, size))


def project(texture: Tensor, at: Aim) -> Tensor:
    """Mean of textures [B, C, T, T] over the texels that each pixel sees: [B, C, S, S].

    The mean is 0 where a pixel sees no paint.
    """
    size = at.share.shape[-1]
    seen = F.grid_sample(texture, at.grid, align_corners=False)
    return F.avg_pool2d(seen, seen.shape[-1] // size) / at.share.clamp_min(1e-6)


def unproject(pixels: Tensor, at: Aim, texels: int) -> Tensor:
    """The adjoint of :func:`project`: pictures [B, C, S, S] to textures [B, C, texels, texels].

    The sum of ``project(t, at) * p`` equals the sum of ``t * unproject(p, at, T)``.
    """
    size = at.share.shape[-1]
    factor = at.grid.shape[1] // size
    spread = pixels / at.share.clamp_min(1e-6) / factor**2
    spread = spread.repeat_interleave(factor, dim=2).repeat_interleave(factor, dim=3)
    # Autograd would give the same, but an exported program cannot ask it for gradients.
    like = pixels.new_zeros(()).expand(*pixels.shape[:2], texels, texels)
    textures, _ = torch.ops.aten.grid_sampler_2d_backward(
        spread.contiguous(), like, at.grid, 0, 0, False, [True, False]
    )
    found: Tensor = textures
    return found


def painted(paint: Tensor, size: int) -> Tensor:
    """The fraction of each pixel's sub-pixels that see paint: [B, 1, size, size]."""
    return F.avg_pool2d((paint[:, :1] != NO_PAINT).float(), paint.shape[-1] // size)


def build_camera_bank(
    flow: Tensor,
    seen: Tensor,
    paint: Tensor,
    falling: Tensor,
    reflected: Tensor,
    liveries: Tensor,  # uint8 [L, 3, S, S], training liveries
    trust: Tensor | None = None,
    fine: Sequence[Tensor] = (),
) -> CameraBank:
    """Build a :class:`CameraBank` from the measured tensors and compute its other tensors.

    Args:
        fine: the last four fields of the bank.
    """
    hits = torch.stack([count_hits(camera, flow.shape[-1]) for camera in paint])
    lent = find_donors(liveries, lit_and_seen(flow, hits, falling))
    fixed = constant_texels([liveries])
    return CameraBank(flow, seen, paint, falling, reflected, hits, *lent, fixed, trust, *fine)


def lit_and_seen(flow: Tensor, hits: Tensor, falling: Tensor) -> Tensor:
    """Texels that a camera sees in enough light: bool [K, 1, S, S].

    The arguments are fields of :class:`CameraBank`.
    """
    light = falling.mean(dim=1, keepdim=True)
    lit = F.grid_sample(light, flow.permute(0, 2, 3, 1), align_corners=False)
    return (hits >= 1) & (lit > DIM)
