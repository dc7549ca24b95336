"""The summary of a study, made from its trial directories, as sentences and as a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from sweep.decisions.promotion import decide
from sweep.report.pruning import figures
from sweep.study.config import BASELINE, StudyConfig
from sweep.study.folder import UNFINISHED, WORKER_LOG, RunKey, TrialRecord
from sweep.study.judged import Judged, has_passed, judged
from sweep.study.run_index import IndexedRun, indexed_runs
from sweep.study.summary_record import PruningFigures, RunSummary, Summary, read_summary
from uvtex.errors import UvtexError
from uvtex.metric_catalogue import SUMMARY
from uvtex.runs.epochs import best_epoch, read_epochs
from uvtex.runs.folder import RunFolder
from uvtex.thresholds import margin


def summarise(study: StudyConfig, runs: Sequence[IndexedRun] | None = None) -> Summary:
    """The summary of ``study`` as its trial directories are now.

    Args:
        runs: what the directories hold; None: they are read.

    Raises:
        UvtexError: a trial directory is damaged.
    """
    runs = indexed_runs(study)[0] if runs is None else runs
    found = [run.record for run in runs]
    margins = {run.record.key: run.margin for run in runs}
    passed = [record for record in found if has_passed(study, record, _judged(study, record))]
    sound = [record for record in found if record.state != "failed"]
    nearest = max(sound, key=lambda record: margins[record.key], default=None)
    return Summary(
        study=study.name,
        thresholds=study.thresholds,
        probes=dict(Counter(r.state for r in found if r.stage == "probe")),
        full_runs=dict(Counter(r.state for r in found if r.stage == "full")),
        passed=bool(passed),
        over=_over(study, found),
        champion=_entry(study, _champion(found, passed, margins)),
        baseline=_entry(study, _baseline(found)),
        nearest=_entry(study, nearest),
        **_measured_mean_colours(study),
        pruning=_pruning(study, runs),
        failure=_failure(study, found),
    )


def _pruning(study: StudyConfig, runs: Sequence[IndexedRun]) -> PruningFigures | None:
    # What was neither flagged nor passed adds nothing to these figures.
    telling = [
        run for run in runs if run.record.flag or run.margin >= 0 or study.relative_thresholds
    ]
    made = figures(study, [(run.record, run.curve) for run in telling])
    return made if made.flagged else None


def verdict(summary: Summary) -> str:
    """The result of the study in one sentence, or the state of a study that is not over."""
    champion, nearest = summary.champion, summary.nearest
    if champion is not None and champion.gate is None:
        return f"{champion.label} passed; the model registry was away and has not been asked yet."
    if champion is not None and champion.gate is not None:
        passed = "was registered without passing" if champion.gate.unproven else "passed"
        return f"{champion.label} {passed}: {champion.gate.reason}"
    if summary.all_failed:
        count = sum(summary.probes.values())
        return f"All {count} runs failed. The last is {summary.failure}."
    if nearest is None:
        return "No run has finished an epoch yet."
    side = "validation" if nearest.test is None else "the test side"
    amount = _told_margin(nearest, summary)
    told = f"{amount:+.4f} on {side}"
    begin, passed = ("No", "passed") if summary.over else ("So far no", "has passed")
    if nearest.stage == "probe" and nearest.state == "promoted":
        none = f"{begin} full run {passed}"
        if summary.full_runs.get("complete"):  # they may pass, and their trial be undecided
            none = f"{begin} trial was admitted"
        return f"{none}. The probe {nearest.label} passed with a margin of {told}."
    thresholds = " and ".join(str(threshold) for threshold in summary.thresholds)
    none = f"run {passed} {thresholds}" if amount < 0 else "trial was admitted"
    return (
        f"{begin} {none}. The nearest is {nearest.label} with a margin of {told}: {nearest.reason}."
    )


def _told_margin(run: RunSummary, summary: Summary) -> float:
    return run.metrics["margin"] if run.test is None else margin(run.test, summary.thresholds)


def table(summary: Summary) -> tuple[list[str], list[list[str]]]:
    """Header and rows: champion (or nearest run), baseline schedule, mean-colour texture.

    Of each the test side's figures come first, and validation's follow in a row of their own, so
    that the flattery of selection can be seen. What was not measured on the test side has one row.
    """
    first = summary.champion or summary.nearest
    name = "champion" if summary.champion else "nearest"
    wanted = [*(threshold.metric for threshold in summary.thresholds), *SUMMARY]
    figures = first.told if first else summary.mean_colour or {}
    columns = [metric for metric in dict.fromkeys(wanted) if metric in figures]
    rows = []
    for title, entry in ((name, first), ("baseline schedule", summary.baseline)):
        if entry is not None:
            run = f"{entry.label}, epoch {entry.best_epoch} of {entry.of}"
            rows += _sides(title, run, entry.test, entry.metrics, columns)
            rows += _replicates(entry, columns)
    if summary.mean_colour:
        rows += _sides("mean colour", "", summary.mean_colour_test, summary.mean_colour, columns)
    return ["", "run", "side", *columns], rows


def sides(summary: Summary) -> str:
    """What the sides of the table's rows are, in words."""
    shown = (summary.champion, summary.nearest, summary.baseline)
    if any(run is not None and run.test is not None for run in shown):
        return (
            "Test liveries chose nothing. Validation chose each run's epoch and guided the search, "
            "so its figures flatter."
        )
    return (
        "All figures are validation's, which chose each run's epoch and guided the search, so they "
        "flatter."
    )


def _sides(
    title: str,
    run: str,
    test: Mapping[str, float] | None,
    validation: Mapping[str, float],
    columns: Sequence[str],
) -> list[list[str]]:
    if test is None:
        return [[title, run, "validation", *_cells(validation, columns)]]
    return [
        [title, run, "test", *_cells(test, columns)],
        ["", "", "validation", *_cells(validation, columns)],
    ]


def _replicates(entry: RunSummary, columns: Sequence[str]) -> list[list[str]]:
    """A row with the mean of the trial's replicates and its interval, where they were tested."""
    if entry.gate is None or not entry.gate.tests:
        return []
    tests = {test.metric: test for test in entry.gate.tests}
    cells = [
        f"{tests[c].mean:.4f} ({tests[c].low:.4f} to {tests[c].high:.4f})" if c in tests else "-"
        for c in columns
    ]
    count = entry.gate.tests[0].replicates
    mean = "1 replicate" if count == 1 else f"mean of {count} replicates"
    return [["", f"{mean}, with its interval", "test" if entry.test else "validation", *cells]]


def _cells(metrics: Mapping[str, float], columns: Sequence[str]) -> list[str]:
    return [f"{metrics[c]:.4f}" if c in metrics else "-" for c in columns]


def _champion(
    found: list[TrialRecord], passed: list[TrialRecord], margins: Mapping[RunKey, float]
) -> TrialRecord | None:
    """The run that the registry made champion last, else the run that passed by most."""
    crowned = [record for record in found if record.gate and record.gate.champion]
    if crowned:
        return max(crowned, key=lambda record: (record.gate and record.gate.at) or 0)
    return max(passed, key=lambda record: margins[record.key], default=None)


def _baseline(found: list[TrialRecord]) -> TrialRecord | None:
    runs = [record for record in found if record.schedule == BASELINE]
    return max(runs, key=lambda record: record.stage == "full", default=None)


def _entry(study: StudyConfig, record: TrialRecord | None) -> RunSummary | None:
    if record is None:
        return None
    run_dir = study.paths.run_dir(*record.key)
    epochs = read_epochs(run_dir)
    best, found = best_epoch(epochs), judged(run_dir)
    if best is None or found is None:
        return None
    return RunSummary(
        trial=record.trial,
        stage=record.stage,
        label=record.label,
        state=record.state,
        schedule=record.schedule,
        epochs=len(epochs),
        of=record.epochs,
        best_epoch=best.epoch,
        metrics=best.val,
        test=None if found is None or found.side != "test" else dict(found.metrics),
        reason=_reason(study, record, found),
        gate=record.gate,
        checkpoints=RunFolder(run_dir).checkpoints.as_posix(),
    )


def _reason(study: StudyConfig, record: TrialRecord, found: Judged) -> str:
    if record.gate is not None and not record.gate.registered:
        return record.gate.reason
    return decide(found.metrics, study.thresholds_of(record.stage)).reason


def _failure(study: StudyConfig, found: list[TrialRecord]) -> str | None:
    """The last run that failed, with its reason and its log."""
    failed = [record for record in found if record.state == "failed"]
    if not failed:
        return None
    last = max(failed, key=lambda record: record.ended or 0)
    log = study.paths.run_dir(*last.key) / WORKER_LOG
    return f"{last.label}: {last.reason}" + (f"; see {log}" if log.is_file() else "")


def _over(study: StudyConfig, found: list[TrialRecord]) -> bool:
    """Whether every run that the study file asks for has ended."""
    probes = sum(record.stage == "probe" for record in found)
    return probes >= study.trials and all(record.state not in UNFINISHED for record in found)


def _judged(study: StudyConfig, record: TrialRecord) -> Judged | None:
    return judged(study.paths.run_dir(*record.key)) if record.stage == "full" else None


def _measured_mean_colours(study: StudyConfig) -> dict[str, dict[str, float] | None]:
    """From the last summary: they need the data set, and do not change with the runs."""
    try:
        last = read_summary(study)
    except UvtexError:  # a damaged summary is written anew
        last = None
    if last is None:
        return {}
    return {"mean_colour": last.mean_colour, "mean_colour_test": last.mean_colour_test}
