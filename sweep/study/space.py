"""A trial's parameters on one side, a schedule for a run on the other.

Each trial has ten parameters: ``<term>_start`` and ``<term>_end`` for each of the four loss terms,
``lr_scheduler``, and ``tmax``. Each of ``CONSTANTS`` that is searched adds one.

``tmax`` is the cosine's T_max as a fraction of the run's epochs, so a probe and its full run follow
the same curve. It is drawn for a constant learning rate too, where it has no effect, because
multivariate TPE models a space without conditions best. The ranges of the parameters are in
:mod:`sweep.study.distributions`.
"""

from __future__ import annotations

from collections.abc import Mapping

from sweep.study.config import CONSTANTS, NamedSchedule
from uvtex.config import TERMS, Ramp, Schedule

Params = dict[str, float | str]


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
