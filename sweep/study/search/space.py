"""A trial's parameters on one side, the settings of a run on the other.

Each path in ``search.space`` is one parameter, see :func:`sweep.study.search.paths.parameter`. What
the space does not name is as in the study's train settings, and in its schedule ``baseline``.

``schedule.tmax`` is drawn for a constant learning rate too, where it has no effect, because
multivariate TPE models a space without conditions best.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sweep.study.config import BASELINE, StudyConfig
from sweep.study.folder import Stage
from sweep.study.search.paths import SCHEDULE, in_order, is_whole, parameter
from sweep.study.search.settings import Choices, NamedSchedule, Range
from uvtex.config import TERMS, Ramp, TrainConfig
from uvtex.settings import flatten

Value = int | float | str
Params = dict[str, Value]


def named(study: StudyConfig, params: Mapping[str, Value]) -> NamedSchedule:
    """The schedule that ``params`` describe, for a run of any length.

    Raises:
        pydantic.ValidationError: all weights are 0 at one end. The checks of a study's space rule
            that out.
    """
    baseline = study.named_schedules[BASELINE]
    values = {term: getattr(baseline, term) for term in TERMS}
    values |= {"lr_scheduler": baseline.lr_scheduler, "tmax": baseline.tmax}
    for path in study.search.space:
        if not path.startswith(SCHEDULE):
            continue
        key, _, end = path.removeprefix(SCHEDULE).partition(".")
        value = params[parameter(path)]
        if key not in TERMS:
            values[key] = value
        else:
            ramp: Ramp = values[key] if end else Ramp(start=0)
            values[key] = ramp.model_copy(update={end or "start": float(value)})
    return NamedSchedule.model_validate(values)


def train_config(
    study: StudyConfig, stage: Stage, params: Mapping[str, Value], seed: int | None = None
) -> TrainConfig:
    """The settings of a run of a trial.

    Args:
        seed: the run's seed; None: that of the train settings.
    """
    searched: dict[str, Any] = {}
    for path in study.search.space:
        if not path.startswith(SCHEDULE):
            *sections, key = path.split(".")
            section = searched
            for name in sections:
                section = section.setdefault(name, {})
            section[key] = params[parameter(path)]
    schedule = study.search.schedule(named(study, params), study.epochs(stage))
    return study.train_config(stage, schedule, searched, seed)


def params(study: StudyConfig, schedule: NamedSchedule) -> Params:
    """A named schedule as parameters. Searched settings outside it are as in the train settings.

    Raises:
        ValueError: no parameters describe the schedule. The message says why.
    """
    settings = flatten(study.train_config("probe", study.search.schedule(schedule, 1)).model_dump())
    out: Params = {}
    for path in in_order(set(study.search.space)):
        outside = not path.startswith(SCHEDULE)
        out[parameter(path)] = settings[path] if outside else _value(schedule, path)
    for stage in ("probe", "full"):
        epochs = study.epochs(stage)
        here = study.search.schedule(named(study, out), epochs)
        wanted = study.search.schedule(schedule, epochs)
        for key in (*TERMS, "lr_scheduler", "lr_scheduler_tmax"):
            if getattr(here, key) != getattr(wanted, key):
                path = f"{SCHEDULE}{'tmax' if key == 'lr_scheduler_tmax' else key}"
                raise ValueError(f"differs from {BASELINE!r} in {path}, which is not searched")
    return out


def _value(schedule: NamedSchedule, path: str) -> Value:
    key, _, end = path.removeprefix(SCHEDULE).partition(".")
    value = getattr(schedule, key)
    if not isinstance(value, Ramp):
        found: Value = value
        return found
    last = value.start if value.end is None else value.end
    if not end and last != value.start:
        raise ValueError(f"moves {path} from {value.start:g} to {last:g}, and {path} is held")
    return last if end == "end" else value.start


def outside(study: StudyConfig, params: Mapping[str, Value]) -> list[str]:
    """The searched paths whose parameter is not among the values of the study's space."""
    searched = study.search.space.items()
    return [
        path
        for path, values in searched
        if not _contains(values, params[parameter(path)], is_whole(path))
    ]


def _contains(values: Range | Choices, value: Value, whole: bool) -> bool:
    if isinstance(values, Choices):
        return value in values.choices
    if isinstance(value, str) or not values.low <= value <= values.high:
        return False
    return float(value).is_integer() or not (whole or values.integer)
