"""Recovery after a crash: makes the trial directories and Optuna's storage agree."""

from __future__ import annotations

import math
from collections.abc import Callable

from sweep.driving.active_run import ActiveRun
from sweep.driving.due_runs import Records
from sweep.driving.mending import mend
from sweep.driving.sampling.optuna_storage import shown
from sweep.driving.sampling.optuna_study import OptunaStudy
from sweep.driving.sampling.warm_start import earlier_probes
from sweep.driving.stopping import Stopping
from sweep.study.config import StudyConfig
from sweep.study.folder import UNFINISHED, TrialRecord, read_records
from uvtex.errors import ConfigError, UvtexError
from uvtex.runs.folder import RunFolder
from uvtex.runs.repair import put_aside


def warm_start(
    study: StudyConfig, trials: OptunaStudy, stopping: Stopping, say: Callable[[str], None]
) -> None:
    """Tells Optuna, once, and ``stopping`` of the studies that ``search.warm_start`` names.

    Raises:
        ConfigError: an earlier study cannot be used, and Optuna was not told of it before.
    """
    if not study.search.warm_start:
        return
    try:
        found = earlier_probes(study)
    except ConfigError as error:
        if not trials.warm:
            raise
        say(f"the forecast of probes does without earlier studies: {error}")
        return
    stopping.learn_earlier([(probe.record, probe.epochs) for probe in found])
    if not trials.warm:
        number = trials.warm_start(found)
        say(f"warm start: {number} finished probes of {', '.join(study.search.warm_start)}")


def take_up_failed(study: StudyConfig) -> list[str]:
    """Makes runs that failed unfinished again, so that the driver goes on with them.

    They go on from their last checkpoint.

    Returns:
        A line for each of them.
    """
    lines = []
    for record in read_records(study.paths.folder)[0]:
        if record.state == "failed":
            lines.append(f"{record.label}: is taken up again; it had failed: {record.reason}")
            _take_up(ActiveRun.load(study, record))
    return lines


def _take_up(run: ActiveRun) -> None:
    changes = {"reason": None, "ended": None, "output": None, "gate": None, "epochs_made": None}
    run.update(state="interrupted", deaths=0, **changes)


def recover(
    study: StudyConfig,
    trials: OptunaStudy,
    stopping: Stopping,
    now: float,
    say: Callable[[str], None],
) -> tuple[Records, list[float]]:
    """The study's records, and the duration in seconds of every epoch on disk.

    ``stopping`` is told of all probes. Earlier studies are told first, see :func:`warm_start`.

    Optuna gets the results that only the trial directories hold. A trial that only Optuna holds
    gets a record, unless it repeats another. The driver then resumes all records that are not
    finished.

    Args:
        now: Unix seconds.
        say: told what was damaged and is made again.

    Raises:
        ConfigError: an earlier study cannot be used.
        UvtexError: a finished trial is missing on one side, so a number could be used twice.
    """
    warm_start(study, trials, stopping, say)
    whole, lines = mend(study, trials)
    for line in lines:
        say(line)
    found = Records(whole)
    _rebuild(study, trials, found, say)
    unfinished = {asked.number: asked for asked in trials.unfinished()}
    _check_both_sides(study, found, trials.numbers(), set(unfinished))
    trials.enqueue()
    seconds: list[float] = []
    for record in sorted(found.values(), key=lambda record: record.ended or math.inf):
        run = ActiveRun.load(study, record)
        if run.broken is not None:
            kept = put_aside(RunFolder(run.run_dir).epochs)
            say(f"{run.broken}; it is kept as {kept.name}, and {record.label} is made again")
            _take_up(run)
            found[record.key] = run.record
        seconds.extend(report.seconds for report in run.reports.values())
        if record.stage == "probe":
            tell_run(trials, run)
            stopping.learn(run)
    for number, asked in unfinished.items():
        if (number, "probe") not in found and not trials.settle(asked):
            found[number, "probe"] = TrialRecord(
                trial=number,
                stage="probe",
                schedule=asked.schedule,
                params=asked.params,
                epochs=study.stages.probe,
                started=now,
            )
    return found, seconds


def _rebuild(
    study: StudyConfig, trials: OptunaStudy, found: Records, say: Callable[[str], None]
) -> None:
    """Adds the trials to Optuna's storage that it has lost, if it lost all from some number on."""
    known = trials.numbers()
    probes = [r for r in found.values() if r.stage == "probe"]
    lost = [record for record in probes if record.trial not in known]
    if lost and trials.rebuild(probes):
        say(
            f"{shown(study.optuna_url)} had lost {len(lost)} trials of {len(probes)}; they were "
            "made anew from the trial directories"
        )


def tell_run(trials: OptunaStudy, run: ActiveRun) -> None:
    """Tells Optuna what a probe's trial directory holds. A second call does nothing."""
    for report in run.reports.values():
        trials.report(run.record.trial, report)
    if run.record.state not in UNFINISHED:
        trials.tell(run.record, run.best.val if run.best else None)


def _check_both_sides(
    study: StudyConfig, found: Records, asked: set[int], unfinished: set[int]
) -> None:
    probes = {record.trial for record in found.values() if record.stage == "probe"}
    folder, storage = study.paths.folder, shown(study.optuna_url)
    if lost := probes - asked:
        raise UvtexError(
            f"{folder}: trials {sorted(lost)} are not in {storage}; restore it, or give the study "
            "another name"
        )
    if gone := asked - probes - unfinished:
        raise UvtexError(
            f"{folder}: trials {sorted(gone)} of {storage} have no directory here; restore "
            "them, or give the study another name"
        )
