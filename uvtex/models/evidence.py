"""What views say of a texture: the features that preset ``atlas`` computes and does not learn.

The evidence of one view and the evidence of several views of one livery have the same channels, so
the same refiner takes both. Several views are combined before the refiner. The texture is the least
squares solution of all their pixels together, as in super-resolution from several pictures (Irani
and Peleg 1991), found by conjugate gradients (Hestenes and Stiefel 1952). Averaging the finished
textures would blur what each view alone shows sharply.
"""

from __future__ import annotations

import torch
from torch import Tensor

from uvtex.imaging.camera_bank import project, unproject
from uvtex.imaging.compose import srgb_from_linear
from uvtex.models.cameras import Cameras

CHANNELS = 28
"""Channels of the evidence. The first 3 are a first estimate of the texture, in [-1, 1]."""
SHARPENINGS = 4
"""Number of sharpening iterations for one view. More gain nothing: docs/log.md, 2026-11-23."""
STEPS = 10
"""Number of conjugate gradient steps for several views. Twice as many gain nothing."""
STIFFNESS = 0.03
"""Weight of the first estimate in the least squares, beside the light on a pixel.

Without it the solution would follow small errors of light and UV maps. 0.01 has 0.007 more of SSIM
where both are exact, and doubles the error where the light was fitted to few liveries.
"""
GROUNDLESS = 0.1
"""The doubt from which on a texel's donors say nothing of its colour."""
BLURRED = 0.2
"""Blur of a view, in pixels, at which it counts half as much as a sharp one."""
CLOSENESS = 0.05
"""The doubt at which a view's donors count 1/e as much as donors without doubt."""


def of_view(cameras: Cameras, straight: Tensor, camera: Tensor) -> Tensor:
    """The evidence of one view each, [B, CHANNELS, S, S].

    Args:
        straight: views [B, 3, S, S] in [-1, 1], float32, each as its camera took it, unmoved.
        camera: int64 [B].
    """
    paint = cameras.albedo(straight, camera)
    nearest = cameras.nearest(paint, camera).clamp(0, 1)
    first = cameras.gather(paint, camera).clamp(0, 1)
    fixed = cameras.fixed_in(straight, camera)
    sharp = torch.where(fixed, cameras.fixed_paint[:3], first)
    shows = cameras.weight[camera] > 0
    at = cameras.aim(camera)
    for _ in range(SHARPENINGS):
        miss = (paint - project(sharp, at)) * shows
        sharp = (sharp + cameras.gather(miss, camera)).clamp(0, 1)
        sharp = torch.where(fixed, cameras.fixed_paint[:3], sharp)
    nearest, first, sharp = (srgb_from_linear(x) * 2 - 1 for x in (nearest, first, sharp))
    seen = cameras.seen[camera].float()
    trusted = seen * cameras.reach[camera]
    mean = _mean(sharp, trusted * ~fixed)
    borrowed = torch.where(cameras.has_donor[camera], cameras.borrow(sharp, camera), mean)
    base = torch.where(fixed, cameras.fixed[:3], sharp * seen + borrowed * (1 - seen))
    density = torch.log1p(cameras.hits[camera]) / 3
    known = [base, first * seen, borrowed, mean.expand_as(base), nearest * seen]
    doubt = cameras.doubt[camera] * ~fixed
    about = [seen, trusted, doubt, density, seen * density]
    return torch.cat([*known, *about, cameras.footprint[camera]], dim=1)


def of_views(
    cameras: Cameras, straight: Tensor, camera: Tensor, counted: Tensor | None = None
) -> Tensor:
    """The evidence of V views of each livery together, [B, CHANNELS, S, S].

    A texel's colour is decided by all pixels that show it, each by its light and by how much of the
    pixel the texel fills. Donors of a texel that no view sees come from all views, those of the
    view whose donors are most alike first.

    Args:
        straight: views [B, V, 3, S, S] in [-1, 1], float32, each as its camera took it, unmoved.
        camera: int64 [B, V].
        counted: [B, V], how much the views count, 0 to 1, at least one of each livery more than 0:
            those of 0 have no part in it. None: all count 1.
    """
    count = camera.shape[1]
    flat, each = straight.flatten(0, 1), camera.flatten()
    worth = torch.ones_like(camera, dtype=torch.float32) if counted is None else counted.float()
    worth = worth[:, :, None, None, None]
    counts = worth > 0
    paint = cameras.albedo(flat, each)
    weight = grouped(texel_weight(cameras, each), count) * worth
    total = weight.sum(dim=1).clamp_min(1e-6)

    def together(per_view: Tensor) -> Tensor:
        mean: Tensor = (grouped(per_view, count) * weight).sum(dim=1) / total
        return mean

    first = together(cameras.gather(paint, each)).clamp(0, 1)
    fixed = (grouped(cameras.fixed_in(flat, each), count) | ~counts).all(dim=1)
    start = torch.where(fixed, cameras.fixed_paint[:3], first)
    sharp = _solved(cameras, start, paint, each, worth).clamp(0, 1)
    sharp = torch.where(fixed, cameras.fixed_paint[:3], sharp)
    best = torch.where(counts, weight, -1.0).argmax(dim=1, keepdim=True)

    def from_best(per_view: Tensor) -> Tensor:
        views = grouped(per_view, count)
        return views.gather(1, best.expand(-1, -1, *views.shape[2:])).squeeze(1)

    nearest = from_best(cameras.nearest(paint, each).clamp(0, 1))
    nearest, first, sharp = (srgb_from_linear(x) * 2 - 1 for x in (nearest, first, sharp))
    seen_by = cameras.seen[camera] & counts
    seen = seen_by.any(dim=1).float()
    trusted = (seen_by * cameras.reach[camera]).amax(dim=1)
    mean = _mean(sharp, trusted * ~fixed)
    lends = _lending(cameras, camera, counts)
    lent = grouped(cameras.borrow(_repeated(sharp, count), each), count)
    has_donor = (cameras.has_donor[camera] & counts).any(dim=1)
    borrowed = torch.where(has_donor, (lent * lends).sum(dim=1), mean)
    base = torch.where(fixed, cameras.fixed[:3], sharp * seen + borrowed * (1 - seen))
    density = torch.log1p((cameras.hits[camera] * counts).sum(dim=1)) / 3
    known = [base, first * seen, borrowed, mean.expand_as(base), nearest * seen]
    doubt = torch.where(has_donor, (cameras.doubt[camera] * lends).sum(dim=1), 1.0) * ~fixed
    about = [seen, trusted, doubt, density, seen * density]
    return torch.cat([*known, *about, from_best(cameras.footprint[each])], dim=1)


def by_sharpness(blur: Tensor, counted: Tensor | None = None) -> Tensor:
    """How much views of one texture count, [..., V] in [0, 1], the sharpest one 1.

    Args:
        blur: [..., V], the standard deviation of each view's blur, in its pixels.
        counted: bool [..., V], the views that have a part in the texture. None: all.
    """
    share = 1 / (1 + (blur / BLURRED).square())
    if counted is not None:
        share = share * counted
    return share / share.amax(dim=-1, keepdim=True)


def shown(cameras: Cameras, straight: Tensor, camera: Tensor) -> tuple[Tensor, Tensor]:
    """The colour [B, 3, S, S] in [-1, 1] that each view shows of each texel, and its weight.

    The arguments are those of :func:`of_view`, the weight that of :func:`texel_weight`.
    """
    colour = cameras.gather(cameras.albedo(straight, camera), camera).clamp(0, 1)
    return srgb_from_linear(colour) * 2 - 1, texel_weight(cameras, camera)


def groundless(cameras: Cameras, camera: Tensor) -> Tensor:
    """Texels that no camera of [V] sees, and whose donors differ too much: bool [S, S]."""
    seen = cameras.seen[camera].any(dim=0)[0]
    doubt = torch.where(cameras.has_donor[camera], cameras.doubt[camera], 1.0).amin(dim=0)[0]
    return ~seen & (doubt > GROUNDLESS) & (cameras.fixed[3] == 0)


def texel_weight(cameras: Cameras, camera: Tensor) -> Tensor:
    """How well the cameras [B] show each texel: [B, 1, S, S], 0 for a texel that is not seen.

    It is the light on the texel times the number of sub-pixels that see it. A texel that is seen at
    a glancing angle, or from far away, has few.
    """
    return cameras.seen[camera] * cameras.reach[camera] * cameras.hits[camera].clamp_min(0.1)


def grouped(per_view: Tensor, count: int) -> Tensor:
    """Values of B * V views [B * V, ...], those of each livery together: [B, V, ...]."""
    return per_view.reshape(-1, count, *per_view.shape[1:])


def _mean(texture: Tensor, weight: Tensor) -> Tensor:
    """The mean colour [B, 3, 1, 1] of a texture, weighted by ``weight`` [B, 1, S, S]."""
    area = weight.sum(dim=(2, 3), keepdim=True).clamp_min(1e-4)
    return (texture * weight).sum(dim=(2, 3), keepdim=True) / area


def _repeated(texture: Tensor, count: int) -> Tensor:
    """Each texture [B, 3, S, S] ``count`` times in a row, [B * count, 3, S, S]."""
    several = texture[:, None].expand(-1, count, -1, -1, -1)
    return several.flatten(0, 1)


def _lending(cameras: Cameras, camera: Tensor, counts: Tensor) -> Tensor:
    """The share of each view's donors in a texel's borrowed colour, [B, V, 1, S, S].

    The shares of a texel sum to 1, or are 0 where no view has donors for it.
    """
    donors = cameras.has_donor[camera] & counts
    near = (-cameras.doubt[camera] / CLOSENESS).exp() * donors
    return near / near.sum(dim=1, keepdim=True).clamp_min(1e-30)


def _solved(cameras: Cameras, start: Tensor, paint: Tensor, each: Tensor, worth: Tensor) -> Tensor:
    """The texture [B, 3, S, S] that explains ``paint`` [B * V, 3, S, S] best, linear.

    It minimises the squared misses of all pixels, each weighted by its light, plus STIFFNESS times
    the squared distance to ``start``.
    """
    count = worth.shape[1]
    at = cameras.aim(each)
    light = cameras.weight[each] * worth.flatten(0, 1)
    texels = start.shape[-1]

    def normal(texture: Tensor) -> Tensor:
        return adjoint(project(_repeated(texture, count), at))

    def adjoint(pixels: Tensor) -> Tensor:
        back = unproject(pixels * light, at, texels)
        return grouped(back, count).sum(dim=1)

    found = start
    rest = adjoint(paint - project(_repeated(start, count), at))
    direction = rest
    norm = _dot(rest, rest)
    for _ in range(STEPS):
        along = normal(direction) + STIFFNESS * direction
        step = norm / _dot(direction, along).clamp_min(1e-20)
        found = found + step * direction
        rest = rest - step * along
        last, norm = norm, _dot(rest, rest)
        direction = rest + norm / last.clamp_min(1e-20) * direction
    return found


def _dot(x: Tensor, y: Tensor) -> Tensor:
    """Inner products of textures [B, C, S, S]: [B, 1, 1, 1]."""
    return (x * y).sum(dim=(1, 2, 3), keepdim=True)
