"""What MLflow is told of a run, in its own terms: parameters, metrics, artifacts, names."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.study.folder import TrialRecord
from uvtex.config import TERMS, TrainConfig, flatten
from uvtex.metric_catalogue import DEFINITIONS
from uvtex.runs.epochs import EpochReport
from uvtex.runs.folder import RunFolder

if TYPE_CHECKING:
    from mlflow.entities import Metric

STATUS = {
    "running": "RUNNING",
    "complete": "FINISHED",
    "promoted": "FINISHED",
    "pruned": "KILLED",
    "failed": "FAILED",
}
"""MLflow has no word for pruned; KILLED is stopped from outside, and the tag says by whom."""

LONGEST_VALUE = 5000
"""Characters of a parameter or tag; MLflow refuses more than 6000 and 8000."""


def run_name(record: TrialRecord) -> str:
    """``0007 probe uv-heavy``."""
    return f"{record.trial:04d} {record.stage} {record.schedule}"


def params(record: TrialRecord, config: TrainConfig) -> dict[str, str]:
    """The schedule and settings, flat; both ends of every weight, so that runs can be plotted."""
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


def metrics(report: EpochReport, at: float) -> list[Metric]:
    """Those of an epoch, by its number, at ``at`` Unix seconds."""
    from mlflow.entities import Metric

    values = {f"train/{term}": value for term, value in report.train.items()}
    values |= {f"val/{metric}": value for metric, value in report.val.items()}
    values |= {f"schedule/w_{term}": value for term, value in report.weights.items()}
    values |= {"schedule/lr": report.lr, "epoch/seconds": report.seconds}
    stamp = int(at * 1000)
    # NaN says that there is no figure; MLflow would draw it and call it the latest.
    return [
        Metric(name, float(value), stamp, report.epoch)
        for name, value in values.items()
        if not math.isnan(value)
    ]


def artifacts(run_dir: Path) -> Iterator[Path]:
    """What people want beside the figures; ``_last`` is only what a run is resumed from."""
    run = RunFolder(run_dir)
    yield run.settings
    yield run.epochs
    config = run.read_settings()
    if config is not None:
        last = run.last(config.checkpoint_name)
        yield from (path for path in run.checkpoint_files() if path != last)
    yield from run.grid_files()


def flat(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Keys joined by dots, and values as text, lists as JSON; None is left out."""
    for key, value in flatten(values).items():
        if value is not None:
            text = json.dumps(value) if isinstance(value, (list, tuple)) else str(value)
            yield key, text[:LONGEST_VALUE]


def number(text: str) -> float | None:
    """``text`` as a number, None if it is none."""
    try:
        return float(text)
    except ValueError:
        return None


def metric_name(key: str) -> str:
    """MLflow groups metrics by slashes."""
    return key.replace(".", "/")


def milliseconds(seconds: float | None) -> int | None:
    """MLflow's times."""
    return None if seconds is None else int(seconds * 1000)
