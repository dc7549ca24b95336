"""Suggestions whose settings were trained already.

Two suggestions are the same if their runs have the same settings, whatever their parameters: with a
constant learning rate T_max has no effect, and with normalised weights only the ratios have one.
"""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Collection, Iterator, Mapping

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution

from sweep.study.config import StudyConfig
from sweep.study.search import paths, space
from sweep.study.search.paths import SCHEDULE

MOST_REPEATS = 5
"""So many repeats in a row are settled before the sampler is passed over."""

LARGEST_LISTED = 2000
"""Number of points of the largest space in which a point is looked for that was not tried."""


def fingerprint(study: StudyConfig, params: Mapping[str, space.Value]) -> str:
    """Digest of the settings of a trial's probe and full run."""
    runs = (space.train_config(study, stage, params) for stage in ("probe", "full"))
    return hashlib.sha256("\n".join(run.model_dump_json() for run in runs).encode()).hexdigest()


def always_matters(study: StudyConfig, parameter: str) -> bool:
    """Whether two runs with the same settings have the same value of ``parameter``.

    That of T_max matters under a cosine only, and of normalised weights only the ratios do.
    """
    schedule = {name for name in study.search.space if name.startswith(SCHEDULE)}
    if parameter not in {paths.parameter(name) for name in schedule}:
        return True
    if parameter == "tmax":
        return False
    return not study.search.normalise or parameter == "lr_scheduler"


def untried(
    study: StudyConfig, distributions: Mapping[str, BaseDistribution], tried: Collection[str]
) -> space.Params | None:
    """The first point of a small space that is not among ``tried``; None if there is none.

    Args:
        tried: fingerprints.
    """
    if number_of_points(distributions) > LARGEST_LISTED:
        return None
    points = (point for point in _points(distributions) if fingerprint(study, point) not in tried)
    return next(points, None)


def number_of_points(distributions: Mapping[str, BaseDistribution]) -> float:
    """The number of points of a space, infinity if a parameter is not discrete."""
    return math.prod((len(_values(of)) or math.inf) for of in distributions.values())


def _points(distributions: Mapping[str, BaseDistribution]) -> Iterator[space.Params]:
    for values in itertools.product(*(_values(of) for of in distributions.values())):
        yield dict(zip(distributions, values, strict=True))


def _values(of: BaseDistribution) -> tuple[space.Value, ...] | range:
    if isinstance(of, CategoricalDistribution):
        return tuple(of.choices)  # type: ignore[arg-type]
    if isinstance(of, IntDistribution):
        return range(of.low, of.high + 1, of.step)
    return ()
