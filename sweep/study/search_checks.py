"""Checks of a study's search that need several of its settings at once."""

from __future__ import annotations

from typing import get_args

from sweep.study.config import CONSTANTS, NamedSchedule, Range, Scheduler, Search, StudyConfig
from sweep.study.folder import SEARCHED
from sweep.study.threshold_checks import threshold_problems
from uvtex.config import TERMS, Ramp, Schedule


def search_problems(study: StudyConfig) -> list[str]:
    """Problems that no single setting shows, each with its key."""
    problems = []
    search = study.search
    if SEARCHED in search.queue:
        problems.append(
            f"search.queue: {SEARCHED!r} stands for the sampler's own trials; rename the schedule"
        )
    for name in search.queue:
        if name not in search.schedules:
            problems.append(f"search.queue: there is no schedule {name!r}")
    if len(set(search.queue)) < len(search.queue):
        problems.append("search.queue: contains a schedule twice")
    for name, schedule in search.schedules.items():
        problems.extend(_outside(name, schedule, search))
    problems.extend(_constants_outside(study))
    problems.extend(_constants_idle(study))
    return problems + threshold_problems(study)


def _constants_outside(study: StudyConfig) -> list[str]:
    """Searched constants whose value in the train settings is out of range.

    Queued schedules run with the values of the train settings.
    """
    settings = study.train_config("probe", Schedule())
    return [
        f"search.{name}: {bounds.low:g} to {bounds.high:g} excludes {getattr(settings, name):g}, "
        "the value of the train settings"
        for name in CONSTANTS
        if (bounds := getattr(study.search, name)) is not None
        and not bounds.low <= getattr(settings, name) <= bounds.high
    ]


def _constants_idle(study: StudyConfig) -> list[str]:
    """Searched constants that have no effect.

    A data set that the study does not render may not exist yet, so whether it has UV maps is
    unknown. Nothing is reported for it; see :class:`Search`.
    """
    exact = study.data.showroom is not None and study.train.get("preset") == "atlas"
    if study.search.w_render is None or not exact:
        return []
    return [
        "search.w_render: has no effect, because preset 'atlas' renders exactly by the UV maps of "
        "a showroom set; remove it"
    ]


def _outside(name: str, schedule: NamedSchedule, search: Search) -> list[str]:
    """Where a queued schedule is outside the ranges. The sampler cannot model such a point."""
    problems = []
    for term in TERMS:
        ramp: Ramp = getattr(schedule, term)
        bounds: Range = getattr(search.weights, term)
        for value in (ramp.start, ramp.start if ramp.end is None else ramp.end):
            if not bounds.low <= value <= bounds.high:
                problems.append(
                    f"search.weights.{term}: {bounds.low:g} to {bounds.high:g} excludes "
                    f"{value:g}, the value of schedule {name!r}"
                )
    if not search.tmax.low <= schedule.tmax <= search.tmax.high:
        problems.append(f"search.tmax: excludes {schedule.tmax:g}, the value of schedule {name!r}")
    if schedule.lr_scheduler not in search.lr_schedulers:
        problems.append(
            f"search.lr_schedulers: excludes {schedule.lr_scheduler!r} of schedule {name!r}; "
            f"known: {', '.join(get_args(Scheduler))}"
        )
    return problems
