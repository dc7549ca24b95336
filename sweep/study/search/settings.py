"""The settings of a search: its space, its sampler, the schedules to try first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, ValidationInfo, field_validator, model_validator

from sweep.study.search.earlier_keys import EARLIER, instead, translated
from uvtex.config import TERMS, Ramp, Schedule
from uvtex.settings import Settings
from uvtex.typed.names import FileName, Label

Scheduler = Literal["none", "cosine"]
SamplerName = Literal["tpe", "gp", "cmaes", "qmc", "random"]


class NamedSchedule(Settings):
    """A schedule for a run of any length: ``tmax`` is T_max as a share of the run's epochs."""

    cycle: Ramp = Schedule().cycle
    """Weight of the cycle term: a number, or ``start`` and ``end``."""
    uv: Ramp = Schedule().uv
    """Weight of the uv term."""
    direct: Ramp = Schedule().direct
    """Weight of the direct term."""
    cross: Ramp = Schedule().cross
    """Weight of the cross term."""
    lr_scheduler: Scheduler = "none"
    """``none`` or ``cosine``."""
    tmax: float = Field(default=1.0, gt=0)
    """T_max as a share of the run's epochs: 1 means the learning rate is 0 in the last epoch."""

    @model_validator(mode="after")
    def _weighs_something(self) -> NamedSchedule:
        Schedule(**{term: getattr(self, term) for term in TERMS})
        return self


class Range(Settings):
    """A closed interval to search. ``log`` suits values whose ratio matters, such as weights."""

    low: float
    """Smallest value that may be chosen."""
    high: float
    """Largest value that may be chosen."""
    log: bool = False
    """Search the logarithm of the value."""
    integer: bool = False
    """Draw whole numbers only. A setting that is a whole number gets whole numbers anyway."""

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if self.low >= self.high:
            raise ValueError(f"low must be < high, got {self.low:g} and {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"low must be > 0 where log is true, got {self.low:g}")
        if self.integer and not (self.low.is_integer() and self.high.is_integer()):
            raise ValueError(
                "low and high must be whole numbers where integer is true, got "
                f"{self.low:g} and {self.high:g}"
            )
        return self


class Choices(Settings):
    """Values to choose from. They have no order."""

    choices: tuple[int | float | str, ...] = Field(min_length=1)
    """The values that may be chosen."""

    @model_validator(mode="after")
    def _all_different(self) -> Choices:
        if len(set(self.choices)) < len(self.choices):
            raise ValueError("choices: contains a value twice")
        return self


def _kind(value: Any) -> str:
    named = value.keys() if isinstance(value, Mapping) else ()
    return "<choices>" if isinstance(value, Choices) or "choices" in named else "<range>"


Values = Annotated[
    Annotated[Range, Tag("<range>")] | Annotated[Choices, Tag("<choices>")], Discriminator(_kind)
]
"""What a searched setting may be."""


def whole_schedule() -> dict[str, Range | Choices]:
    """The space of a study that names none: the schedule, all of it."""
    space: dict[str, Range | Choices] = {}
    for term in TERMS:
        bounds = Range(low=0.05 if term == "direct" else 0.0, high=1.0)
        space |= {f"schedule.{term}.start": bounds, f"schedule.{term}.end": bounds}
    space["schedule.lr_scheduler"] = Choices(choices=("none", "cosine"))
    space["schedule.tmax"] = Range(low=0.5, high=2.0)
    return space


class Search(Settings):
    """The search space of the sampler, and the schedules to try first."""

    seed: int = Field(default=0, ge=0)
    """Seed of the sampler."""
    sampler: SamplerName = "tpe"
    """Optuna's sampler: ``tpe``, ``gp``, ``cmaes``, ``qmc`` or ``random``. ``cmaes`` knows neither
    thresholds nor choices: it maximises SSIM(UV) over the numbers, and choices are drawn at
    random."""
    startup_trials: int = Field(default=10, ge=0)
    """Number of random trials before ``tpe``, ``gp`` and ``cmaes`` use what they have learnt.
    Queued trials and trials of ``warm_start`` count."""
    space: dict[str, Values] = Field(default_factory=whole_schedule, min_length=1)
    """Path of a setting -> its values: a range or choices. It may be the path of any setting that
    decides a run's figures: ``lr``, ``augment.noise``, ``preset``, ``schedule.cross.end``. The path
    of a term, ``schedule.cross``, holds its weight over the epochs. ``schedule.tmax`` is T_max as a
    share of the run's epochs. What the space does not name is as in the train settings, and in the
    schedule ``baseline``. Not given: start and end of every weight, ``schedule.lr_scheduler`` and
    ``schedule.tmax``."""
    normalise: bool = False
    """Divide the four weights by their sum, at the start and at the end, so that only their ratios
    are searched. It holds for named schedules too."""
    warm_start: tuple[FileName, ...] = ()
    """Names of studies in the same store. Their finished probes are told to the sampler before the
    first trial, and the forecast of pruning learns from them."""
    queue: tuple[Label, ...] = ()
    """Names of schedules to try first, in this order."""
    schedules: dict[Label, NamedSchedule] = Field(default_factory=dict)
    """In a study file: the path of a file of named schedules, relative to the study file."""

    @model_validator(mode="before")
    @classmethod
    def _of_before(cls, values: Any, info: ValidationInfo) -> Any:
        of_before = isinstance(values, Mapping) and values.keys() & EARLIER.keys()
        if not of_before or "space" in values:
            return values
        if (info.context or {}).get("folder") is not None:
            raise ValueError(instead(values))
        return translated(values, {p: v.model_dump() for p, v in whole_schedule().items()})

    @field_validator("space", mode="before")
    @classmethod
    def _of_paths(cls, space: Any) -> Any:
        for path, values in space.items() if isinstance(space, Mapping) else ():
            if isinstance(values, Mapping) and all(isinstance(v, Mapping) for v in values.values()):
                inner = next(iter(values), "end")
                raise ValueError(f"write a path with dots, {path}.{inner}, and not as sections")
        return space

    def schedule(self, named: NamedSchedule, epochs: int) -> Schedule:
        """The schedule of a run of ``epochs``, T_max rounded to whole epochs and at least 1."""
        cosine = named.lr_scheduler == "cosine"
        ramps = {term: _held_if_level(getattr(named, term)) for term in TERMS}
        return Schedule(
            **(_normalised(ramps) if self.normalise else ramps),
            lr_scheduler=named.lr_scheduler,
            lr_scheduler_tmax=max(1, round(named.tmax * epochs)) if cosine else None,
        )


def _held_if_level(ramp: Ramp) -> Ramp:
    return Ramp(start=ramp.start) if ramp.end == ramp.start else ramp


def _normalised(ramps: Mapping[str, Ramp]) -> dict[str, Ramp]:
    """The weights over their sum at each end, so that their sum is 1 in every epoch."""
    ends = {term: ramp.start if ramp.end is None else ramp.end for term, ramp in ramps.items()}
    first, last = sum(ramp.start for ramp in ramps.values()), sum(ends.values())
    if ends == {term: ramp.start for term, ramp in ramps.items()}:
        return {term: Ramp(start=ramp.start / first) for term, ramp in ramps.items()}
    return {
        term: Ramp(start=ramp.start / first, end=ends[term] / last) for term, ramp in ramps.items()
    }
