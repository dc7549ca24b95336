"""The settings of a study: data set, search space, thresholds, limits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Discriminator, Field, Tag

from sweep.study.database import sqlite_url
from sweep.study.folder import DEFAULT_STORE, Stage, StudyFolder, tracking_uri
from sweep.study.launcher_settings import LauncherSettings
from sweep.study.search.settings import NamedSchedule, Search
from sweep.study.thresholds.relative import RelativeThreshold
from sweep.study.urls import Url
from uvtex.config import DEFAULT_THRESHOLDS, Schedule, TrainConfig, resolve
from uvtex.errors import ConfigError
from uvtex.metric_catalogue import THRESHOLDS, needs_lpips
from uvtex.settings import Settings
from uvtex.thresholds import Threshold
from uvtex.typed.names import FileName
from uvtex.typed.setting_values import InputPath, PathHere

OBJECTIVE = "ssim_uv"
"""The metric that Optuna maximises: the probe's SSIM(UV) at the epoch with the best margin."""

MOST_REPLICATES = 8
"""Full runs of one trial, at most."""

BASELINE = "baseline"
"""The schedule that every study knows."""


def _kind_of_threshold(value: Any) -> str:
    if isinstance(value, Mapping):
        return "<relative>" if value.keys() & {"above", "below", "by"} else "<absolute>"
    return "<relative>" if isinstance(value, RelativeThreshold) else "<absolute>"


def _of_known_metric(threshold: Threshold | RelativeThreshold) -> Threshold | RelativeThreshold:
    if threshold.metric not in THRESHOLDS:
        known = ", ".join(THRESHOLDS)
        raise ValueError(f"{threshold.metric!r} is not measured; known metrics: {known}")
    return threshold


AskedThreshold = Annotated[
    Annotated[Threshold, Tag("<absolute>")] | Annotated[RelativeThreshold, Tag("<relative>")],
    Discriminator(_kind_of_threshold),
    AfterValidator(_of_known_metric),
]
"""A threshold as a study file gives it."""


class DataSettings(Settings):
    """The data set of a study."""

    path: InputPath
    """Folder of the data set, relative to the study file or, where it is not there, to the folder
    that the command runs in."""
    showroom: dict[str, Any] | None = None
    """Settings of a showroom set. If the folder holds no set, this one is rendered first."""


class Stages(Settings):
    """Number of epochs of a trial's two stages."""

    probe: int = Field(default=20, ge=1)
    """Number of epochs of a probe."""
    full: int = Field(default=40, ge=1)
    """Number of epochs of a full run."""


class Pruning(Settings):
    """When probes are stopped early, see :mod:`sweep.decisions.stopping.rule`. Probes of queued
    schedules never are."""

    enabled: bool = True
    """Whether probes may be stopped early."""
    risk: float = Field(default=0.05, gt=0, lt=1)
    """The largest share of the probes that would pass which pruning may be expected to cost."""
    min_epochs: int = Field(default=3, ge=1)
    """Number of epochs before which no probe is stopped."""


class Hang(Settings):
    """When a worker that says nothing is killed. Its run then goes on in a new one.

    Only the time in which the machine is awake counts.
    """

    factor: float = Field(default=10.0, ge=2)
    """A worker is killed if it says nothing for so many times its usual time of an epoch."""
    least_seconds: float = Field(default=60.0, gt=0)
    """But not within so many seconds."""
    first_epoch_seconds: float = Field(default=7200.0, gt=0)
    """And not within so many seconds before its first epoch, when it opens the data set, or after
    its last, when it measures the test side and draws grids."""


class StudyConfig(Settings):
    """All settings of one study, with every default filled in. The study saves them as YAML."""

    model_config = ConfigDict(serialize_by_alias=True)

    name: FileName
    """Name of the study: letters, digits, ``.``, ``_`` and ``-``."""
    data: DataSettings
    """The data set."""
    train: dict[str, Any] = Field(default_factory=dict)
    """Settings of a training run, without those that the study decides."""
    stages: Stages = Stages()
    """Number of epochs of probes and full runs."""
    asked_thresholds: tuple[AskedThreshold, ...] = Field(
        default=DEFAULT_THRESHOLDS, min_length=1, alias="thresholds"
    )
    """A run passes if its figures meet all of these. Each is absolute (``metric`` with ``at_least``
    or ``at_most``), or relative to a schedule of ``sweep calibrate`` (``metric`` with ``above`` or
    ``below`` and ``by``, in standard deviations over seeds)."""
    resolved_probe_thresholds: tuple[Threshold, ...] = ()
    """The same as ``resolved_thresholds`` for probes. None: those hold for probes too."""
    resolved_thresholds: tuple[Threshold, ...] = ()
    """The thresholds of full runs in absolute figures, where some are relative. The study sets it
    once, from its calibration."""
    trials: int = Field(default=30, ge=1)
    """Number of probes in all. Probes of earlier runs of the command count."""
    hours: float | None = Field(default=None, gt=0)
    """Time budget of one run of the command, in hours in which the machine is awake. None: no
    limit."""
    device_hours: float | None = Field(default=None, gt=0)
    """The same for the sum over devices of the time in which each runs something."""
    workers: int | None = Field(default=None, ge=1)
    """Number of worker processes. None: one a GPU, or one on a machine without a GPU. In a Ray
    cluster None is as many as the cluster has room for."""
    launcher: LauncherSettings = LauncherSettings()
    """Where the workers run."""
    retries: int = Field(default=3, ge=0)
    """How many times in a row a run goes on in a new worker after its worker died without a new
    epoch. Every new epoch sets the count to 0."""
    hang: Hang = Hang()
    """When a worker that says nothing is killed."""
    search: Search = Search()
    """What is searched."""
    pruning: Pruning = Pruning()
    """When probes are stopped early."""
    replicates: int = Field(default=5, ge=1, le=MOST_REPLICATES)
    """Number of full runs that a probe gets at most if it passes. Each has a seed of its own, which
    is not the probe's."""
    grids: int = Field(default=12, ge=0)
    """Number of sample grids that are drawn at the end of a run that was not pruned."""
    keep: Literal["all", "verdict"] = "all"
    """Which files stay. ``all``: every file, until you run ``sweep clean``. ``verdict``: the study
    removes the files of a run that ``sweep clean`` would remove, as soon as its verdict is
    final."""
    store: PathHere = DEFAULT_STORE
    """Folder of the studies, Optuna's storage and MLflow's store, relative to the folder that the
    command runs in."""
    storage: Url | None = None
    """Optuna's storage: SQLAlchemy's URL of a database, such as
    ``postgresql://USER:${PASSWORD}@HOST/DATABASE``. ``${NAME}`` stands for an environment variable.
    None: ``optuna.db`` in ``store``."""
    tracking_uri: Url = Field(default_factory=lambda: tracking_uri(DEFAULT_STORE))
    """MLflow's tracking store: a database in ``store``, another database, or a server. ``${NAME}``
    stands for an environment variable. A server's login comes from ``MLFLOW_TRACKING_USERNAME`` and
    ``MLFLOW_TRACKING_PASSWORD``."""

    @property
    def paths(self) -> StudyFolder:
        return StudyFolder(self.store, self.name)

    @property
    def optuna_url(self) -> str:
        """The URL of Optuna's storage, as the study file gives it."""
        return self.storage or sqlite_url(self.paths.optuna)

    def in_store(self, store: Path) -> StudyConfig:
        """The settings with the paths of ``store``, which may have moved since they were saved.

        The tracking URI changes too if it names the database in the old store.
        """
        own = self.tracking_uri == tracking_uri(self.store)
        uri = tracking_uri(store) if own else self.tracking_uri
        return self.model_copy(update={"store": store, "tracking_uri": uri})

    @property
    def thresholds(self) -> tuple[Threshold, ...]:
        """The thresholds of full runs in absolute figures.

        Raises:
            ConfigError: some are relative, and the calibration has not resolved them yet.
        """
        if self.resolved_thresholds:
            return self.resolved_thresholds
        if relative := self.relative_thresholds:
            raise ConfigError(
                f"study {self.name!r} has no figures yet for its threshold '{relative[0]}'; run "
                "`sweep calibrate` with the study's file"
            )
        return tuple(t for t in self.asked_thresholds if isinstance(t, Threshold))

    def thresholds_of(self, stage: Stage) -> tuple[Threshold, ...]:
        """The thresholds by which the runs of a stage are judged.

        Raises:
            ConfigError: see :attr:`thresholds`.
        """
        if stage == "probe" and self.resolved_probe_thresholds:
            return self.resolved_probe_thresholds
        return self.thresholds

    @property
    def relative_thresholds(self) -> tuple[RelativeThreshold, ...]:
        return tuple(t for t in self.asked_thresholds if isinstance(t, RelativeThreshold))

    def training_thresholds(self, stage: Stage) -> tuple[Threshold, ...]:
        """The thresholds of a run. Before a calibration, relative ones only say what is better."""
        if self.resolved_thresholds:
            return self.thresholds_of(stage)
        return tuple(
            t.provisional() if isinstance(t, RelativeThreshold) else t
            for t in self.asked_thresholds
        )

    @property
    def wants_lpips(self) -> bool:
        return any(needs_lpips(threshold.metric) for threshold in self.asked_thresholds)

    @property
    def named_schedules(self) -> dict[str, NamedSchedule]:
        """The queued schedules, and ``baseline``, which is the default one unless it is queued."""
        schedules = self.search.schedules
        queued = {name: schedules[name] for name in self.search.queue if name in schedules}
        return queued if BASELINE in queued else {BASELINE: NamedSchedule(), **queued}

    def epochs(self, stage: Stage) -> int:
        return self.stages.probe if stage == "probe" else self.stages.full

    def train_config(
        self,
        stage: Stage,
        schedule: Schedule,
        searched: Mapping[str, Any] | None = None,
        seed: int | None = None,
    ) -> TrainConfig:
        """The settings of one run.

        Args:
            searched: values of searched settings outside the schedule.
            seed: the run's seed; None: that of the train settings.
        """
        decided = {
            **(searched or {}),
            "epochs": self.epochs(stage),
            "schedule": schedule.model_dump(),
            "thresholds": self.training_thresholds(stage),
        }
        if seed is not None:
            decided["seed"] = seed
        return resolve(self.train, decided)
