"""What simulated studies show, with intervals over the studies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.promotion.policies.rules import FIRST_LOOK
from benchmarks.promotion.replay import Study
from benchmarks.promotion.task import Array, Task

RESAMPLES = 2000
KNOWN = (0, 1, 3, 5, 10, 20)
"""Passers known, from so many on, for the saving against them."""
SHARES = (0.25, 0.5, 0.75, 1.0)
"""Parts of the points of a study without pruning, at which the best objective is printed."""


def summarise(task: Task, studies: Sequence[Study], unpruned: Sequence[Study]) -> dict[str, Any]:
    """The keys that ``replay --json`` prints; ``unpruned`` has the same draws without pruning.

    A rate of a study without a passer does not exist, and is left out of the mean. Epochs to a
    champion are the points run over the champions found (a study that finds none is followed by
    another), so that losing champions costs. Intervals: 95 %, 2,000 bootstrap resamples of studies.
    """
    facts = np.array([_facts(task, study) for study in studies], dtype=np.float64)
    passers, killed, flagged, saved, possible, spent, found, expected, truths = facts.T
    base = np.array([_facts(task, study) for study in unpruned], dtype=np.float64)
    draws = _draws(len(studies))
    with_passers = passers > 0
    total = len(studies[0].rows) * task.points
    out = {
        "false_prune_rate": _interval(
            np.divide(killed, passers, out=np.zeros_like(killed), where=with_passers),
            with_passers.astype(float),
            draws,
        ),
        "flagged_passers_rate": _interval(
            np.divide(flagged, passers, out=np.zeros_like(killed), where=with_passers),
            with_passers.astype(float),
            draws,
        ),
        "passers_in_a_study": float(passers.mean()),
        "trials_in_a_study": len(studies[0].rows),
        "epochs_saved": _interval(saved, np.full(len(saved), total), draws),
        "oracle_saving_reached": _interval(saved, possible, draws),
        "oracle_saving_by_passers_known": _by_known(task, studies),
        "epochs_to_champion": _interval(spent, found, draws),
        "epochs_to_champion_over_none": _ratio(spent, found, base[:, 5], base[:, 6], draws),
        "champions_found": float(found.mean()),
        "best_objective": _objectives(studies, total),
    }
    if truths.any() or expected.any():
        out["calibration"] = _interval(expected, truths, draws)
    audits = [study.audit for study in studies if study.audit]
    if audits:
        out["audit"] = _audit(np.array(audits))
    return out


def _facts(task: Task, study: Study) -> tuple[float, ...]:
    passes = task.passes[study.rows]
    ran = np.array([fate.points for fate in study.fates])
    flagged = np.array([fate.flagged is not None for fate in study.fates])
    chances = [sum(fate.forecasts) for fate in study.fates]
    looks = [len(fate.forecasts) for fate in study.fates]
    return (
        passes.sum(),
        (passes & (ran < task.points)).sum(),
        (passes & flagged).sum(),
        (task.points - ran).sum(),
        _possible(task, study).sum(),
        study.spent,
        study.confirmed_after is not None,
        sum(chances),
        float(np.dot(looks, passes)),
    )


def _possible(task: Task, study: Study) -> Array:
    """Points that the oracle saves of each trial."""
    left = task.points - math.ceil(FIRST_LOOK * task.points)
    possible: Array = np.where(task.passes[study.rows], 0.0, float(left))
    return possible


def _by_known(task: Task, studies: Sequence[Study]) -> dict[str, dict[str, float]]:
    """The oracle's saving reached, over trials begun when so many passers were known."""
    saved, possible = np.zeros(len(KNOWN)), np.zeros(len(KNOWN))
    for study in studies:
        ran = np.array([fate.points for fate in study.fates])
        ended = task.passes[study.rows] & (ran == task.points)
        known = np.cumsum(ended) - ended
        place = np.searchsorted(KNOWN, known, side="right") - 1
        np.add.at(saved, place, task.points - ran)
        np.add.at(possible, place, _possible(task, study))
    return {
        str(least): {"reached": float(s / p), "possible_per_study": float(p / len(studies))}
        for least, s, p in zip(KNOWN, saved, possible, strict=True)
        if p
    }


def _draws(studies: int) -> np.ndarray:
    return np.random.default_rng(0).integers(studies, size=(RESAMPLES, studies))


def _interval(above: Array, below: Array, draws: np.ndarray) -> dict[str, float | None]:
    """The ratio of two sums over studies, with a bootstrap interval; None without a denominator."""
    if not below.any():
        return {"mean": None, "low": None, "high": None}
    with np.errstate(divide="ignore", invalid="ignore"):
        resampled = above[draws].sum(axis=1) / below[draws].sum(axis=1)
    resampled = resampled[np.isfinite(resampled)]
    low, high = np.quantile(resampled, [0.025, 0.975])
    return {"mean": float(above.sum() / below.sum()), "low": float(low), "high": float(high)}


def _ratio(
    above: Array, below: Array, base_above: Array, base_below: Array, draws: np.ndarray
) -> dict[str, float | None]:
    if not below.any() or not base_below.any():
        return {"mean": None, "low": None, "high": None}
    mean = (above.sum() / below.sum()) / (base_above.sum() / base_below.sum())
    with np.errstate(divide="ignore", invalid="ignore"):
        ours = above[draws].sum(axis=1) / below[draws].sum(axis=1)
        theirs = base_above[draws].sum(axis=1) / base_below[draws].sum(axis=1)
        ratios = ours / theirs
    low, high = np.quantile(ratios[np.isfinite(ratios)], [0.025, 0.975])
    return {"mean": float(mean), "low": float(low), "high": float(high)}


def _objectives(studies: Sequence[Study], total: int) -> dict[str, float | None]:
    """The mean best confirmed objective after parts of ``total`` points, over studies with one."""
    out: dict[str, float | None] = {}
    for share in SHARES:
        bests = [
            max(value for at, value in study.objective if at <= share * total)
            for study in studies
            if any(at <= share * total for at, _ in study.objective)
        ]
        out[f"{share:g}"] = float(np.mean(bests)) if bests else None
    return out


def _audit(audits: Array) -> dict[str, float]:
    estimate, low, high, truth = audits.T
    return {
        "coverage": float(((low <= truth + 1e-12) & (truth <= high + 1e-12)).mean()),
        "width": float((high - low).mean()),
        "bias": float((estimate - truth).mean()),
    }
