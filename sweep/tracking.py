"""The projection of a study onto MLflow tracking.

What happened is in the trial directories; MLflow shows it. Every call may be repeated: runs are
found again by their tags, an epoch that is logged is not logged twice, and a run's final status is
set last, so that a run with a status has all its artifacts.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep import mlflow_seam as seam
from sweep.mlflow_seam import TrackingError
from sweep.record import TrialRecord, best_line, epoch_lines, records
from sweep.ui import serve_ui
from uvtex.config import TERMS, TrainConfig, validate

if TYPE_CHECKING:
    from mlflow.entities import Metric, Run
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    from sweep.config import StudyConfig

__all__ = ["Tracker", "TrackingError", "project", "run_name", "serve_ui", "sync"]

STATUS = {
    "running": "RUNNING",
    "complete": "FINISHED",
    "promoted": "FINISHED",
    "pruned": "KILLED",
    "failed": "FAILED",
}
"""MLflow has no word for pruned; KILLED is stopped from outside, and the tag says by whom."""

MONITOR_SECONDS = 5.0
"""Between two samples of the machine's load; quickstart's runs last half a minute."""

LONGEST_VALUE = 5000
"""Characters of a parameter or tag; MLflow refuses more than 6000 and 8000."""


class Tracker:
    """One study's view in MLflow: an experiment, a parent run, a child run a trial and stage.

    Used by the driver alone, from one thread. Every method raises :class:`TrackingError`, and
    nothing else, when MLflow is away or refuses.
    """

    def __init__(
        self,
        uri: str,
        artifact_root: Path | None,
        study: str,
        *,
        system_metrics: bool = True,
    ) -> None:
        """``artifact_root`` is where a local store keeps artifacts; a server decides itself."""
        self.uri = uri
        self.study = study
        self._system_metrics = system_metrics
        self._run_ids: dict[tuple[int, str], str] = {}
        self._steps: dict[str, set[int]] = {}
        self._monitors: dict[str, SystemMetricsMonitor] = {}
        with seam.speaking("open the store", uri):
            self._client = seam.client(uri)
            self.experiment_id = self._find_experiment(artifact_root)

    def study_started(self, config: StudyConfig) -> str:
        """The parent run, created or opened again; returns its id."""
        from uvtex.config import dump_yaml

        with seam.speaking("log the study", self.uri):
            run_id = self._parent() or self._create_parent()
            self._client.update_run(run_id, status="RUNNING")
            self._client.set_tag(run_id, "sweep.state", "running")
            # As tags, since trials, hours and the queue may change when a study goes on.
            for key, value in _flat(config.model_dump(mode="json", exclude_none=True)):
                self._client.set_tag(run_id, f"study.{key}", value)
            self._client.log_text(run_id, dump_yaml(config), "study.yaml")
        return run_id

    def trial_started(
        self, record: TrialRecord, config: TrainConfig, run_dir: Path, *, live: bool = True
    ) -> str:
        """The child run, created or opened again, with its settings; returns its id.

        With ``live`` the load of this machine is sampled until :meth:`trial_ended`.
        """
        with seam.speaking(f"log the start of {record.label}", self.uri):
            run_id = self._find(record) or self._create(record)
            self._log_params(run_id, _params(record, config))
            self._set_tags(run_id, record)
            if record.state == "running":
                self._client.update_run(run_id, status="RUNNING")
            self._upload(run_id, run_dir / "config.yaml")
            if live and self._system_metrics:
                self._watch(run_id)
        return run_id

    def epoch(
        self, record: TrialRecord, line: Mapping[str, Any], *, at: float | None = None
    ) -> None:
        """One epoch's metrics; ``line`` is a line of ``epochs.jsonl``, ``at`` its Unix seconds."""
        with seam.speaking(f"log epoch {line['epoch']} of {record.label}", self.uri):
            run_id = self._known(record)
            if line["epoch"] in self._logged_steps(run_id):
                return
            # One batch is one transaction: an epoch is there as a whole or not at all.
            self._client.log_batch(
                run_id, metrics=_metrics(line, time.time() if at is None else at)
            )
            self._steps[run_id].add(line["epoch"])

    def trial_ended(self, record: TrialRecord, run_dir: Path) -> None:
        """State, best figures, artifacts, and last the final status."""
        with seam.speaking(f"log the end of {record.label}", self.uri):
            run_id = self._known(record)
            self._unwatch(run_id)
            run = self._client.get_run(run_id)
            ended = _milliseconds(record.ended)
            self._set_tags(run_id, record)
            if run.info.status == STATUS[record.state] and run.info.end_time == ended:
                return
            self._log_best(run, run_dir)
            for path in _artifacts(run_dir):
                folder = None if path.parent == run_dir else path.parent.name
                self._upload(run_id, path, folder)
            self._client.set_terminated(run_id, STATUS[record.state], ended)

    def study_ended(
        self, summary: Mapping[str, Any], report: Path | None = None, state: str = "complete"
    ) -> None:
        """The study's last word: numbers of ``summary`` as metrics, the rest as tags."""
        with seam.speaking("log the end of the study", self.uri):
            run_id = self._parent()
            if run_id is None:
                raise TrackingError(f"{self.study}: study_ended before study_started")
            for run in list(self._monitors):
                self._unwatch(run)
            logged = self._client.get_run(run_id).data.metrics
            for key, value in _flat(summary):
                number = _number(value)
                if number is None:
                    self._client.set_tag(run_id, f"summary.{key}", value)
                elif logged.get(f"summary/{_metric_name(key)}") != number:
                    self._client.log_metric(run_id, f"summary/{_metric_name(key)}", number)
            if report is not None and report.is_file():
                self._client.log_artifact(run_id, str(report))
            self._client.set_tag(run_id, "sweep.state", state)
            self._client.set_terminated(run_id, STATUS.get(state, "FINISHED"))

    def close(self) -> None:
        """Ends the sampling of the machine's load; the store stays as it is."""
        for run_id in list(self._monitors):
            self._unwatch(run_id)

    def run_id(self, record: TrialRecord) -> str | None:
        """The child run of ``record``, if there is one."""
        with seam.speaking(f"look for {record.label}", self.uri):
            return self._find(record)

    def forget(self, record: TrialRecord) -> None:
        """Deletes the child run of ``record``, for when it shows what did not happen."""
        with seam.speaking(f"delete the run of {record.label}", self.uri):
            run_id = self._find(record)
            if run_id is not None:
                self._client.delete_run(run_id)
                self._run_ids.pop((record.trial, record.stage), None)
                self._steps.pop(run_id, None)

    def agrees(self, record: TrialRecord, lines: Iterable[Mapping[str, Any]]) -> bool:
        """Is every epoch that MLflow shows one that happened, with the same figures?"""
        with seam.speaking(f"read {record.label}", self.uri):
            run_id = self._find(record)
            if run_id is None:
                return True
            shown = self._client.get_metric_history(run_id, "val/total")
        happened = {line["epoch"]: line["val"].get("total") for line in lines}
        return all(happened.get(metric.step) == metric.value for metric in shown)

    def _find_experiment(self, artifact_root: Path | None) -> str:
        found = self._client.get_experiment_by_name(self.study)
        if found is None:
            local = seam.is_local(self.uri) and artifact_root is not None
            place = (artifact_root / self.study).resolve().as_uri() if local else None  # type: ignore[operator]
            # MLflow shows its pages for language models unless told that models are trained here.
            kind = {"mlflow.experimentKind": "custom_model_development"}
            return str(
                self._client.create_experiment(self.study, artifact_location=place, tags=kind)
            )
        if found.lifecycle_stage == "deleted":
            raise TrackingError(
                f"MLflow at {self.uri}: the experiment {self.study!r} was deleted; restore it with "
                f"`mlflow experiments restore -x {found.experiment_id}` or rename the study"
            )
        return str(found.experiment_id)

    def _parent(self) -> str | None:
        return self._find_tagged(trial="-", stage="study")

    def _create_parent(self) -> str:
        tags = self._tags("-", "study")
        return str(
            self._client.create_run(self.experiment_id, tags=tags, run_name=self.study).info.run_id
        )

    def _create(self, record: TrialRecord) -> str:
        tags = self._tags(str(record.trial), record.stage)
        parent = self._parent() or self._create_parent()
        run = self._client.create_run(
            self.experiment_id,
            start_time=_milliseconds(record.started),
            tags={**tags, "mlflow.parentRunId": parent},
            run_name=run_name(record),
        )
        run_id = str(run.info.run_id)
        self._run_ids[record.trial, record.stage] = run_id
        return run_id

    def _tags(self, trial: str, stage: str) -> dict[str, str]:
        return {"sweep.study": self.study, "sweep.trial": trial, "sweep.stage": stage}

    def _find(self, record: TrialRecord) -> str | None:
        key = (record.trial, record.stage)
        if key not in self._run_ids:
            found = self._find_tagged(str(record.trial), record.stage)
            if found is None:
                return None
            self._run_ids[key] = found
        return self._run_ids[key]

    def _find_tagged(self, trial: str, stage: str) -> str | None:
        tags = self._tags(trial, stage)
        runs = self._client.search_runs(
            [self.experiment_id],
            " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items()),
            max_results=1,
            order_by=["attributes.start_time ASC"],
        )
        return str(runs[0].info.run_id) if runs else None

    def _known(self, record: TrialRecord) -> str:
        run_id = self._find(record)
        if run_id is None:
            raise TrackingError(f"{record.label}: has no run in MLflow; trial_started comes first")
        return run_id

    def _logged_steps(self, run_id: str) -> set[int]:
        if run_id not in self._steps:
            history = self._client.get_metric_history(run_id, "schedule/lr")
            self._steps[run_id] = {metric.step for metric in history}
        return self._steps[run_id]

    def _log_params(self, run_id: str, params: Mapping[str, str]) -> None:
        from mlflow.entities import Param

        # A parameter in MLflow is written once; a run that goes on keeps what it began with.
        logged = self._client.get_run(run_id).data.params
        new = [Param(key, value) for key, value in params.items() if key not in logged]
        if new:
            self._client.log_batch(run_id, params=new)

    def _set_tags(self, run_id: str, record: TrialRecord) -> None:
        from mlflow.entities import RunTag

        tags = {"sweep.state": record.state, "sweep.schedule": record.schedule}
        if record.reason:
            tags["sweep.reason"] = record.reason[:LONGEST_VALUE]
            tags["mlflow.note.content"] = f"**{record.state}**: {record.reason}"[:LONGEST_VALUE]
        self._client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])

    def _log_best(self, run: Run, run_dir: Path) -> None:
        """The table of runs shows each metric's last value; what counts is the best epoch's."""
        best = best_line(run_dir)
        if best is None:
            return
        for name, value in {**best["val"], "epoch": best["epoch"]}.items():
            if not math.isnan(value) and run.data.metrics.get(f"best/{name}") != value:
                self._client.log_metric(
                    run.info.run_id, f"best/{name}", float(value), step=best["epoch"]
                )

    def _upload(self, run_id: str, path: Path, folder: str | None = None) -> None:
        if path.is_file():
            self._client.log_artifact(run_id, str(path), folder)

    def _watch(self, run_id: str) -> None:
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        if run_id not in self._monitors:
            monitor = SystemMetricsMonitor(
                run_id,
                sampling_interval=MONITOR_SECONDS,
                resume_logging=True,
                tracking_uri=self.uri,
            )
            monitor.start()
            self._monitors[run_id] = monitor

    def _unwatch(self, run_id: str) -> None:
        monitor = self._monitors.pop(run_id, None)
        if monitor is not None:
            monitor.finish()


def sync(study_dir: Path, uri: str, artifact_root: Path | None = None) -> int:
    """Makes MLflow show what the trial directories of a study say; returns the number of runs.

    A run that shows epochs which did not happen is deleted and made again.

    Raises:
        TrackingError: MLflow is away or refuses.
        UvtexError: a trial directory is damaged.
    """
    config = _study(study_dir)
    tracker = Tracker(
        uri, artifact_root or config.store / "artifacts", config.name, system_metrics=False
    )
    tracker.study_started(config)
    found = records(study_dir)
    for record in found:
        project(tracker, record, study_dir / "trials" / f"{record.trial:04d}" / record.stage)
    tracker.study_ended(
        _summary(study_dir),
        study_dir / "report.html",
        "running" if any(record.state == "running" for record in found) else "complete",
    )
    return len(found)


def run_name(record: TrialRecord) -> str:
    """``0007 probe uv-heavy``."""
    return f"{record.trial:04d} {record.stage} {record.schedule}"


def project(tracker: Tracker, record: TrialRecord, run_dir: Path) -> str:
    """Makes the child run of ``record`` show what its trial directory says; returns its id."""
    from uvtex.config import load_yaml

    lines = epoch_lines(run_dir)
    if not tracker.agrees(record, lines):
        tracker.forget(record)
    settings = run_dir / "config.yaml"
    if settings.is_file():
        config = validate(TrainConfig, load_yaml(settings), str(settings))
    else:  # it died before its first step
        config = TrainConfig()
    run_id = tracker.trial_started(record, config, run_dir, live=False)
    clock = record.started or 0.0
    for line in lines:
        clock += float(line["seconds"])
        tracker.epoch(record, line, at=clock)
    if record.state != "running":
        tracker.trial_ended(record, run_dir)
    return run_id


def _study(study_dir: Path) -> StudyConfig:
    from sweep.config import StudyConfig
    from uvtex.config import load_yaml

    path = study_dir / "study.yaml"
    return validate(StudyConfig, load_yaml(path), str(path))


def _summary(study_dir: Path) -> dict[str, Any]:
    path = study_dir / "summary.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def _params(record: TrialRecord, config: TrainConfig) -> dict[str, str]:
    """The schedule and settings, flat; both ends of every weight, so that runs can be plotted."""
    from uvtex.metrics import VERSIONS

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
    dump["metric_versions"] = dict(VERSIONS)
    return dict(_flat(dump))


def _metrics(line: Mapping[str, Any], at: float) -> list[Metric]:
    from mlflow.entities import Metric

    values = {f"train/{term}": value for term, value in line["train"].items()}
    values |= {f"val/{metric}": value for metric, value in line["val"].items()}
    values |= {f"schedule/w_{term}": value for term, value in line["weights"].items()}
    values |= {"schedule/lr": line["lr"], "epoch/seconds": line["seconds"]}
    stamp = int(at * 1000)
    # NaN says that there is no figure; MLflow would draw it and call it the latest.
    return [
        Metric(name, float(value), stamp, line["epoch"])
        for name, value in values.items()
        if not math.isnan(value)
    ]


def _artifacts(run_dir: Path) -> Iterator[Path]:
    """What people want beside the figures; ``_last`` is only what a run is resumed from."""
    yield run_dir / "config.yaml"
    yield run_dir / "epochs.jsonl"
    for path in sorted(run_dir.glob("checkpoints/*.safetensors")):
        if not path.stem.endswith("_last"):
            yield path
    yield from sorted(run_dir.glob("grids/*.png"))


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        elif isinstance(value, (list, tuple)):
            yield f"{prefix}{key}", json.dumps(value)[:LONGEST_VALUE]
        elif value is not None:
            yield f"{prefix}{key}", str(value)[:LONGEST_VALUE]


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _metric_name(key: str) -> str:
    return key.replace(".", "/")


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * 1000)
