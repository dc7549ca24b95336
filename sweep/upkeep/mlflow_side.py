"""Where MLflow's runs and the trial directories disagree."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial

from sweep.study.config import StudyConfig
from sweep.study.folder import UNFINISHED, TrialRecord
from sweep.tracking import schema
from sweep.tracking.holdings import artifact_store, mending
from sweep.tracking.holdings.inventory import PARENT, HeldRun, Holdings, epochs_of
from sweep.upkeep.finding import Finding, Remedy
from uvtex.errors import UvtexError
from uvtex.runs.epochs import EpochReport, read_epochs

SYNCS = "--fix syncs MLflow with the trial directories"


def sync_remedy(study: StudyConfig) -> Remedy:
    """Makes MLflow agree with the trial directories."""

    def act() -> None:
        from sweep.tracking.sync import sync

        sync(study, anew=True)

    return Remedy(f"sync {study.name}", act, order=3, shows_files=True)


def inspect_runs(
    study: StudyConfig, held: Holdings, records: Sequence[TrialRecord], unread: set[int]
) -> Iterator[Finding]:
    """The findings on a study's runs in MLflow. No driver runs the study.

    Args:
        records: those that can be read.
        unread: trials whose record cannot be read. They have a finding already.
    """
    by_key: dict[tuple[str, str], list[HeldRun]] = defaultdict(list)
    for run in held.runs:
        by_key[run.key].append(run)
    parents = by_key.pop(PARENT, [])
    yield from _study_run(study, parents, bool(records))
    for key, runs in by_key.items():
        yield from _duplicates(study, "/".join(key), runs)
    yield from _duplicates(study, "the study's own run", parents)
    first = {key: runs[0] for key, runs in by_key.items()}
    wanted = {(str(record.trial), record.name): record for record in records}
    for key in sorted(first.keys() - wanted.keys()):
        if not (key[0].isdecimal() and int(key[0]) in unread):
            yield _without_record(study, first[key])
    pairs = [(record, first[key]) for key, record in wanted.items() if key in first]
    for record in (record for key, record in wanted.items() if key not in first):
        what = "has a record, and no run in MLflow"
        yield Finding("mlflow-lacks-run", _named(record), what, SYNCS, remedy=sync_remedy(study))
    parent = parents[0].run_id if parents else None
    epochs = epochs_of(study, [run.run_id for _, run in pairs])
    for record, run in pairs:
        yield from _compare(study, record, run, parent, epochs[run.run_id])


def _study_run(
    study: StudyConfig, parents: Sequence[HeldRun], has_records: bool
) -> Iterator[Finding]:
    if not parents and has_records:
        what = "has no run of its own in MLflow, which its trials' runs belong to"
        yield Finding(
            "mlflow-lacks-run", f"study {study.name}", what, SYNCS, remedy=sync_remedy(study)
        )
    elif parents and parents[0].status == "RUNNING":
        what = "is RUNNING in MLflow, and no driver runs it"
        yield Finding(
            "mlflow-status", f"study {study.name}", what, SYNCS, remedy=sync_remedy(study)
        )


def _duplicates(study: StudyConfig, what: str, runs: Sequence[HeldRun]) -> Iterator[Finding]:
    if not runs[1:] or not runs[0].name:
        return
    uri = study.tracking_uri
    for run in runs[1:]:
        yield Finding(
            "mlflow-duplicate",
            f"MLflow run {run.run_id}",
            f"is a second run of {what}",
            "--fix deletes it; the first one has the results",
            bytes=_bytes(uri, run),
            remedy=Remedy(
                f"delete run {run.run_id}", partial(mending.delete_run, uri, run), order=2
            ),
        )


def _without_record(study: StudyConfig, run: HeldRun) -> Finding:
    uri, size = study.tracking_uri, _bytes(study.tracking_uri, run)
    empty = not run.metrics and not size
    label = f" of {run.trial}/{run.name}" if run.name else ""
    return Finding(
        "mlflow-without-record",
        f"MLflow run {run.run_id}{label}",
        "no record has this run",
        "--fix deletes it: it holds no result"
        if empty
        else "restore its trial directory from a copy, or delete the run on MLflow's pages",
        bytes=size,
        remedy=Remedy(f"delete run {run.run_id}", partial(mending.delete_run, uri, run), order=2)
        if empty
        else None,
    )


def _compare(
    study: StudyConfig, record: TrialRecord, run: HeldRun, parent: str | None, epochs: set[int]
) -> Iterator[Finding]:
    where = f"MLflow run of {_named(record)}"
    synced = sync_remedy(study)
    state = "interrupted" if record.state == "running" else record.state
    if run.status != schema.STATUS[state] or run.state != state:
        what = f"is {run.status} ({run.state or 'no state'}), and the record says {state}"
        yield Finding("mlflow-status", where, what, SYNCS, remedy=synced)
    if parent is not None and run.parent != parent:
        uri = study.tracking_uri
        yield Finding(
            "mlflow-parent",
            where,
            "does not belong to the study's run",
            "--fix sets its parent",
            remedy=Remedy(
                f"set the parent of {run.run_id}",
                partial(mending.set_parent, uri, run.run_id, parent),
                order=2,
            ),
        )
    try:
        reports = read_epochs(study.paths.run_dir(*record.key))
    except (UvtexError, ValueError):
        return  # the file has a finding of its own
    if (differing := _differing(reports, run, epochs)) is not None:
        yield Finding("mlflow-metrics", where, differing, SYNCS, remedy=synced)
    elif state not in UNFINISHED and reports and "best/margin" not in run.metrics:
        what = "lacks the best epoch's figures"
        yield Finding("mlflow-metrics", where, what, SYNCS, remedy=synced)
    if state not in UNFINISHED:
        yield from _artifacts(study, record, run, where)


def _differing(reports: Sequence[EpochReport], run: HeldRun, epochs: set[int]) -> str | None:
    made = {report.epoch for report in reports}
    if missing := sorted(made - epochs):
        return f"lacks the epochs {', '.join(map(str, missing))}"
    if more := sorted(epochs - made):
        return f"has the epochs {', '.join(map(str, more))}, which epochs.jsonl lacks"
    last = reports[-1].val.get("total", math.nan) if reports else math.nan
    held = run.metrics.get("val/total", math.nan)
    if not math.isnan(last) and last != held:
        return f"has another total loss in epoch {reports[-1].epoch}"
    return None


def _artifacts(
    study: StudyConfig, record: TrialRecord, run: HeldRun, where: str
) -> Iterator[Finding]:
    """Missing and superfluous files. A server is not asked: that takes three calls a run.

    A run gets its final status after its last artifact, so one that has it has had them all.
    """
    if artifact_store.local_folder(run.location) is None:
        return
    try:
        kept = list(schema.artifacts(study.paths.run_dir(*record.key)))
    except UvtexError:
        return  # the settings have a finding of their own
    uri, run_dir = study.tracking_uri, study.paths.run_dir(*record.key)
    held = artifact_store.files(uri, run.location)
    gone = set() if record.cleaned is None else set(record.cleaned.files)
    for path in kept:
        name = path.relative_to(run_dir).as_posix()
        if name in gone or not path.is_file() or held.get(name) == path.stat().st_size:
            continue
        folder = None if path.parent == run_dir else path.parent.name
        yield Finding(
            "mlflow-artifact",
            where,
            f"{'has another' if name in held else 'lacks'} {name}",
            "--fix copies it to MLflow",
            remedy=Remedy(
                f"copy {path} to MLflow",
                partial(artifact_store.upload, uri, run.location, path, folder),
                order=2,
                shows_files=True,
            ),
        )
    for name in sorted(gone & held.keys()):
        yield Finding(
            "not-removed",
            f"{where}, {name}",
            "the record says that `sweep clean` removed it",
            "--fix removes it from MLflow",
            bytes=held[name],
            remedy=Remedy(
                f"remove {name} of {run.run_id}",
                partial(artifact_store.delete, uri, run.location, name),
                order=2,
            ),
        )


def _bytes(uri: str, run: HeldRun) -> int:
    return sum(artifact_store.files(uri, run.location).values())


def _named(record: TrialRecord) -> str:
    return f"{record.trial:04d}/{record.name}"
