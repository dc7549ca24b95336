"""One call of ``sweep run``: from the study's settings to its summary."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from sweep.decisions.relative_thresholds import resolve
from sweep.driving.calibration import runs as calibration_runs
from sweep.driving.calibration.calibrator import Calibrator
from sweep.driving.data_set import build_data, is_built, measured_mean_colours
from sweep.driving.disk_space.retention import free_in_mlflow
from sweep.driving.disk_space.room import disk_forecast
from sweep.driving.sampling.warm_start import check_earlier
from sweep.driving.workers.interrupts import all_as_ctrl_c
from sweep.launchers.choice import check_launcher, make_launcher
from sweep.report.summary import summarise
from sweep.study.calibration import Calibration, read_calibration
from sweep.study.config import StudyConfig
from sweep.study.data_identity import check_data
from sweep.study.file import changes, read_saved, write_saved
from sweep.study.folder import RECORD, StudyFolder, study_names
from sweep.study.lease import StudyTaken, lease
from sweep.study.requests import withdraw_request
from sweep.study.summary_record import Summary, write_summary
from sweep.study.urls import resolved
from uvtex.errors import ConfigError, UvtexError
from uvtex.output import lasting
from uvtex.settings import dump_yaml

if TYPE_CHECKING:  # `sweep status` does without these and what they import
    from sweep.driving.display import ProgressDisplay
    from sweep.driving.spending import Spending
    from sweep.tracking.mirror import MlflowMirror

LEAST_CALIBRATION_SEEDS = 3
"""Seeds of the calibration that a study makes itself if it needs one and has none."""


def find_study(store: Path, name: str) -> StudyFolder:
    """The study of this name in a store. A name that leads out of the store is none.

    Raises:
        UvtexError: ``store`` has no such study. The message lists its studies.
    """
    there = study_names(store)
    if name not in there:
        raise UvtexError(
            f"{name}: no such study in {store}; studies there: {', '.join(there) or 'none'}"
        )
    return StudyFolder(store, name)


def saved(store: Path, name: str) -> StudyConfig:
    """The settings that a study in ``store`` was last run with.

    Raises:
        UvtexError: see :func:`find_study`, or the settings are damaged.
    """
    return read_saved(find_study(store, name).settings).in_store(store)


def check(study: StudyConfig) -> None:
    """Checks that the settings fit this machine, and the trials that the study has already.

    Raises:
        ConfigError: the machine has no such device, the environment lacks a variable, the trials
            were made with other settings (the message lists the differences), or an earlier study
            cannot be used.
    """
    check_launcher(study)
    resolved(study.tracking_uri, "tracking_uri")
    resolved(study.storage or "", "storage")
    before = _settings_of_trials(study)
    built = is_built(study)
    if before is not None and (differing := changes(before, study)):
        listed = "\n  ".join(differing)
        raise ConfigError(
            f"study {study.name!r} has trials that were made with other settings:\n  {listed}\n"
            "restore those settings, or give the study another name"
        )
    if before is not None and built:
        check_data(study, trials=True)
    else:
        check_earlier(study, probes=built and not study.relative_thresholds)


def prepare(study: StudyConfig) -> StudyConfig:
    """Checks the settings and saves them. The caller holds the study's lease.

    Returns:
        The settings as saved. Relative thresholds are resolved if there is a calibration.

    Raises:
        ConfigError: see :func:`check`. Or the calibration lacks what a threshold refers to.
    """
    check(study)
    study = with_thresholds(study)
    study.paths.folder.mkdir(parents=True, exist_ok=True)
    write_saved(study)
    return study


def with_thresholds(study: StudyConfig) -> StudyConfig:
    """The study with its relative thresholds resolved, if it can be told what they are.

    A study with trials keeps the figures that they were judged by, even if the calibration has
    grown since.

    Raises:
        ConfigError: the calibration lacks what a threshold refers to.
    """
    if not study.relative_thresholds:
        return study
    if (before := _settings_of_trials(study)) is not None:
        probe, full = before.resolved_probe_thresholds, before.resolved_thresholds
    elif (calibration := read_calibration(study.paths)) is not None:
        probe = resolve(study.asked_thresholds, calibration, "probe")
        full = resolve(study.asked_thresholds, calibration, "full")
    else:
        probe = full = ()
    resolved_ones = {"resolved_probe_thresholds": probe, "resolved_thresholds": full}
    return study.model_copy(update=resolved_ones)


def calibrate(
    study: StudyConfig, schedules: Sequence[str], seeds: int, out: TextIO
) -> Calibration | None:
    """Runs the calibration of a study under its lease, or what is missing of it.

    Args:
        schedules: their names. Those that a relative threshold refers to are added.
        seeds: number of seeds, from that of the train settings on.

    Returns:
        The calibration of all runs so far; None if Ctrl-C stopped it.

    Raises:
        ConfigError: a schedule is unknown, or the settings do not fit.
        UvtexError: a driver runs the study, or too many runs failed.
    """
    with lease(study.paths):
        check(study)
        _check_lpips(study)
        wanted = [*schedules, *(t.schedule for t in study.relative_thresholds)]
        runs = calibration_runs.planned(study, wanted, seeds)
        build_data(study, out)
        check_data(study, _has_runs(study))
        found = _calibrate(study, runs, out)
        prepare(study)
    return found


def _calibrate(
    study: StudyConfig,
    runs: Sequence[calibration_runs.CalibrationRun],
    out: TextIO,
    spending: Spending | None = None,
) -> Calibration | None:
    missing = [run for run in runs if not run.done or run.unmeasured]
    epochs = sum(run.config.epochs for run in missing)
    print(f"calibration: {len(missing)} of {len(runs)} runs to make, {epochs} epochs", file=out)

    def say(line: str) -> None:
        print(f"  {line}", file=out, flush=True)

    return Calibrator(study, runs, make_launcher(study, say), say, spending=spending).run()


def rehearse(study: StudyConfig) -> str | None:
    """Runs :func:`prepare`, or only :func:`check` while a driver runs, for ``--dry-run``.

    Returns:
        Why the settings were not saved, or None if they were.

    Raises:
        ConfigError: see :func:`check`.
    """
    try:
        with lease(study.paths):
            prepare(study)
    except StudyTaken as taken:
        check(study)
        return f"the settings were checked, but not saved: {taken}"
    return None


def run(study: StudyConfig, out: TextIO, retry_failed: bool = False) -> tuple[str, Summary]:
    """Runs the study under its lease, and shows its settings and progress on ``out``.

    A request of `sweep pause` or `sweep stop` from before is taken back.

    Args:
        retry_failed: whether the runs that failed are taken up again.

    Returns:
        The outcome, see :data:`sweep.driving.driver.Outcome`, and the summary.

    Raises:
        UvtexError: another driver owns the study, or the study cannot continue.
        BackboneMissing: a threshold is on LPIPS, and AlexNet's weights are not available.
    """
    with lease(study.paths), all_as_ctrl_c():
        withdraw_request(study.paths)
        print(dump_yaml(study), file=out)
        try:
            return _run(study, lasting(out), retry_failed)
        finally:
            withdraw_request(study.paths)


def _run(study: StudyConfig, out: TextIO, retry_failed: bool) -> tuple[str, Summary]:
    from sweep.driving.display import progress_display
    from sweep.driving.driver import Driver
    from sweep.driving.recovery import take_up_failed
    from sweep.driving.spending import Spending
    from sweep.tracking.mirror import MlflowMirror

    study = prepare(study)
    for line in take_up_failed(study) if retry_failed else ():
        print(line, file=out)
    spending = Spending(study, time.monotonic)
    _check_lpips(study)
    build_data(study, out)
    check_data(study, _has_runs(study))
    if calibration_runs.needed(study):
        least = calibration_runs.least_schedules(study)
        runs = calibration_runs.planned(study, least, LEAST_CALIBRATION_SEEDS)
        spending.take_over(lambda line: print(line, file=out))
        if (found := _calibrate(study, runs, out, spending)) is None:
            spending.forget()
            raise KeyboardInterrupt
        print(f"the calibration took {found.cost / 3600:.2g} device-hours", file=out)
        study = prepare(study)
    view = progress_display(study.name, study.thresholds, out)
    mirror = MlflowMirror(study, view.note)
    view.note(disk_forecast(study))
    try:
        launcher = make_launcher(study, view.note)
        driver = Driver(study, launcher, mirror, view, spending=spending)
        outcome = driver.run()
        result = _conclude(study, mirror, view, outcome, driver.ending)
    finally:
        mirror.close()  # it may have a last message
        view.close()
    if study.keep == "verdict":
        free_in_mlflow(study, lambda line: print(line, file=out))
    return outcome, result


def _has_trials(study: StudyConfig) -> bool:
    return any(study.paths.folder.glob(f"trials/*/*/{RECORD}"))


def _settings_of_trials(study: StudyConfig) -> StudyConfig | None:
    path = study.paths.settings
    return read_saved(path) if path.is_file() and _has_trials(study) else None


def _has_runs(study: StudyConfig) -> bool:
    """Whether anything was trained on the study's data set, the calibration included."""
    return _has_trials(study) or study.paths.calibration.is_file()


def _check_lpips(study: StudyConfig) -> None:
    if study.wants_lpips:
        from uvtex.metrics.lpips import require_lpips

        require_lpips(study.train.get("lpips_backbone"))


def _conclude(
    study: StudyConfig,
    mirror: MlflowMirror,
    view: ProgressDisplay,
    outcome: str,
    ending: str | None,
) -> Summary:
    """Writes the summary, the report and MLflow's last entries. A failed report is only noted."""
    result = summarise(study).model_copy(update={"outcome": outcome, "ending": ending})
    if outcome != "interrupted" and result.mean_colour is None:
        result = result.model_copy(update=measured_mean_colours(study, view.note))
    write_summary(study, result)
    report = None
    try:
        from sweep.report.build import write_report

        report = write_report(study)
        result = result.model_copy(update={"report": str(report)})
        write_summary(study, result)
    except UvtexError as error:
        view.note(f"no report: {error}")
    mirror.study_ended(result, report, "interrupted" if outcome == "interrupted" else "complete")
    if mirror.behind:
        view.note(
            f"MLflow lacks some of the results; run `{study.paths.command('sync')}` to add them"
        )
    return result
