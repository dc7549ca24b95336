"""The mirror of a study onto MLflow tracking.

What happened is in the trial directories; MLflow shows it. Every call may be repeated: runs are
found again by their tags, an epoch that is logged is not logged twice, and a run's final status is
set last, so that a run with a status has all its artifacts.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sweep.study.folder import TrialRecord
from sweep.tracking import client as seam
from sweep.tracking import schema
from sweep.tracking.client import TrackingError
from uvtex.config import TrainConfig, dump_yaml
from uvtex.runs.epochs import EpochReport, best_epoch, read_epochs
from uvtex.runs.folder import RunFolder

if TYPE_CHECKING:
    from mlflow.entities import Run
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    from sweep.study.config import StudyConfig

MONITOR_SECONDS = 5.0
"""Between two samples of the machine's load; quickstart's runs last half a minute."""


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
        """``artifact_root`` is where a local store keeps artifacts; a server decides itself.

        MLflow writes to the folder that an experiment was created with, even after the store was
        moved. An experiment with another folder is therefore renamed, and a new one takes its name.
        """
        self.uri = uri
        self.study = study
        self.began_anew = False
        """Was the study's experiment set aside, so that a new one shows nothing yet?"""
        self._system_metrics = system_metrics
        self._run_ids: dict[tuple[int, str], str] = {}
        self._steps: dict[str, set[int]] = {}
        self._monitors: dict[str, SystemMetricsMonitor] = {}
        with seam.mapped_errors("open the store", uri):
            self._client = seam.client(uri)
            self.experiment_id = self._find_experiment(artifact_root)

    def study_started(self, config: StudyConfig) -> str:
        """The parent run, created or opened again; returns its id."""
        with seam.mapped_errors("log the study", self.uri):
            run_id = self._parent() or self._create_parent()
            self._client.update_run(run_id, status="RUNNING")
            self._client.set_tag(run_id, "sweep.state", "running")
            # As tags, since trials, hours and the queue may change when a study goes on.
            for key, value in schema.flat(config.model_dump(mode="json", exclude_none=True)):
                self._client.set_tag(run_id, f"study.{key}", value)
            self._client.log_text(run_id, dump_yaml(config), config.paths.settings.name)
        return run_id

    def trial_started(
        self, record: TrialRecord, config: TrainConfig, run_dir: Path, *, live: bool = True
    ) -> str:
        """The child run, created or opened again, with its settings; returns its id.

        With ``live`` the load of this machine is sampled until :meth:`trial_ended`.
        """
        with seam.mapped_errors(f"log the start of {record.label}", self.uri):
            run_id = self._find(record) or self._create(record)
            self._log_params(run_id, schema.params(record, config))
            self._set_tags(run_id, record)
            if record.state == "running":
                self._client.update_run(run_id, status="RUNNING")
            self._upload(run_id, RunFolder(run_dir).settings)
            if live and self._system_metrics:
                self._watch(run_id)
        return run_id

    def epoch(self, record: TrialRecord, report: EpochReport, *, at: float | None = None) -> None:
        """One epoch's metrics; ``at`` is its Unix seconds."""
        with seam.mapped_errors(f"log epoch {report.epoch} of {record.label}", self.uri):
            run_id = self._known(record)
            if report.epoch in self._logged_steps(run_id):
                return
            # One batch is one transaction: an epoch is there as a whole or not at all.
            self._client.log_batch(
                run_id, metrics=schema.metrics(report, time.time() if at is None else at)
            )
            self._steps[run_id].add(report.epoch)

    def trial_ended(self, record: TrialRecord, run_dir: Path) -> None:
        """State, best figures, artifacts, and last the final status."""
        with seam.mapped_errors(f"log the end of {record.label}", self.uri):
            run_id = self._known(record)
            self._unwatch(run_id)
            run = self._client.get_run(run_id)
            ended = schema.milliseconds(record.ended)
            self._set_tags(run_id, record)
            if run.info.status == schema.STATUS[record.state] and run.info.end_time == ended:
                return
            self._log_best(run, run_dir)
            for path in schema.artifacts(run_dir):
                folder = None if path.parent == run_dir else path.parent.name
                self._upload(run_id, path, folder)
            self._client.set_terminated(run_id, schema.STATUS[record.state], ended)

    def study_ended(
        self, summary: Mapping[str, Any], report: Path | None = None, state: str = "complete"
    ) -> None:
        """The study's last word: numbers of ``summary`` as metrics, the rest as tags."""
        with seam.mapped_errors("log the end of the study", self.uri):
            run_id = self._parent()
            if run_id is None:
                raise TrackingError(f"{self.study}: study_ended before study_started")
            for run in list(self._monitors):
                self._unwatch(run)
            logged = self._client.get_run(run_id).data.metrics
            for key, value in schema.flat(summary):
                number = schema.number(value)
                if number is None:
                    self._client.set_tag(run_id, f"summary.{key}", value)
                elif logged.get(f"summary/{schema.metric_name(key)}") != number:
                    self._client.log_metric(run_id, f"summary/{schema.metric_name(key)}", number)
            if report is not None and report.is_file():
                self._client.log_artifact(run_id, str(report))
            self._client.set_tag(run_id, "sweep.state", state)
            self._client.set_terminated(run_id, schema.STATUS.get(state, "FINISHED"))

    def close(self) -> None:
        """Ends the sampling of the machine's load; the store stays as it is."""
        for run_id in list(self._monitors):
            self._unwatch(run_id)

    def run_id(self, record: TrialRecord) -> str | None:
        """The child run of ``record``, if there is one."""
        with seam.mapped_errors(f"look for {record.label}", self.uri):
            return self._find(record)

    def forget(self, record: TrialRecord) -> None:
        """Deletes the child run of ``record``, for when it shows what did not happen."""
        with seam.mapped_errors(f"delete the run of {record.label}", self.uri):
            run_id = self._find(record)
            if run_id is not None:
                self._client.delete_run(run_id)
                self._run_ids.pop((record.trial, record.stage), None)
                self._steps.pop(run_id, None)

    def agrees(self, record: TrialRecord, reports: Iterable[EpochReport]) -> bool:
        """Is every epoch that MLflow shows one that happened, with the same figures?"""
        with seam.mapped_errors(f"read {record.label}", self.uri):
            run_id = self._find(record)
            if run_id is None:
                return True
            history = self._client.get_metric_history(run_id, "val/total")
        happened = {report.epoch: report.val.get("total") for report in reports}
        return all(happened.get(metric.step) == metric.value for metric in history)

    def _find_experiment(self, artifact_root: Path | None) -> str:
        local = artifact_root if seam.is_local(self.uri) else None
        place = local and (local / self.study).resolve().as_uri()
        found = self._client.get_experiment_by_name(self.study)
        deleted = found is not None and found.lifecycle_stage == "deleted"
        if found and not deleted and place not in (None, found.artifact_location):
            aside = f"{self.study} (before its store moved, {found.experiment_id})"
            self._client.rename_experiment(found.experiment_id, aside)
            self.began_anew, found = True, None
        if found is None:
            # MLflow shows its pages for language models unless told that models are trained here.
            kind = {"mlflow.experimentKind": "custom_model_development"}
            return str(
                self._client.create_experiment(self.study, artifact_location=place, tags=kind)
            )
        if deleted:
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
            start_time=schema.milliseconds(record.started),
            tags={**tags, "mlflow.parentRunId": parent},
            run_name=schema.run_name(record),
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
            tags["sweep.reason"] = record.reason
            tags["mlflow.note.content"] = f"**{record.state}**: {record.reason}"
        cut = [RunTag(key, value[: schema.LONGEST_VALUE]) for key, value in tags.items()]
        self._client.log_batch(run_id, tags=cut)

    def _log_best(self, run: Run, run_dir: Path) -> None:
        """The table of runs shows each metric's last value; what counts is the best epoch's."""
        best = best_epoch(read_epochs(run_dir))
        if best is None:
            return
        for name, value in {**best.val, "epoch": best.epoch}.items():
            if not math.isnan(value) and run.data.metrics.get(f"best/{name}") != value:
                self._client.log_metric(
                    run.info.run_id, f"best/{name}", float(value), step=best.epoch
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
