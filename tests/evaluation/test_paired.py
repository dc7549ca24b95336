"""Paired differences: the livery is the unit."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from uvtex.evaluation.paired import difference, interval


def clustered(rng: np.random.Generator, liveries: int, views: int) -> tuple[np.ndarray, list[str]]:
    """Figures that differ far more between liveries than between views."""
    level = np.repeat(rng.normal(0, 1, liveries), views)
    names = [f"livery{i}" for i in range(liveries) for _ in range(views)]
    return level + rng.normal(0, 0.1, liveries * views), names


def test_the_interval_is_the_paired_t_interval_over_liveries() -> None:
    rng = np.random.default_rng(0)
    change, liveries = clustered(rng, 6, 4)
    theirs = rng.normal(0, 1, 24)
    found = difference(theirs + change, theirs, liveries, True)
    assert found is not None
    means = change.reshape(6, 4).mean(axis=1)
    half = stats.t.ppf(0.975, 5) * means.std(ddof=1) / np.sqrt(6)
    assert found.mean == pytest.approx(means.mean())
    assert (found.low, found.high) == pytest.approx((means.mean() - half, means.mean() + half))
    assert (found.liveries, found.samples) == (6, 24)


def test_more_views_of_the_same_liveries_do_not_narrow_the_interval() -> None:
    change, liveries = clustered(np.random.default_rng(1), 5, 3)
    once = difference(change, 0 * change, liveries, True)
    thrice = difference(np.tile(change, 3), np.zeros(45), liveries * 3, True)
    assert once is not None
    assert thrice is not None
    assert (once.low, once.high) == pytest.approx((thrice.low, thrice.high))


def test_a_livery_with_many_views_counts_once() -> None:
    change = np.array([1.0, 3.0, 3.0, 3.0])
    found = difference(change, np.zeros(4), ["a", "b", "b", "b"], True)
    assert found is not None
    assert found.mean == 2


def test_the_false_positive_rate_is_about_five_percent() -> None:
    """An interval over samples fails here: it treats views of one livery as independent."""
    rng = np.random.default_rng(2)
    by_livery, by_sample = 0, 0
    for _ in range(400):
        change, liveries = clustered(rng, 6, 8)
        found = difference(change, np.zeros(48), liveries, True)
        assert found is not None
        by_livery += found.verdict != "within noise"
        low, high = interval(change)
        assert low is not None
        assert high is not None
        by_sample += not low <= 0 <= high
    assert by_livery / 400 < 0.09
    assert by_sample / 400 > 0.4


@pytest.mark.parametrize(
    ("shift", "higher", "verdict"),
    [
        (1.0, True, "better"),
        (1.0, False, "worse"),
        (-1.0, True, "worse"),
        (-1.0, False, "better"),
        (-1.0, None, "differs"),
        (0.0, True, "within noise"),
    ],
)
def test_the_verdict_depends_on_the_direction_of_the_metric(
    shift: float, higher: bool | None, verdict: str
) -> None:
    change = np.array([-0.1, 0.1, 0.05, -0.05]) + shift
    found = difference(change, np.zeros(4), list("abcd"), higher)
    assert found is not None
    assert found.verdict == verdict


def test_one_livery_gives_no_interval() -> None:
    found = difference(np.array([1.0, 2.0]), np.zeros(2), ["a", "a"], True)
    assert found is not None
    assert (found.low, found.high, found.verdict) == (None, None, "unknown")
    assert found.mean == 1.5


def test_a_checkpoint_against_itself_is_within_noise() -> None:
    figures = np.array([0.3, 0.5, 0.2])
    found = difference(figures, figures, list("abc"), True)
    assert found is not None
    assert (found.low, found.high, found.verdict) == (0, 0, "within noise")


def test_pairs_without_a_figure_are_left_out() -> None:
    ours = np.array([np.nan, 1.0, 1.1, 5.0])
    theirs = np.array([0.0, 0.0, 0.0, np.nan])
    found = difference(ours, theirs, ["a", "a", "b", "c"], True)
    assert found is not None
    assert (found.samples, found.liveries) == (2, 2)
    assert difference(ours * np.nan, theirs, list("abcd"), True) is None
