"""What a calibration says: the noise of each metric, and whether the thresholds rise above it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from sweep.study.calibration import (
    Calibration,
    MetricNoise,
    RunFigures,
    Spread,
    StageCalibration,
)
from sweep.study.folder import Stage

Array = npt.NDArray[np.float64]


def calibrate(
    runs: Sequence[RunFigures],
    metrics: Sequence[str],
    correlated: Sequence[str] | None = None,
    failed: Sequence[str] = (),
) -> Calibration:
    """The calibration that ``runs`` make.

    Args:
        metrics: the metrics to keep. Those that a run did not measure are left out.
        correlated: those whose correlations are computed, pair by pair; all of them by default.
        failed: the runs without figures, for messages.

    Raises:
        ValueError: no schedule has two seeds at one of the stages that were run.
    """
    stages: dict[Stage, StageCalibration] = {}
    for stage in ("probe", "full"):
        here = [run for run in runs if run.stage == stage]
        if here:
            stages[stage] = _stage(here, metrics, metrics if correlated is None else correlated)
    return Calibration(runs=tuple(runs), failed=tuple(failed), stages=stages)


def _stage(
    runs: Sequence[RunFigures], metrics: Sequence[str], correlated: Sequence[str]
) -> StageCalibration:
    measured = [
        name
        for name in metrics
        if all(math.isfinite(run.metrics.get(name, math.nan)) for run in runs)
    ]
    schedules = list(dict.fromkeys(run.schedule for run in runs))
    figures = {
        schedule: {run.seed: run.metrics for run in runs if run.schedule == schedule}
        for schedule in schedules
    }
    columns = {
        name: {
            schedule: {seed: values[name] for seed, values in by_seed.items()}
            for schedule, by_seed in figures.items()
        }
        for name in measured
    }
    means = {
        schedule: {name: _mean(columns[name][schedule].values()) for name in measured}
        for schedule in schedules
    }
    pairs = [name for name in correlated if name in columns]
    overheads = [run.overhead for run in runs if run.overhead is not None]
    return StageCalibration(
        means=means,
        noise={name: _noise(name, columns[name], runs) for name in measured},
        over_seeds=_correlations({name: _residuals(columns[name]) for name in pairs}),
        over_schedules=_correlations(
            {name: np.array([means[s][name] for s in schedules]) for name in pairs}
            if len(schedules) > 2
            else {}
        ),
        seconds=float(np.median([run.seconds for run in runs])),
        overhead=float(np.median(overheads)) if overheads else 0.0,
        epochs=max(run.epochs for run in runs),
    )


def _noise(
    metric: str, column: dict[str, dict[int, float]], runs: Sequence[RunFigures]
) -> MetricNoise:
    residuals = _residuals(column)
    degrees = len(residuals) - len(column)
    if degrees < 1:
        raise ValueError("a calibration needs at least two seeds of one schedule")
    variance = float(residuals @ residuals) / degrees
    means = [_mean(values.values()) for values in column.values()]
    between = None
    if len(means) > 1:
        # E[variance of the means] = variance of the true means + s^2 / seeds
        noise = variance * _mean(1 / len(values) for values in column.values())
        between = math.sqrt(max(0.0, float(np.var(means, ddof=1)) - noise))
    return MetricNoise(
        seeds=Spread(deviation=math.sqrt(variance), degrees=degrees),
        pairs=_pairs(column),
        liveries=_over_liveries(metric, runs),
        schedules=between,
    )


def _pairs(column: dict[str, dict[int, float]]) -> Spread | None:
    """The spread of differences by seed, from the residuals of a two-way layout.

    With ``x_ij = schedule_i + seed_j + e_ij`` a difference of two schedules at one seed has the
    variance ``2 var(e)``. The layout has the seeds that all schedules share.
    """
    shared = sorted(set.intersection(*(set(values) for values in column.values())))
    if len(column) < 2 or len(shared) < 2:
        return None
    table = np.array([[values[seed] for seed in shared] for values in column.values()])
    rest = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + table.mean()
    degrees = (len(column) - 1) * (len(shared) - 1)
    return Spread(deviation=math.sqrt(2 * float((rest**2).sum()) / degrees), degrees=degrees)


def _over_liveries(metric: str, runs: Sequence[RunFigures]) -> float | None:
    """Standard deviation over the liveries of a run, pooled over the runs that tell."""
    squares, degrees = 0.0, 0
    for run in runs:
        values = np.array([v[metric] for v in run.liveries.values() if metric in v])
        if len(values) > 1:
            squares += float(((values - values.mean()) ** 2).sum())
            degrees += len(values) - 1
    return math.sqrt(squares / degrees) if degrees else None


def _residuals(column: dict[str, dict[int, float]]) -> Array:
    """Each run's distance from its schedule's mean."""
    return np.concatenate([np.array(list(v.values())) - _mean(v.values()) for v in column.values()])


def _correlations(values: dict[str, Array]) -> dict[str, float]:
    """``metric, metric`` -> Pearson's correlation. Metrics that do not vary are left out."""
    varying = {name: v - v.mean() for name, v in values.items() if np.ptp(v) > 0}
    return {
        f"{one}, {other}": float(a @ b / math.sqrt((a @ a) * (b @ b)))
        for (one, a), (other, b) in itertools.combinations(varying.items(), 2)
    }


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return math.fsum(found) / len(found)
