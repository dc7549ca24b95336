"""The search space: Optuna's parameters on one side, a schedule for a run on the other.

Ten parameters a trial: ``<term>_start`` and ``<term>_end`` of each term's weight, ``lr_scheduler``,
and ``tmax``, the cosine's T_max in parts of the run's epochs, so that a probe and its full run
follow the same curve; and one for each of ``CONSTANTS`` that is searched. ``tmax`` is suggested for
a constant learning rate too, where it means nothing: a space without conditions is what
multivariate TPE models best.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from sweep.study.config import CONSTANTS, NamedSchedule, Search
from uvtex.config import TERMS, Ramp, Schedule

Params = dict[str, float | str]


class Trial(Protocol):
    """As much of an Optuna trial as is needed to suggest."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool) -> float: ...

    def suggest_categorical(self, name: str, choices: list[str]) -> str: ...


def suggest(trial: Trial, search: Search) -> Params:
    """Asks ``trial`` for every parameter, each within the study file's ranges."""
    params: Params = {}
    for term in TERMS:
        bounds = getattr(search.weights, term)
        for end in ("start", "end"):
            name = f"{term}_{end}"
            params[name] = trial.suggest_float(name, bounds.low, bounds.high, log=bounds.log)
    params["lr_scheduler"] = trial.suggest_categorical("lr_scheduler", list(search.lr_schedulers))
    for name in CONSTANTS:
        constant = getattr(search, name)
        if constant is not None:
            params[name] = trial.suggest_float(name, constant.low, constant.high, log=constant.log)
    tmax = search.tmax
    params["tmax"] = trial.suggest_float("tmax", tmax.low, tmax.high, log=tmax.log)
    return params


def params(schedule: NamedSchedule) -> Params:
    """A named schedule as parameters; :func:`named` is its inverse."""
    out: Params = {}
    for term in TERMS:
        ramp: Ramp = getattr(schedule, term)
        out[f"{term}_start"] = ramp.start
        out[f"{term}_end"] = ramp.start if ramp.end is None else ramp.end
    return out | {"lr_scheduler": schedule.lr_scheduler, "tmax": schedule.tmax}


def named(params: Mapping[str, float | str]) -> NamedSchedule:
    """The schedule that ``params`` describe, for a run of any length.

    Raises:
        pydantic.ValidationError: all weights are 0 at one end. The study file's ranges rule that
            out, see :class:`sweep.study.config.Weights`.
    """
    return NamedSchedule.model_validate(
        {term: _ramp(params, term) for term in TERMS}
        | {"lr_scheduler": params["lr_scheduler"], "tmax": params["tmax"]}
    )


def schedule(params: Mapping[str, float | str], epochs: int) -> Schedule:
    """The schedule of a run of ``epochs``, T_max rounded to whole epochs and at least 1."""
    relative = named(params)
    tmax = max(1, round(relative.tmax * epochs)) if relative.lr_scheduler == "cosine" else None
    return Schedule(
        **{term: getattr(relative, term) for term in TERMS},
        lr_scheduler=relative.lr_scheduler,
        lr_scheduler_tmax=tmax,
    )


def constants(params: Mapping[str, float | str]) -> dict[str, float]:
    """The searched settings that are no part of the schedule, as settings of a run."""
    return {name: float(params[name]) for name in CONSTANTS if name in params}


def _ramp(params: Mapping[str, float | str], term: str) -> Ramp:
    start, end = float(params[f"{term}_start"]), float(params[f"{term}_end"])
    return Ramp(start=start, end=None if end == start else end)
