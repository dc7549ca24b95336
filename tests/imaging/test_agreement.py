"""Whether views show one livery."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from uvtex.imaging.agreement import Agreement, agreement, compare, compare_at_once, standing


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


@pytest.mark.parametrize(
    ("colours", "halves", "groups", "odd", "undecided", "unchecked"),
    [
        ((0.0, 0.1, 0.6, -0.1), "aaaa", [[0, 1, 3], [2]], [2], [], []),
        ((0.0, 0.6), "aa", [[0], [1]], [], [0, 1], []),
        ((0.0, 0.0, 0.6, 0.6), "aaaa", [[0, 1], [2, 3]], [], [0, 1, 2, 3], []),
        ((0.0, 0.2, 0.4, 0.6, 0.8, 2.0), "aaaaaa", [[0, 1, 2, 3, 4], [5]], [5], [], []),
        ((0.0, 0.0, 0.6), "llr", [], [], [], [2]),
        ((0.0, 0.6), "lr", [], [], [], [0, 1]),
        ((0.3,), "a", [], [], [], [0]),
        # Two sides of a car that no photo joins: they cannot contradict each other.
        ((0.0, 0.0, 0.0, 0.6, 0.6), "lllrr", [], [], [], [3, 4]),
        ((0.0, 0.0, 0.6, 0.6), "llrr", [], [], [], [0, 1, 2, 3]),
        ((0.0, 0.0, 0.9, 0.6, 0.6), "lllrr", [[0, 1], [2]], [2], [], [3, 4]),
    ],
)
def test_views_are_grouped_by_what_they_show_of_the_same_texels(
    colours: tuple[float, ...],
    halves: str,
    groups: list[list[int]],
    odd: list[int],
    undecided: list[int],
    unchecked: list[int],
) -> None:
    found = agreement(*compare(*_views(*colours, halves=halves)))
    assert found == Agreement(groups, odd, undecided, unchecked)


def test_several_liveries_at_once_are_compared_as_one_by_one() -> None:
    generator = torch.manual_seed(0)
    colours = torch.rand(2, 4, 3, 12, 12, generator=generator) * 2 - 1
    weights = (torch.rand(2, 4, 1, 12, 12, generator=generator) - 0.5).clamp_min(0)
    differs, shared = compare_at_once(colours, weights)
    for k in range(2):
        expected = compare(colours[k], weights[k])
        torch.testing.assert_close((differs[k], shared[k]), expected)
    assert len(differs.unique()) > 12


def test_views_that_do_not_count_decide_nothing() -> None:
    shown = compare_at_once(*(x[None] for x in _views(0.0, 0.6, 0.6)))
    counted = torch.tensor([[True, True, False]])
    odd, undecided, unchecked = standing(*shown, counted)
    assert not odd.any()
    assert not unchecked.any()
    assert undecided.tolist() == [[True, True, False]]
