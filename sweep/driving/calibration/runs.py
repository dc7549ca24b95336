"""The runs of a calibration: their settings, their folders, and what they measured."""

from __future__ import annotations

import math
import shutil
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sweep.study.calibration import Calibration, RunFigures, read_calibration
from sweep.study.config import BASELINE, StudyConfig
from sweep.study.folder import Stage
from uvtex.config import TrainConfig
from uvtex.errors import ConfigError
from uvtex.metric_catalogue import THRESHOLDS
from uvtex.runs.epochs import read_epochs
from uvtex.runs.folder import RunFolder
from uvtex.runs.test_figures import read_test_figures
from uvtex.thresholds import margin

LEAST_SEEDS = 2
"""Fewer seeds of a schedule have no standard deviation."""

MAY_DIFFER = ("device", "thresholds", "lpips_backbone")
"""Settings that may differ between the calls of a calibration: they change no weight."""


@dataclass
class CalibrationRun:
    """One run of the calibration."""

    schedule: str
    seed: int
    stage: Stage
    config: TrainConfig
    run_dir: Path
    deaths: int = 0
    """How many of its workers died one after the other without a new epoch."""
    failure: str | None = None
    began: float = 0.0
    """When this call started it, by the calibrator's clock."""
    seconds: list[float] = field(default_factory=list)
    """Of the epochs since then."""
    overhead: float | None = None
    """Seconds outside the epochs; None unless one worker ran all of them."""

    fresh: bool = True
    hung: str | None = None

    @property
    def epoch_seconds(self) -> list[float]:
        return self.seconds

    @property
    def epochs_left(self) -> int:
        return self.config.epochs - len(read_epochs(self.run_dir))

    @property
    def label(self) -> str:
        return f"{self.schedule}, seed {self.seed}, {self.stage}"

    @property
    def done(self) -> bool:
        return len(read_epochs(self.run_dir)) >= self.config.epochs

    @property
    def tests(self) -> bool:
        """Whether the run is measured on the test side at its end."""
        return self.stage == "full" and self.config.test_split > 0

    @property
    def ended(self) -> bool:
        """Whether nothing is left to do. A worker may die between last epoch and test side."""
        return self.done and (not self.tests or read_test_figures(self.run_dir) is not None)

    @property
    def unmeasured(self) -> list[str]:
        """The thresholds' metrics that an earlier call of other thresholds did not measure."""
        reports = read_epochs(self.run_dir)
        asked = dict.fromkeys(threshold.metric for threshold in self.config.thresholds)
        return [name for name in asked if any(name not in report.val for report in reports)]


def needed(study: StudyConfig) -> bool:
    """Whether a decision of the study refers to noise that was not measured yet."""
    if study.relative_thresholds and not study.resolved_thresholds:
        return True
    if study.replicates == 1:
        return False
    found = read_calibration(study.paths)
    known = found.spreads("full") if found is not None and "full" in found.stages else {}
    return any(threshold.metric not in known for threshold in study.asked_thresholds)


def remove_unmeasured(run: CalibrationRun, say: Callable[[str], None]) -> None:
    """Removes a run whose epochs lack a threshold's metric, so that it is made again."""
    if absent := run.unmeasured:
        say(f"{run.label}: did not measure {', '.join(absent)}; it is made again")
        shutil.rmtree(run.run_dir)


def planned(study: StudyConfig, schedules: Sequence[str], seeds: int) -> list[CalibrationRun]:
    """The runs of a calibration, seed by seed, so that a part of them is of use too.

    The seeds count from that of the study's train settings.

    Raises:
        ConfigError: a schedule is unknown, or there are too few seeds.
    """
    known = study.named_schedules
    unknown = [name for name in schedules if name not in known]
    if unknown:
        raise ConfigError(
            f"schedules: {', '.join(map(repr, unknown))} not in search.queue; known: "
            + ", ".join(known)
        )
    if seeds < LEAST_SEEDS:
        raise ConfigError(f"seeds must be at least {LEAST_SEEDS}, got {seeds}")
    runs = []
    stages: tuple[Stage, ...] = ("probe", "full")
    for number in range(seeds):
        for name in dict.fromkeys(schedules):
            for stage in stages:
                schedule = study.search.schedule(known[name], study.epochs(stage))
                config = study.train_config(stage, schedule)
                seed = config.seed + number
                config = config.model_copy(update={"seed": seed})
                run_dir = study.paths.calibration_dir(name, seed, stage)
                runs.append(CalibrationRun(name, seed, stage, config, run_dir))
    return runs


def earlier(study: StudyConfig) -> list[CalibrationRun]:
    """The runs of earlier calls that are done, whichever schedules and seeds they had.

    Those that lack a threshold's metric are left out.
    """
    folder = study.paths.folder / "calibration"
    first = int(study.train["seed"])
    numbers = [int(path.name) for path in folder.glob("*/*") if path.name.isdecimal()]
    seeds = max(numbers, default=first) - first + 1
    runs = planned(study, list(study.named_schedules), max(LEAST_SEEDS, seeds))
    return [run for run in runs if run.done and not run.unmeasured]


def run_figures(run: CalibrationRun, tested: bool) -> RunFigures:
    """What a run that is done measured. This is the one place that says which figures count.

    Args:
        tested: a full run counts by its test side, as a replicate does. Otherwise, and for every
            probe, the validation metrics of the epoch with the best margin count.

    Raises:
        DataError: a file of the run is damaged.
    """
    reports = read_epochs(run.run_dir)
    figures = max(reports, key=lambda report: margin(report.val, run.config.thresholds)).val
    liveries: dict[str, dict[str, float]] = {}
    test = read_test_figures(run.run_dir) if tested and run.stage == "full" else None
    if test is not None:
        figures = test.metrics
        liveries = {name: _kept(values) for name, values in test.by_livery.items()}
    return RunFigures(
        schedule=run.schedule,
        seed=run.seed,
        stage=run.stage,
        metrics=_kept(figures),
        liveries=liveries,
        seconds=statistics.median(report.seconds for report in reports),
        overhead=run.overhead,
        epochs=len(reports),
    )


def _kept(figures: Mapping[str, float]) -> dict[str, float]:
    """The metrics that a threshold may be on, where they are numbers."""
    return {
        name: figures[name]
        for name in THRESHOLDS
        if name in figures and math.isfinite(figures[name])
    }


def as_begun(run: CalibrationRun) -> TrainConfig:
    """The run's settings, with the thresholds that it began with: a trainer refuses others."""
    before = RunFolder(run.run_dir).read_settings()
    if before is None:
        return run.config
    return run.config.model_copy(update={"thresholds": before.thresholds})


def keep_overheads(runs: Sequence[CalibrationRun], before: Calibration | None) -> None:
    """Gives runs of earlier calls the overheads that were measured then."""
    known = {
        (run.schedule, run.seed, run.stage): run.overhead
        for run in (before.runs if before is not None else ())
    }
    for run in runs:
        if run.overhead is None:
            run.overhead = known.get((run.schedule, run.seed, run.stage))


def check_settings(run: CalibrationRun) -> None:
    """Refuses a run that an earlier call made with other settings.

    Raises:
        ConfigError: the message lists the differences.
    """
    if found := RunFolder(run.run_dir).changed(run.config, MAY_DIFFER):
        listed = "\n  ".join(found)
        raise ConfigError(
            f"{run.run_dir}: was made with other settings:\n  {listed}\nrestore them, or remove "
            f"{run.run_dir.parents[2]}"
        )


def least_schedules(study: StudyConfig) -> list[str]:
    """The schedules of the least calibration: the baseline, and those of relative thresholds."""
    return list(dict.fromkeys([BASELINE, *(t.schedule for t in study.relative_thresholds)]))
