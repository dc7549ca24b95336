"""Metrics of a batch, sample by sample: tensors in, columns [B] out."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from uvtex.data.batch import Batch, Pair
from uvtex.imaging import seams
from uvtex.metrics import bleed
from uvtex.metrics import similarity as metrics
from uvtex.metrics.lpips import LPIPS
from uvtex.models.forward import Outputs

Columns = dict[str, Tensor]


@dataclass(frozen=True)
class TexelMasks:
    """What a data set knows of the texels of its textures."""

    covered: Tensor | None = None  # bool [1, 1, S, S]: texels that any camera sees
    seams: seams.Seams | None = None


UNKNOWN = TexelMasks()


def term_columns(pair: Pair, out: Outputs) -> Columns:
    """The loss terms of each sample, as :func:`uvtex.training.losses.terms` of it alone."""
    direct_a, direct_b = _l1(out.texture_a, pair.texture), _l1(out.texture_b, pair.texture)
    cycle_a = _l1(out.view_a, pair.a, pair.mask_a)
    cycle_b = _l1(out.view_b, pair.b, pair.mask_b)
    return {
        "cycle": (cycle_a + cycle_b) / 2,
        "uv": _l1(out.texture_true, pair.texture),
        "direct": (direct_a + direct_b) / 2,
        "cross": _l1(out.texture_a, out.texture_b),
        "render": (_l1(out.true_a, pair.a, pair.mask_a) + _l1(out.true_b, pair.b, pair.mask_b)) / 2,
    }


def texture_columns(batch: Batch, texture: Tensor, atlas: TexelMasks = UNKNOWN) -> Columns:
    """Metrics of a predicted texture [B, 3, S, S] against the true one.

    Metrics without a suffix are over the whole atlas, those in ``_covered`` over the texels that
    any camera sees, those in ``_visible`` over the texels that view a shows. The windows of these
    SSIMs reach five texels beyond. ``ssim_uv_visible_alone`` uses the visible texels alone.
    """
    true = batch.pair.texture
    similarity = metrics.ssim_map(texture, true)
    columns = {"ssim_uv": metrics.cropped(similarity), "l1_uv": _l1(texture, true)}
    for name, mask in (("covered", atlas.covered), ("visible", batch.seen_a)):
        if mask is not None:
            columns[f"ssim_uv_{name}"] = metrics.within(similarity, mask)
            columns[f"l1_uv_{name}"] = _l1(texture, true, mask.expand(len(true), -1, -1, -1))
    if batch.seen_a is not None:
        columns["coverage"] = batch.seen_a.mean(dim=(1, 2, 3))
        alone = metrics.ssim_alone_map(texture, true, batch.seen_a)
        columns["ssim_uv_visible_alone"] = metrics.within(alone, batch.seen_a)
    if atlas.seams is not None:
        columns["seam_uv"] = seams.excess(texture, true, atlas.seams)
    return columns


def pair_columns(what: str, a: Tensor, b: Tensor, pair: Pair, lpips: LPIPS | None) -> Columns:
    """Metrics of two reprojections [B, 3, H, W] against their views, means of the two.

    Args:
        what: the name after the metric: ``view`` gives ``ssim_view`` and, over the mask,
            ``ssim_view_inside``.
    """
    both = []
    for view, true, mask in ((a, pair.a, pair.mask_a), (b, pair.b, pair.mask_b)):
        columns = ssim_columns(what, view, true, mask)
        shown = _over(view, true, mask)
        columns[f"haarpsi_{what}"] = metrics.haarpsi(shown, true)
        if lpips is not None:
            whole, inside = lpips.both(shown, true, mask)
            columns |= {f"lpips_{what}": whole, f"lpips_{what}_inside": inside}
        both.append(columns)
    return {name: (both[0][name] + both[1][name]) / 2 for name in both[0]}


def ssim_columns(what: str, view: Tensor, true: Tensor, mask: Tensor) -> Columns:
    """SSIM of a reprojection against the view, whole and over ``mask`` [B, 1, H, W]."""
    similarity = metrics.ssim_map(_over(view, true, mask), true)
    return {
        f"ssim_{what}": metrics.cropped(similarity),
        f"ssim_{what}_inside": metrics.within(similarity, mask),
    }


def bleed_columns(batch: Batch, before: Tensor, after: Tensor, swapped: bleed.Swap) -> Columns:
    """The change of a texture when the background of view a changes."""
    columns = {"bleed": bleed.bleed(before, after, swapped)}
    if batch.flow_a is not None and batch.seen_a is not None:
        columns |= bleed.by_depth(before, after, swapped, batch.flow_a, batch.seen_a)
    return columns


def _over(view: Tensor, true: Tensor, mask: Tensor) -> Tensor:
    # The renderer is not trained to paint the background, so its background is not judged.
    return true + (view - true) * mask


def _l1(x: Tensor, y: Tensor, mask: Tensor | None = None) -> Tensor:
    """:func:`uvtex.training.losses.masked_l1` of each sample: [B]."""
    error = (x - y).abs()
    if mask is None:
        return error.mean(dim=(1, 2, 3))
    area = mask.sum(dim=(1, 2, 3)) * x.shape[1]
    return (error * mask).sum(dim=(1, 2, 3)) / area.clamp_min(1e-6)
