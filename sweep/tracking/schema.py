"""The names and values by which MLflow shows a run: parameters, metrics, artifacts."""

from __future__ import annotations

import hashlib
import json
import math
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.study.folder import Gate, TrialRecord
from uvtex.config import TERMS, TrainConfig
from uvtex.metric_catalogue import DEFINITIONS
from uvtex.runs.epochs import EpochReport
from uvtex.runs.folder import RunFolder
from uvtex.settings import flatten

if TYPE_CHECKING:
    from mlflow.entities import Metric

STATUS = {
    "running": "RUNNING",
    "interrupted": "KILLED",
    "complete": "FINISHED",
    "promoted": "FINISHED",
    "pruned": "KILLED",
    "failed": "FAILED",
}
"""A run's state -> MLflow's status. Two share KILLED; the tag ``sweep.state`` tells them apart."""

CHECKPOINT_NAME = str(TrainConfig.model_fields["checkpoint_name"].default)
"""Every run of a study has this one. To read it from the settings of thousands would take long."""

STUDY_TAG, TRIAL_TAG, STAGE_TAG = "sweep.study", "sweep.trial", "sweep.stage"
"""The tags by which the MLflow run of a trial is found, and the trial of an MLflow run."""

DIGEST_TAG = "sweep.shown"
"""The tag with the digest of all that an MLflow run shows, see :func:`digest`."""

VERSION = 1
"""To be raised whenever a run shows other things, so that `sweep sync` writes every run anew."""

LONGEST_KEY = 200
"""Characters. MLflow refuses keys beyond 250 characters."""

LONGEST_VALUE = 5000
"""Characters. MLflow refuses parameters beyond 6000 characters and tags beyond 8000."""


def run_name(record: TrialRecord) -> str:
    """The name of the run in MLflow, such as ``0007 probe uv-heavy``."""
    return f"{record.trial:04d} {record.name} {record.schedule}"


def params(record: TrialRecord, config: TrainConfig) -> dict[str, str]:
    """The run's settings as flat parameters, with both ends of each weight for MLflow's plots."""
    dump = config.model_dump(mode="json", exclude={"schedule"})
    schedule = config.schedule
    for term in TERMS:
        ramp = getattr(schedule, term)
        dump[f"w_{term}"] = ramp.start
        dump[f"w_{term}_end"] = ramp.start if ramp.end is None else ramp.end
    dump["lr_scheduler"] = schedule.lr_scheduler
    dump["lr_scheduler_tmax"] = schedule.lr_scheduler_tmax or config.epochs
    dump["thresholds"] = ", ".join(str(threshold) for threshold in config.thresholds)
    dump["schedule"] = record.schedule
    dump["metric_versions"] = dict(DEFINITIONS)
    return dict(flat(dump))


def metrics(record: TrialRecord, report: EpochReport, at: float) -> list[Metric]:
    """The metrics of one epoch. The step is the epoch's number; ``at`` is in Unix seconds.

    An epoch at which the pruner looked has the probability of passing too.
    """
    from mlflow.entities import Metric

    values = {f"train/{term}": value for term, value in report.train.items()}
    values |= {f"val/{metric}": value for metric, value in report.val.items()}
    values |= {f"schedule/w_{term}": value for term, value in report.weights.items()}
    values |= {"schedule/lr": report.lr, "epoch/seconds": report.seconds}
    for look in record.looks:
        if look.epoch == report.epoch and look.chance is not None:
            values |= {"look/chance": look.chance, "look/fresh": look.fresh}
    stamp = int(at * 1000)
    # NaN stands for a missing value; MLflow would show it as the latest one.
    return [
        Metric(name, float(value), stamp, report.epoch)
        for name, value in values.items()
        if not math.isnan(value)
    ]


def tags(record: TrialRecord) -> dict[str, str]:
    """The state of a run, and why it is in it."""
    out = {"sweep.state": record.state, "sweep.schedule": record.schedule}
    if record.reason:
        out["sweep.reason"] = record.reason
    if record.flag is not None:
        out["sweep.flag"] = "audited" if record.flag.audited else "stopped"
        out["sweep.chance"] = f"{record.flag.chance:.4g}"
    if text := note(record):
        out["mlflow.note.content"] = text
    return {name: value[:LONGEST_VALUE] for name, value in out.items()}


def note(record: TrialRecord) -> str:
    """What MLflow's page of a run says above all else, in Markdown."""
    parts = [f"**{record.state}**: {record.reason}"] if record.reason else []
    if record.output is not None:
        parts.append(f"The last lines of its worker:\n\n```text\n{record.output}\n```")
    if record.flag is not None and record.flag.audited:
        parts.append(
            f"It would have been stopped after epoch {record.flag.epoch}. It went on, to show "
            "whether the pruner is right about such probes."
        )
    if record.looks:
        parts.append("What the pruner saw:")
        of = f"of {record.epochs}"
        parts.append(
            "\n".join(f"- After epoch {look.epoch} {of}: {look.reason}" for look in record.looks)
        )
    return "\n\n".join(parts)


def artifacts(run_dir: Path) -> Iterator[Path]:
    """The files of a run that MLflow keeps. ``_last`` checkpoints only serve to resume a run."""
    run = RunFolder(run_dir)
    yield run.settings
    yield run.epochs
    last = run.last(CHECKPOINT_NAME)
    yield from (path for path in run.checkpoint_files() if path != last)
    yield from run.grid_files()


def digest(record: TrialRecord, run_dir: Path) -> str:
    """A digest of the record and the files that a run shows.

    It reads the record, the settings and the epochs. Of the other files it takes name and size:
    they follow from the settings, and reading them would take as long as uploading them.
    """
    found = hashlib.sha256(str(VERSION).encode())
    found.update(record.model_dump_json(exclude={"gate"}).encode())  # the study's run shows it
    for path in artifacts(run_dir):
        if path.is_file():
            whole = path.suffix in (".yaml", ".jsonl")
            content = path.read_bytes() if whole else str(path.stat().st_size).encode()
            found.update(f"\n{path.relative_to(run_dir).as_posix()}\n".encode() + content)
    return found.hexdigest()


def decisions(records: Iterable[TrialRecord]) -> dict[str, str]:
    """The tags of a study's run on its trials whose full runs were judged; empty if none was.

    ``sweep.decision.0007`` holds a decision in words, and ``sweep.tests.0007`` its figures as JSON:
    mean, interval, critical value and error rate of each threshold. The run's note, which MLflow
    shows above its tags, has all of them as a Markdown table.
    """
    judged = [(record, record.gate) for record in records if record.gate is not None]
    tags: dict[str, str] = {}
    for record, gate in judged:
        tags[f"sweep.decision.{record.trial:04d}"] = gate.reason[:LONGEST_VALUE]
        if gate.tests:
            text = json.dumps([test.model_dump() for test in gate.tests])
            tags[f"sweep.tests.{record.trial:04d}"] = text[:LONGEST_VALUE]
    if judged:
        tags["mlflow.note.content"] = _decision_table(judged)
    return tags


def _decision_table(judged: Sequence[tuple[TrialRecord, Gate]]) -> str:
    """As many of the decisions as a tag holds, the newest first."""
    text = "| run | version | replicates: mean, interval | decision |\n" + "| --- " * 4 + "|"
    for record, gate in reversed(judged):
        tests = "<br>".join(
            f"{test.threshold}: {test.mean:.4f}, {test.low:.4f} to {test.high:.4f} "
            f"({test.replicates} replicates, error rate {test.error:.0%})"
            for test in gate.tests
        )
        version = gate.version or "-"
        cells = [record.label, version, tests or "-", gate.reason]
        row = "\n| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
        if len(text) + len(row) > LONGEST_VALUE:
            break
        text += row
    return text


def flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """``prefix`` and keys joined by dots -> values as text. Lists become JSON; None is left out."""
    for name, value in flatten(values).items():
        if value is not None:
            text = json.dumps(value) if isinstance(value, (list, tuple)) else str(value)
            yield key(f"{prefix}{name}"), text[:LONGEST_VALUE]


def key(name: str) -> str:
    """``name`` as the key of a parameter, a metric or a tag of MLflow.

    MLflow refuses many characters, long keys, and keys that are no plain path. A name that it would
    refuse gets ``_`` in their place and a digest, so that two names never share a key.
    """
    plain = re.sub(r"[^A-Za-z0-9_\-. /]", "_", name)
    is_path = posixpath.normpath(name) == name and not name.startswith((".", "/"))
    if plain == name and is_path and len(name) <= LONGEST_KEY:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    no_path = re.sub(r"^\.+|/", "_", plain)
    return f"{no_path[: LONGEST_KEY - 9]}.{digest}"


def number(text: str) -> float | None:
    """``text`` as a number; None if it is not a number."""
    try:
        return float(text)
    except ValueError:
        return None


def batches(epochs: Iterable[list[Metric]], most: int) -> Iterator[list[Metric]]:
    """The metrics of epochs in batches of at most ``most``, each of whole epochs.

    One batch is one transaction, so MLflow has all metrics of an epoch or none.
    """
    batch: list[Metric] = []
    for metrics in epochs:
        if batch and len(batch) + len(metrics) > most:
            yield batch
            batch = []
        batch = [*batch, *metrics]
    if batch:
        yield batch


def stamps(record: TrialRecord, reports: Iterable[EpochReport]) -> dict[int, float]:
    """Epoch -> its time in Unix seconds: the run's start and the durations of the epochs since."""
    clock, found = record.started or 0.0, {}
    for report in reports:
        clock += report.seconds
        found[report.epoch] = clock
    return found


def ended(record: TrialRecord, reports: Iterable[EpochReport]) -> float:
    """When the run ended, or was interrupted, in Unix seconds."""
    if record.ended is not None:
        return record.ended
    return max(stamps(record, reports).values(), default=record.started or 0.0)


def metric_name(key: str) -> str:
    """``key`` with slashes for dots: MLflow groups metrics by slashes."""
    return key.replace(".", "/")


def milliseconds(seconds: float) -> int:
    """Unix seconds as MLflow's Unix milliseconds."""
    return int(seconds * 1000)
