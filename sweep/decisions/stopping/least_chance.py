"""The least chance of a run: that of a good run that its forecast does not foresee.

Some good runs look like sure failures and pass by a late leap. They are few, so the forecast is
right on the whole without them, and far too small for the runs that get stopped.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sweep.decisions.stopping.ledger import ENOUGH

Array = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

DOUBT = 9.0
"""Prior of the share of good runs that the forecast does not foresee: Beta(1, DOUBT), a mean of a
tenth. On the tasks of the benchmark where it is not near 0, it is a tenth to a fifth."""

CARE = 0.5
"""So many standard deviations are added to that share before any passer is known. Of those tried
(0, 0.5, 0.7, 1) it is the least that keeps the bound on all files of the benchmark."""

GRID = (np.arange(100) + 0.5) / 100
MOST = 1 - 1e-6


def least_chances(
    chances: Array,
    passed: Bools,
    rising: Bools,
    open_runs: Bools,
    base: float,
    *,
    split: bool = True,
    careful: bool = True,
) -> tuple[float, float]:
    """The chance of a run whose forecast says that it will surely fail: settled, and rising.

    A run of chance p is taken to pass with ``p + (1 - p) e base odds``: the share e of the good
    runs is unforeseen, and among runs of one kind any may be such a one. The odds are the share of
    the kind among good runs over its share among all (:func:`odds_by_kind`). e has the prior
    Beta(1, DOUBT). The result is ``base odds`` times its posterior mean. (Psychophysics has such a
    term as the guess rate: Wichmann and Hill 2001.)

    A mean is too low in half of all studies. So ``CARE`` posterior standard deviations are added as
    long as no passer is known, fewer the more are, and none from ``ENOUGH`` on.

    Args:
        chances: left-out chances [n] of finished runs, the lowest up to the look: a run is lost at
            its lowest.
        passed: which of them passed, [n].
        rising: which of them still rose at the look, [n]: see
            :func:`sweep.decisions.stopping.curves.rising`.
        open_runs: which of them had not passed yet at the look, [n].
        base: the share of all runs that pass.
        split: whether the two kinds are told apart.
        careful: whether standard deviations are added.
    """
    odds = odds_by_kind(rising, passed, open_runs) if split else np.ones(2)
    alike = np.multiply.outer(base * odds[rising.astype(int)], GRID)
    p = chances[:, None] + (1 - chances[:, None]) * alike
    p = np.clip(p, 1 - MOST, MOST)
    likely = np.where(passed[:, None], np.log(p), np.log1p(-p)).sum(axis=0)
    likely += (DOUBT - 1) * np.log1p(-GRID)
    posterior = np.exp(likely - likely.max())
    posterior /= posterior.sum()
    share = float(posterior @ GRID)
    if careful:
        missing = max(0.0, 1 - passed.sum() / ENOUGH)
        share += CARE * missing * float(np.sqrt(posterior @ (GRID - share) ** 2))
    settled, rises = (min(1.0, base * share * kind) for kind in odds)
    return settled, rises


def odds_by_kind(rising: Bools, passed: Bools, open_runs: Bools) -> Array:
    """How much likelier a settled and a rising run is to pass than any; [2].

    Only runs that had not passed at the look count. Before good ones are known both are 1; that
    counts as one good run.
    """
    share = (np.sum(rising & open_runs) + 0.5) / (np.sum(open_runs) + 1)
    good = open_runs & passed
    among_good = (np.sum(rising & good) + share) / (np.sum(good) + 1)
    return np.array([(1 - among_good) / (1 - share), among_good / share])
