"""What is wrong with the files of one run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from sweep.study.config import StudyConfig
from sweep.study.folder import UNFINISHED, TrialRecord, write_record
from sweep.upkeep.finding import Finding, Remedy, removal
from uvtex.config import TrainConfig
from uvtex.errors import CheckpointError, UvtexError
from uvtex.files import sha256_of
from uvtex.runs.epochs import EpochReport, read_epochs, write_epochs
from uvtex.runs.folder import RunFolder
from uvtex.runs.header import read_header
from uvtex.runs.test_figures import read_test_figures

AGAIN = "`sweep run` with the study's file trains what is missing"


def inspect_run(study: StudyConfig, record: TrialRecord) -> Iterator[Finding]:
    """The findings in the trial directory of ``record``. No driver runs the study."""
    run_dir = study.paths.run_dir(*record.key)
    run = RunFolder(run_dir)
    if record.state == "running":
        yield Finding(
            "running-without-driver",
            str(run_dir),
            "the record says running, and no driver runs the study",
            f"--fix writes that it is interrupted; {AGAIN}",
            remedy=Remedy(
                f"write that {run_dir} is interrupted",
                lambda: write_record(run_dir, record.model_copy(update={"state": "interrupted"})),
                order=0,
            ),
        )
    try:
        config = run.read_settings()
    except UvtexError as error:
        yield Finding("damaged-file", str(run.settings), _first(error), _settings_advice(record))
        return
    try:
        reports = read_epochs(run_dir)
    except (UvtexError, ValueError) as error:
        yield _damaged_epochs(run, record, config, _first(error))
        return
    yield from _epochs(run, record, config, reports)
    if config is not None:
        yield from _checkpoints(run, record, config, reports)
    elif record.state not in (*UNFINISHED, "failed"):
        yield Finding(
            "missing-file", str(run.settings), "the settings of a run that ended", "restore it"
        )
    yield from _test_figures(run, record, config)
    yield from _cleaned(run_dir, record)


def _epochs(
    run: RunFolder, record: TrialRecord, config: TrainConfig | None, reports: Sequence[EpochReport]
) -> Iterator[Finding]:
    made = [report.epoch for report in reports]
    if made != list(range(1, len(made) + 1)):
        yield _damaged_epochs(run, record, config, f"holds the epochs {_few(made)}")
    elif (ended := _epochs_at_end(record)) is not None and len(made) < ended:
        what = f"holds {len(made)} epochs, and the run made {ended}"
        yield _damaged_epochs(run, record, config, what)


def _epochs_at_end(record: TrialRecord) -> int | None:
    """The epochs that a run in its state has made; None if the state does not say."""
    if record.state in ("complete", "promoted"):
        return record.epochs
    if record.state == "pruned" and record.flag is not None:
        return record.flag.epoch
    return record.best_epoch


def _damaged_epochs(
    run: RunFolder, record: TrialRecord, config: TrainConfig | None, what: str
) -> Finding:
    """The finding on ``epochs.jsonl``. The last checkpoint has the report of the last epoch."""
    remedy = None if config is None else _restored(run, record, config)
    if remedy is not None:
        mend = "--fix restores the last epoch from the last checkpoint"
    elif record.state in UNFINISHED:
        mend = AGAIN
    else:
        mend = "restore the file from a copy: MLflow has one among the run's artifacts"
    return Finding("damaged-epochs", str(run.epochs), what, mend, remedy=remedy)


def _restored(run: RunFolder, record: TrialRecord, config: TrainConfig) -> Remedy | None:
    """Writes the last epoch again, if only that is missing and the last checkpoint has it."""
    try:
        report = read_header(run.last(config.checkpoint_name)).report
    except CheckpointError:
        return None
    whole = _whole_lines(run)
    if report is None or [r.epoch for r in whole] != list(range(1, report.epoch)):
        return None
    ended = _epochs_at_end(record)
    if ended is not None and report.epoch < ended:
        return None
    return Remedy(
        f"restore the last epoch of {run.path}",
        lambda: write_epochs(run.path, [*whole, report]),
        order=0,
    )


def _whole_lines(run: RunFolder) -> list[EpochReport]:
    """The reports before the first line that is none."""
    import json

    found = []
    try:
        lines = run.epochs.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    for line in lines:
        try:
            found.append(EpochReport.from_json(json.loads(line)))
        except (ValueError, TypeError):
            break
    return found


def _checkpoints(
    run: RunFolder, record: TrialRecord, config: TrainConfig, reports: Sequence[EpochReport]
) -> Iterator[Finding]:
    name = config.checkpoint_name
    best, last = run.best(name), run.last(name)
    gone = set() if record.cleaned is None else set(record.cleaned.files)
    for path in run.checkpoint_files():
        if path.relative_to(run.path).as_posix() in gone:
            continue  # it is to be removed
        try:
            header = read_header(path)
        except CheckpointError as error:
            yield Finding(
                "broken-checkpoint", str(path), _first(error), _advice(record, path, best)
            )
            continue
        if path == last and header.epoch > max((r.epoch for r in reports), default=0) + 1:
            yield Finding(
                "checkpoint-without-epochs",
                str(path),
                f"is of epoch {header.epoch}, and {run.epochs.name} has {len(reports)} epochs",
                "restore that file from a copy: MLflow has one among the run's artifacts",
            )
    needed = [best] if record.state not in UNFINISHED else [best, last]
    for path in needed if reports else []:
        if not path.is_file() and path.relative_to(run.path).as_posix() not in gone:
            yield Finding(
                "missing-checkpoint",
                str(path),
                f"the run made {len(reports)} epochs, and this checkpoint is missing",
                _advice(record, path, best),
            )


def _advice(record: TrialRecord, path: Path, best: Path) -> str:
    if record.state in UNFINISHED:
        return "`sweep run` with the study's file trains the run anew, to the same figures"
    if path == best:
        return f"restore {path.name} from a copy: MLflow has one among the run's artifacts"
    return "remove it; only a run that goes on needs it"


def _settings_advice(record: TrialRecord) -> str:
    if record.state in UNFINISHED:
        return "remove it; `sweep run` with the study's file writes it anew"
    return "restore it from a copy: MLflow has one among the run's artifacts"


def _test_figures(
    run: RunFolder, record: TrialRecord, config: TrainConfig | None
) -> Iterator[Finding]:
    try:
        figures = read_test_figures(run.path)
    except (UvtexError, ValueError) as error:
        yield Finding("damaged-file", str(run.test), _first(error), "restore it from a copy")
        return
    if figures is None or not figures.sha256 or config is None:
        return
    best = run.best(config.checkpoint_name)
    if best.is_file() and sha256_of(best) != figures.sha256:
        yield Finding(
            "other-checkpoint",
            str(best),
            f"is not the checkpoint that {run.test.name} was measured on",
            "restore the checkpoint from a copy: MLflow has one among the run's artifacts",
        )


def _cleaned(run_dir: Path, record: TrialRecord) -> Iterator[Finding]:
    """Files that are there although the record says that they were removed."""
    for name in () if record.cleaned is None else record.cleaned.files:
        path = run_dir / name
        if path.is_file() and run_dir.resolve() in path.resolve().parents:
            yield Finding(
                "not-removed",
                str(path),
                "the record says that `sweep clean` removed it",
                "--fix removes it",
                bytes=path.stat().st_size,
                remedy=removal(path),
            )


def _first(error: Exception) -> str:
    return str(error).splitlines()[0][:300]


def _few(numbers: Sequence[int]) -> str:
    shown = ", ".join(map(str, numbers[:8]))
    return f"{shown}, ..." if len(numbers) > 8 else shown or "none"
