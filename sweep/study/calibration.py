"""The calibration of a study: what seeds, liveries and schedules do to the metrics.

:mod:`sweep.decisions.calibration` computes it. ``calibration.json`` in the study's folder holds it.
"""

from __future__ import annotations

import math

from pydantic import Field, ValidationError

from sweep.study.folder import Stage, StudyFolder
from uvtex.errors import UvtexError
from uvtex.files import write_atomic
from uvtex.settings import Settings


class RunFigures(Settings):
    """What one run of a named schedule measured."""

    schedule: str
    seed: int
    stage: Stage
    metrics: dict[str, float]
    """The run's figures, each a mean over liveries."""
    liveries: dict[str, dict[str, float]] = Field(default_factory=dict)
    """Livery -> metric -> figure; empty where they were not measured."""
    seconds: float
    """Median of the seconds of an epoch."""
    overhead: float | None = None
    """Seconds outside the epochs: loading, the first batch. None: the run was resumed."""
    epochs: int


class Spread(Settings):
    """A standard deviation in the metric's own units, and its degrees of freedom."""

    deviation: float = Field(ge=0)
    degrees: int = Field(ge=1)


class MetricNoise(Settings):
    """The noise of one metric at one stage."""

    seeds: Spread
    """Over seeds, pooled over schedules."""
    pairs: Spread | None = None
    """Over seeds, of the difference between two schedules with the same seeds. None: fewer than two
    schedules have two seeds in common."""
    liveries: float | None = None
    """Standard deviation over the liveries of one run, pooled over runs. None: not measured."""
    schedules: float | None = None
    """Standard deviation over schedules of their true means; None: only one schedule."""

    @property
    def correlation(self) -> float | None:
        """rho of two schedules' figures with the same seed: differences have s sqrt(2 (1 - rho)).

        It may come out negative by chance.
        """
        if self.pairs is None or self.seeds.deviation == 0:
            return None
        return 1 - self.pairs.deviation**2 / (2 * self.seeds.deviation**2)


class StageCalibration(Settings):
    """What was measured at one stage."""

    means: dict[str, dict[str, float]]
    """Schedule -> metric -> mean over seeds."""
    noise: dict[str, MetricNoise]
    """Metric -> its noise."""
    over_seeds: dict[str, float] = Field(default_factory=dict)
    """``metric, metric`` -> correlation over the seeds of a schedule, pooled."""
    over_schedules: dict[str, float] = Field(default_factory=dict)
    """``metric, metric`` -> correlation of the schedules' means; empty below three schedules."""
    seconds: float
    """Median of the seconds of an epoch."""
    overhead: float = 0.0
    """Median of a run's seconds outside its epochs."""
    epochs: int


class Calibration(Settings):
    """Named schedules over several seeds, at both stages."""

    runs: tuple[RunFigures, ...]
    failed: tuple[str, ...] = ()
    """The runs without figures, for messages. They are left out of everything."""
    stages: dict[Stage, StageCalibration]

    @property
    def schedules(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(run.schedule for run in self.runs))

    @property
    def cost(self) -> float:
        """Seconds that all runs took, without the failed ones."""
        return math.fsum(run.seconds * run.epochs + (run.overhead or 0) for run in self.runs)

    def spreads(self, stage: Stage) -> dict[str, Spread]:
        """Metric -> its standard deviation over seeds at ``stage``."""
        return {metric: noise.seeds for metric, noise in self.stages[stage].noise.items()}


def write_calibration(paths: StudyFolder, calibration: Calibration) -> None:
    """Writes ``calibration.json`` into the study's folder."""
    paths.folder.mkdir(parents=True, exist_ok=True)
    write_atomic(paths.calibration, (calibration.model_dump_json(indent=1) + "\n").encode())


def read_calibration(paths: StudyFolder) -> Calibration | None:
    """The calibration in the study's folder; None if there is none yet.

    Raises:
        UvtexError: the file is damaged.
    """
    try:
        return Calibration.model_validate_json(paths.calibration.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise UvtexError(
            f"{paths.calibration}: cannot be read: {error}; remove the file, the next "
            "`sweep calibrate` writes it anew"
        ) from None
