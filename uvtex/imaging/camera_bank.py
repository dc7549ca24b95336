"""What a data set says of its cameras: where every texel is seen, in which light, and which other
texels tell of those that are not.

Which texels lend their colour is read off the training liveries. Cars are painted alike left and
right, stripes run on from panel to panel, so an unseen texel resembles some that are seen; the
colours of the training liveries say which, without any mesh.
"""

from __future__ import annotations

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
"""Liveries of a large set that likeness is read off."""
CHUNK = 1024
"""Texels compared with all others at once, at most;"""
COMPARED = 2**26
"""and pairs of texels, a quarter of a gigabyte: at 512 pixels those of 256 texels."""
NEVER = 2.0
"""A difference of colour that no two texels have: the range is 1."""
CLOSENESS = 0.05
"""Difference of colour, of the range, by which a lender's share falls to 1/e."""
DIM = 0.02
"""Share of the light on a white wall below which a texel is too dark to lend."""


@dataclass(frozen=True)
class CameraBank:
    """Of K cameras, for textures and views of S pixels; on the training device."""

    flow: Tensor  # float32 [K, 2, S, S] in [-1, 1]: where each texel is seen
    seen: Tensor  # bool [K, 1, S, S]
    paint: Tensor  # int16 [K, 2, kS, kS]: what each sub-pixel sees of the atlas, by `encode`
    falling: Tensor  # float32 [K, 3, S, S] linear light that white paint adds
    reflected: Tensor  # float32 [K, 3, S, S] linear light that black paint leaves
    hits: Tensor  # float32 [K, 1, S, S] sub-pixels that see the texel
    lender: Tensor  # int32 [K, M, S, S] texels (row * S + column) that camera k sees
    share: Tensor  # float16 [K, M, S, S] of each lender; they sum to 1, or to 0 where none can lend
    doubt: Tensor  # float32 [K, 1, S, S] mean difference of their colours, of the range; 1 for none
    fixed: Tensor  # float32 [4, S, S] what no livery paints: colour in [-1, 1], and 1; else 0


def encode(uv: np.ndarray) -> np.ndarray:
    """A UV map float [h, w, 2] as grid_sample's coordinates, x then y down: int16 [2, h, w].

    -32767 to 32767 is -1 to 1; NO_PAINT where no paint is seen.
    """
    painted = np.isfinite(uv).all(axis=2)
    xy = np.where(painted[..., None], uv, 0.5) * (2, -2) + (-1, 1)
    steps = np.round(np.clip(xy, -1, 1) * 32767)
    coded: np.ndarray = np.where(painted[..., None], steps, NO_PAINT).astype(np.int16)
    return coded.transpose(2, 0, 1)


def count_hits(paint: Tensor, size: int) -> Tensor:
    """How many sub-pixels of ``paint`` int16 [2, h, w] see each texel: float [1, size, size]."""
    x, y = paint.flatten(1)[:, paint[0].flatten() != NO_PAINT].float()
    column, row = ((((a / 32767 + 1) / 2) * size).long().clamp(0, size - 1) for a in (x, y))
    hits = torch.bincount(row * size + column, minlength=size * size)
    return hits.view(1, size, size).float()


def find_donors(textures: Tensor, able: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """For every texel and camera, the seen texels whose paint has been most like its own.

    Args:
        textures: uint8 [L, 3, S, S], the training liveries.
        able: bool [K, 1, S, S], texels that each camera sees well enough to lend.

    Returns:
        ``lender``, ``share`` and ``doubt`` of :class:`CameraBank`. A texel never lends to itself,
        and a lender without a share is none: there are fewer than DONORS where few are able.
    """
    cameras, size = len(able), textures.shape[-1]
    texels = size * size
    colours = textures.permute(2, 3, 0, 1).reshape(texels, -1).float() / 255
    squares = colours.square().sum(dim=1)
    good = able.reshape(cameras, texels)
    lender = torch.zeros(cameras, DONORS, texels, dtype=torch.int32, device=textures.device)
    share = torch.zeros(cameras, DONORS, texels, dtype=torch.float16, device=textures.device)
    doubt = torch.ones(cameras, texels, device=textures.device)
    rows_at_once = max(1, min(CHUNK, COMPARED // texels))
    for start in range(0, texels, rows_at_once):
        part = slice(start, start + rows_at_once)
        apart = _apart(colours, squares, part)
        for k in range(cameras):
            index, part_of, doubt[k, part] = _likest(apart.masked_fill(~good[k], NEVER))
            lender[k, :, part], share[k, :, part] = index.T.int(), part_of.T.half()
    shape = (cameras, -1, size, size)
    return lender.view(shape), share.view(shape), doubt.view(shape)


def _apart(colours: Tensor, squares: Tensor, part: slice) -> Tensor:
    """How far the colours [N, C] of ``part`` are from all: float [n, N], of the range; NEVER from
    themselves. In place: each such matrix is all of COMPARED."""
    apart = squares[part, None] + squares
    apart -= 2 * colours[part] @ colours.T
    apart.clamp_min_(0).div_(colours.shape[1]).sqrt_()
    rows = torch.arange(len(apart), device=apart.device)
    apart[rows, rows + part.start] = NEVER
    return apart


def _likest(apart: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The nearest in each row of ``apart`` [n, N] and their shares, [n, LENDERS], and the doubt
    [n]. What is NEVER like has no share."""
    # Not of the able columns alone, which takes half as long: topk would choose others among
    # texels that were painted just alike, and earlier runs' figures could not be had again.
    distance, index = apart.topk(DONORS, dim=1, largest=False)
    lends = distance < NEVER
    nearness = (-distance / CLOSENESS).masked_fill(~lends, -torch.inf)
    share = torch.softmax(nearness, dim=1).masked_fill(~lends, 0)  # NaN where none lends
    doubt = (distance * share).sum(dim=1).clamp_max(1)
    return index, share, doubt.masked_fill(~lends.any(dim=1), 1)


class Aim(NamedTuple):
    """Which texels the pixels of some views see."""

    grid: Tensor  # float32 [B, k * S, k * S, 2] as grid_sample has it; far outside for no paint
    share: Tensor  # float32 [B, 1, S, S] of each pixel's sub-pixels that see paint


def aim(paint: Tensor, size: int, texels: int) -> Aim:
    """The aim of ``paint`` int16 [B, 2, k * size, k * size], see :func:`encode`, at textures of
    ``texels`` a side."""
    edge = 1 - 1 / texels
    coded = paint.permute(0, 2, 3, 1)
    # Half a texel from the border is the border; far outside, for no paint, samples zero.
    grid = torch.where(coded == NO_PAINT, 3.0, (coded * (1 / 32767)).clamp(-edge, edge))
    return Aim(grid, painted(paint, size))


def project(texture: Tensor, at: Aim) -> Tensor:
    """Mean of textures [B, C, T, T] over what each pixel sees of them, [B, C, S, S]; 0 off the
    paint."""
    size = at.share.shape[-1]
    seen = F.grid_sample(texture, at.grid, align_corners=False)
    return F.avg_pool2d(seen, seen.shape[-1] // size) / at.share.clamp_min(1e-6)


def painted(paint: Tensor, size: int) -> Tensor:
    """Share of each pixel's sub-pixels that see paint, [B, 1, size, size]."""
    return F.avg_pool2d((paint[:, :1] != NO_PAINT).float(), paint.shape[-1] // size)


def build_camera_bank(
    flow: Tensor,
    seen: Tensor,
    paint: Tensor,
    falling: Tensor,
    reflected: Tensor,
    liveries: Tensor,  # uint8 [L, 3, S, S], of the training side
) -> CameraBank:
    """A :class:`CameraBank` of what is measured, with what follows from it."""
    hits = torch.stack([count_hits(camera, flow.shape[-1]) for camera in paint])
    lent = find_donors(liveries, lit_and_seen(flow, hits, falling))
    return CameraBank(
        flow, seen, paint, falling, reflected, hits, *lent, constant_texels([liveries])
    )


def lit_and_seen(flow: Tensor, hits: Tensor, falling: Tensor) -> Tensor:
    """Texels that a camera sees, and in enough light: bool [K, 1, S, S]; arguments as in Bank."""
    light = falling.mean(dim=1, keepdim=True)
    lit = F.grid_sample(light, flow.permute(0, 2, 3, 1), align_corners=False)
    return (hits >= 1) & (lit > DIM)
