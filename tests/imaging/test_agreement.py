"""Whether views show one livery."""

from __future__ import annotations

import torch
from torch import Tensor

from uvtex.imaging.agreement import agreement, compare


def _views(*colours: float, halves: str | None = None) -> tuple[Tensor, Tensor]:
    """Views of plain colours; ``halves`` says which half of the atlas each sees, or all (``a``)."""
    count = len(colours)
    shown = torch.tensor(colours).view(-1, 1, 1, 1).expand(count, 3, 8, 8).clone()
    weights = torch.ones(count, 1, 8, 8)
    for i, half in enumerate(halves or "a" * count):
        if half == "l":
            weights[i, :, :, 4:] = 0
        if half == "r":
            weights[i, :, :, :4] = 0
    return shown, weights


def test_texels_that_one_view_alone_sees_are_not_compared() -> None:
    differs, shared = compare(*_views(0.0, 0.5, 0.5, halves="lra"))
    assert (differs[0, 1], shared[0, 1]) == (0, 0)
    assert (differs[0, 2], shared[0, 2]) == (0.5, 0.5)


def test_the_odd_view_is_a_group_of_its_own() -> None:
    found = agreement(*compare(*_views(0.0, 0.1, 0.6, -0.1)))
    assert found.groups == [[0, 1, 3], [2]]
    assert found.decided
    assert not found.unchecked


def test_two_views_that_contradict_each_other_are_undecided() -> None:
    found = agreement(*compare(*_views(0.0, 0.6)))
    assert sorted(found.groups) == [[0], [1]]
    assert not found.decided


def test_two_against_two_is_undecided() -> None:
    assert not agreement(*compare(*_views(0.0, 0.0, 0.6, 0.6))).decided


def test_a_view_without_common_texels_is_unchecked() -> None:
    found = agreement(*compare(*_views(0.0, 0.0, 0.6, halves="llr")))
    assert found.groups == [[0, 1]]
    assert found.unchecked == [2]
    assert found.decided


def test_one_view_is_neither_grouped_nor_contradicted() -> None:
    found = agreement(*compare(*_views(0.3)))
    assert (found.groups, found.unchecked, found.decided) == ([], [0], True)
