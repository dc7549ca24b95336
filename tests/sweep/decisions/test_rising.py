"""Which runs still rise."""

from __future__ import annotations

import numpy as np
import pytest

from sweep.decisions.stopping.curves import Curves, rising


def still(*points: float, seen: int | None = None) -> bool:
    """Whether a run of these joint slacks still rises after ``seen`` points."""
    slacks = np.array(points)[None, :, None] * np.ones((1, 1, 2))
    return bool(rising(Curves(slacks), seen or len(points), np.array([0.5, 2.0]))[0])


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ((-6, -5, -4, -3, -2, -1), True),
        ((-6, -1, -2, -3, -4, -5), False),
        ((-6, -5, -4, -1, -2, -3), False),
        ((-6, -5, -4, -3, -1, -3), True),
        ((-3, -3, -3, -3, -3, -3), False),
        ((np.nan,) * 6, False),
        ((-6, -5, -4, -3, np.nan, np.nan), False),
        ((np.nan, np.nan, np.nan, np.nan, -90, np.nan), True),
        ((-2,), True),
    ],
)
def test_a_run_rises_while_its_best_point_is_of_the_last_third(
    points: tuple[float, ...], expected: bool
) -> None:
    assert still(*points) is expected


def test_what_comes_after_the_look_is_not_read() -> None:
    assert still(-6, -5, -4, -3, -2, -1, 9, 9, -9, seen=6)
    assert not still(-6, -1, -2, -3, -4, -5, 0, 1, 2, seen=6)


def test_metrics_are_judged_in_their_own_spreads() -> None:
    """The joint slack is the smallest of the metrics in spreads, as the forecast reads it."""
    slacks = np.array([[[-1.0, -1.2], [-0.2, -1.4], [-0.1, -1.4]]])
    assert not rising(Curves(slacks), 3, np.ones(2))[0]
    assert rising(Curves(slacks), 3, np.array([0.1, 1.0]))[0]
