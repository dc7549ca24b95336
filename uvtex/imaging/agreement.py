"""Whether several views can show one livery: a comparison of the texels that two of them see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

CONTRADICTION = 0.25
"""Mean difference in colour, on [-1, 1], from which on two views contradict each other.

Of views of one livery 99 % differed by at most 0.194 and all by at most 0.223; of views of two
liveries 99 % differed by at least 0.303 and all by at least 0.228 (48 pixels, 6 liveries that
training has not seen, 8 cameras: docs/log.md, 2026-11-27).
"""
AROUND = 5
"""Side of the neighbourhood over which differences are averaged, in texels."""
OVERLAP = 0.015
"""Least share of the texels that both views must see for a comparison."""
DOUBLINGS = 10
"""How often chains of views are joined, each time with chains as long: 1024 views in all."""


@dataclass(frozen=True)
class Agreement:
    """What the views of one livery say of each other, by their numbers."""

    groups: list[list[int]]
    """Groups of views that contradict each other, the largest first. Views of a group agree."""
    odd: list[int]
    """See :class:`Standing`; so are the next two."""
    undecided: list[int]
    unchecked: list[int]


def compare(colours: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """How much each two of V views differ, and how many texels both show: [V, V] each.

    Args:
        colours: [V, 3, S, S] in [-1, 1], what each view shows of each texel.
        weights: [V, 1, S, S], how well; 0 for a texel that the view does not see.
    """
    rows = [
        _difference(colour - colours, torch.minimum(weight, weights))
        for colour, weight in zip(colours, weights, strict=True)
    ]
    differs, shared = zip(*rows, strict=True)
    return torch.stack(differs).cpu(), torch.stack(shared).cpu()


def compare_at_once(colours: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """:func:`compare` for N liveries, without a loop: [N, V, V] each.

    It takes V times the memory. A graph has no loop over a number that is not fixed.

    Args:
        colours: [N, V, 3, S, S].
        weights: [N, V, 1, S, S].
    """
    signed = colours[:, :, None] - colours[:, None]
    common = torch.minimum(weights[:, :, None], weights[:, None])
    differs, shared = _difference(signed.flatten(0, 2), common.flatten(0, 2))
    return differs.reshape(signed.shape[:3]), shared.reshape(signed.shape[:3])


def _difference(signed: Tensor, common: Tensor) -> tuple[Tensor, Tensor]:
    """The results of :func:`compare` for P pairs of views, [P] each.

    Args:
        signed: [P, 3, S, S], the difference in colour.
        common: [P, 1, S, S], how well the view shows a texel that shows it less.
    """
    # Signed differences: where a fine pattern aliases, those of near texels cancel out.
    error = (_sums(signed * common) / _sums(common).clamp_min(1e-9)).abs().mean(dim=1, keepdim=True)
    total = common.sum(dim=(1, 2, 3)).clamp_min(1e-9)
    return (error * common).sum(dim=(1, 2, 3)) / total, (common > 0).float().mean(dim=(1, 2, 3))


def _sums(values: Tensor) -> Tensor:
    """Sums over AROUND by AROUND texels, in parts of their number."""
    return F.avg_pool2d(values, AROUND, stride=1, padding=AROUND // 2)


class Standing(NamedTuple):
    """What is known of each view, bool [N, V] each."""

    odd: Tensor
    """It contradicts a group that holds more than half of the views that it is compared with.

    Views are compared directly, or by way of others.
    """
    undecided: Tensor
    """Views that it is compared with contradict each other, and no group holds more than half."""
    unchecked: Tensor
    """It is compared with no view, or there are as many views or more that it is not compared with,
    and that are compared with each other."""


def agreement(differs: Tensor, shared: Tensor) -> Agreement:
    """What :func:`compare` says of the views of one livery."""
    counted = torch.ones(len(differs), dtype=torch.bool)
    found = standing(differs[None], shared[None], counted[None])
    agrees, compared = _joined(differs, shared, counted)
    contradicted = (agrees != compared).any(dim=1)
    first = agrees.int().argmax(dim=1)
    groups = [(first == k).nonzero().flatten().tolist() for k in {*first[contradicted].tolist()}]
    groups.sort(key=lambda group: (-len(group), group))
    return Agreement(groups, *(x[0].nonzero().flatten().tolist() for x in found))


def standing(differs: Tensor, shared: Tensor, counted: Tensor) -> Standing:
    """What :func:`compare_at_once` says of the views of N liveries.

    Args:
        counted: bool [N, V], the views that are compared. Nothing is said of the others.
    """
    agrees, compared = _joined(differs, shared, counted)
    group, all_compared = agrees.sum(dim=2), compared.sum(dim=2)
    greater = 2 * group > all_compared
    decided = (compared & greater[:, None]).any(dim=2)
    others = torch.where(compared | ~counted[:, None], 0, all_compared[:, None]).amax(dim=2)
    unchecked = (all_compared == 1) | (others >= all_compared)
    return Standing(~greater & decided & counted, ~decided & counted, unchecked & counted)


def _joined(differs: Tensor, shared: Tensor, counted: Tensor) -> tuple[Tensor, Tensor]:
    """Which two views agree, and which were compared; each directly or by others: [..., V, V]."""
    oneself = torch.eye(differs.shape[-1], dtype=torch.bool, device=differs.device)
    both = counted[..., :, None] & counted[..., None, :]
    compared = (shared >= OVERLAP) & both | oneself
    agrees = compared & (differs < CONTRADICTION) | oneself
    for _ in range(DOUBLINGS):
        agrees = (agrees.float() @ agrees.float()) > 0
        compared = (compared.float() @ compared.float()) > 0
    return agrees, compared
