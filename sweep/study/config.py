"""The study file: what is searched, on which data, by which thresholds, within which limits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from sweep.study.folder import DEFAULT_STORE, Stage, StudyFolder, tracking_uri
from uvtex.config import DEFAULT_THRESHOLDS, TERMS, Ramp, Schedule, Settings, TrainConfig, resolve
from uvtex.metric_catalogue import needs_lpips
from uvtex.thresholds import Threshold

OBJECTIVE = "ssim_uv"
"""What Optuna maximises: the probe's SSIM(UV) at its epoch of best margin."""

CONSTANTS = ("lr", "w_flow", "w_render", "w_ssim")
"""Settings that are no part of the schedule, and may be searched beside it."""

Scheduler = Literal["none", "cosine"]


class NamedSchedule(Settings):
    """A schedule that fits a run of any length: ``tmax`` is T_max in parts of the run's epochs."""

    cycle: Ramp = Schedule().cycle
    uv: Ramp = Schedule().uv
    direct: Ramp = Schedule().direct
    cross: Ramp = Schedule().cross
    lr_scheduler: Scheduler = "none"
    tmax: float = Field(default=1.0, gt=0)

    @model_validator(mode="after")
    def _weighs_something(self) -> NamedSchedule:
        Schedule(**{term: getattr(self, term) for term in TERMS})
        return self


class DataSettings(Settings):
    """The data set; with ``showroom`` it is rendered first if the folder holds none."""

    path: Path
    """Relative to where the command is run, as is ``store``."""
    showroom: dict[str, Any] | None = None
    """Settings of :class:`uvtex.showroom.settings.ShowroomSettings`, all of them."""


class Stages(Settings):
    """Epochs of the two stages of a trial's life."""

    probe: int = Field(default=20, ge=1)
    full: int = Field(default=40, ge=1)


class Range(Settings):
    """A closed interval to search; ``log`` for what matters by ratio, as weights do under Adam."""

    low: float = Field(ge=0)
    high: float
    log: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if self.low >= self.high:
            raise ValueError(f"low must be < high, got {self.low:g} and {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"low must be > 0 where log is true, got {self.low:g}")
        return self


class Weights(Settings):
    """The range of each term's weight, the same for start and end."""

    cycle: Range = Range(low=0.0, high=1.0)
    uv: Range = Range(low=0.0, high=1.0)
    direct: Range = Range(low=0.05, high=1.0)
    cross: Range = Range(low=0.0, high=1.0)

    @model_validator(mode="after")
    def _never_all_zero(self) -> Weights:
        if all(getattr(self, term).low <= 0 for term in TERMS):
            raise ValueError("at least one term's low must be > 0, or all weights could be 0")
        return self


class Search(Settings):
    """What the sampler may choose, and what is tried before it chooses."""

    seed: int = Field(default=0, ge=0)
    startup_trials: int = Field(default=10, ge=0)
    """Random trials before TPE models anything; the queued ones count."""
    weights: Weights = Weights()
    lr: Range | None = None
    """Of the learning rate that a run starts with; None: as the train settings say."""
    w_flow: Range | None = None
    """Of the weight of the flow supervision; None: as the train settings say."""
    w_render: Range | None = None
    """Of the weight of the renderer's own term; None: as the train settings say. It changes nothing
    where preset ``atlas`` meets a set with UV maps: that renderer is exact."""
    w_ssim: Range | None = None
    """Of the weight of the textures' SSIM; None: as the train settings say."""
    tmax: Range = Range(low=0.5, high=2.0)
    """T_max in parts of a run's epochs."""
    lr_schedulers: tuple[Scheduler, ...] = Field(default=("none", "cosine"), min_length=1)
    queue: tuple[str, ...] = ()
    """Names of schedules to try first, in this order."""
    schedules: dict[str, NamedSchedule] = Field(default_factory=dict)
    """In a study file: the path of a schedules file, relative to the study file."""

    @field_validator("lr")
    @classmethod
    def _learns(cls, lr: Range | None) -> Range | None:
        if lr is not None and lr.low <= 0:
            raise ValueError("low must be > 0")
        return lr


class Pruning(Settings):
    """When a probe is stopped early; see :mod:`sweep.decisions.pruning`."""

    enabled: bool = True
    warmup_epochs: int = Field(default=5, ge=3)
    """Epochs that every probe gets; three points are the least a fit with scatter needs."""
    allowance: float = Field(default=1.64, ge=0)
    """How many standard deviations better than forecast a run may still turn out."""
    spare: tuple[str, ...] = ()
    """Schedule names that are never pruned, so that their figures are measured in full."""


class StudyConfig(Settings):
    """One study, resolved: self-contained, and what ``study.yaml`` in its folder holds."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    data: DataSettings
    train: dict[str, Any] = Field(default_factory=dict)
    """Settings of :class:`uvtex.config.TrainConfig` but for those the study decides."""
    stages: Stages = Stages()
    thresholds: tuple[Threshold, ...] = Field(default=DEFAULT_THRESHOLDS, min_length=1)
    trials: int = Field(default=30, ge=1)
    """Probes in total, those of earlier runs of the command among them."""
    hours: float | None = Field(default=None, gt=0)
    """Budget of one run of the command; None is no limit."""
    workers: int | None = Field(default=None, ge=1)
    """Worker processes; None is one a GPU, or one on a machine without."""
    search: Search = Search()
    pruning: Pruning = Pruning()
    grids: int = Field(default=12, ge=0)
    """Sample grids drawn at the end of a run that was not pruned."""
    store: Path = DEFAULT_STORE
    tracking_uri: str = tracking_uri(DEFAULT_STORE)

    @property
    def paths(self) -> StudyFolder:
        return StudyFolder(self.store, self.name)

    def in_store(self, store: Path) -> StudyConfig:
        """The study as it is found in ``store``, which may have been moved since it was saved.

        A tracking URI goes along if it is that of the store's own database.
        """
        own = self.tracking_uri == tracking_uri(self.store)
        uri = tracking_uri(store) if own else self.tracking_uri
        return self.model_copy(update={"store": store, "tracking_uri": uri})

    @property
    def wants_lpips(self) -> bool:
        return any(needs_lpips(threshold.metric) for threshold in self.thresholds)

    def epochs(self, stage: Stage) -> int:
        return self.stages.probe if stage == "probe" else self.stages.full

    def train_config(
        self, stage: Stage, schedule: Schedule, constants: Mapping[str, float] | None = None
    ) -> TrainConfig:
        """The settings of one run; ``constants`` are the searched ones of ``CONSTANTS``."""
        decided = {
            **(constants or {}),
            "epochs": self.epochs(stage),
            "schedule": schedule.model_dump(),
            "thresholds": self.thresholds,
        }
        return resolve(self.train, decided)
