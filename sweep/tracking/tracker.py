"""Writes a study to MLflow tracking.

The trial directories are the record, and MLflow shows them. Every call may be repeated. Runs are
found again by their tags. An epoch is logged once. A run's final status is set last, so a run with
a final status has all its artifacts.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.study.folder import TrialRecord
from sweep.tracking import client as seam
from sweep.tracking import schema
from sweep.tracking.client import TrackingError
from sweep.tracking.experiment import find_experiment
from sweep.tracking.system_load import SystemLoad
from uvtex.config import TrainConfig
from uvtex.runs.epochs import EpochReport, best_epoch, read_epochs
from uvtex.runs.folder import RunFolder
from uvtex.settings import dump_yaml

if TYPE_CHECKING:
    from mlflow.entities import Run

    from sweep.study.config import StudyConfig
    from sweep.study.summary_record import Summary


class Tracker:
    """One study in MLflow: an experiment, a parent run, and a child run for each trial and stage.

    The driver alone uses a tracker, from one thread. Every method raises :class:`TrackingError`,
    and no other error, when MLflow is away or refuses.
    """

    def __init__(
        self,
        uri: str,
        artifact_root: Path | None,
        study: str,
        *,
        system_metrics: bool = True,
    ) -> None:
        """Opens the study's experiment, and creates it if it is missing.

        Args:
            uri: MLflow's tracking URI.
            artifact_root: the folder where a local store keeps artifacts. A server has its own.
            study: the study's name.
            system_metrics: whether to sample the load of this machine while a trial runs.
        """
        self.uri = uri
        self.study = study
        self._system_metrics = system_metrics
        self._run_ids: dict[tuple[int, str], str] = {}
        self._steps: dict[str, set[int]] = {}
        self._system_load = SystemLoad(seam.absolute(uri))
        with seam.mapped_errors("open the store", uri):
            self._client = seam.client(uri)
            self.experiment_id = find_experiment(self._client, uri, study, artifact_root)

    def study_started(self, config: StudyConfig) -> str:
        """Creates the parent run, or opens it again; returns its id."""
        with seam.mapped_errors("log the study", self.uri):
            run_id = self._parent() or self._create_parent()
            self._client.update_run(run_id, status="RUNNING")
            self._client.set_tag(run_id, "sweep.state", "running")
            # As tags, since trials, hours and the queue may change when a study goes on.
            settings = config.model_dump(mode="json", exclude_none=True)
            for key, value in schema.flat(settings, "study."):
                self._client.set_tag(run_id, key, value)
            self._client.log_text(run_id, dump_yaml(config), config.paths.settings.name)
        return run_id

    def trial_started(
        self, record: TrialRecord, config: TrainConfig, run_dir: Path, *, live: bool = True
    ) -> str:
        """Creates the child run or opens it again, and logs its settings; returns its id.

        If ``live``, the load of this machine is sampled until :meth:`trial_ended`.
        """
        with seam.mapped_errors(f"log the start of {record.label}", self.uri):
            run_id = self._find(record) or self._create(record)
            self._log_params(run_id, schema.params(record, config))
            self._set_tags(run_id, record)
            if record.state == "running":
                self._client.update_run(run_id, status="RUNNING")
            self._upload(run_id, RunFolder(run_dir).settings)
            if live and self._system_metrics:
                self._system_load.start(run_id)
        return run_id

    def epoch(self, record: TrialRecord, report: EpochReport, *, at: float | None = None) -> None:
        """Logs the metrics of one epoch. ``at`` is its time in Unix seconds, by default now."""
        with seam.mapped_errors(f"log epoch {report.epoch} of {record.label}", self.uri):
            run_id = self._known(record)
            if report.epoch in self._logged_steps(run_id):
                return
            # The clock may have been set back since the run started.
            at = max(time.time() if at is None else at, record.started or 0.0)
            # One batch is one transaction: MLflow has the whole epoch or none of it.
            self._client.log_batch(run_id, metrics=schema.metrics(record, report, at))
            self._steps[run_id].add(report.epoch)

    def trial_ended(self, record: TrialRecord, run_dir: Path) -> None:
        """Logs the state, the best epoch's metrics and the artifacts, and last the final status."""
        with seam.mapped_errors(f"log the end of {record.label}", self.uri):
            run_id = self._known(record)
            self._system_load.stop(run_id)
            run = self._client.get_run(run_id)
            ended = schema.end_time(run, record.ended)
            self._set_tags(run_id, record)
            if run.info.status == schema.STATUS[record.state] and run.info.end_time == ended:
                return
            self._log_best(run, run_dir)
            for path in schema.artifacts(run_dir):
                folder = None if path.parent == run_dir else path.parent.name
                self._upload(run_id, path, folder)
            self._client.set_terminated(run_id, schema.STATUS[record.state], ended)

    def trial_interrupted(self, record: TrialRecord) -> None:
        """Logs that nothing runs the trial any more. :meth:`trial_started` opens it again."""
        with seam.mapped_errors(f"log the interruption of {record.label}", self.uri):
            run_id = self._known(record)
            self._system_load.stop(run_id)
            if self._client.get_run(run_id).info.status == "RUNNING":
                self._set_tags(run_id, record)
                self._client.set_terminated(run_id, schema.STATUS[record.state])

    def study_decisions(self, records: Iterable[TrialRecord]) -> None:
        """Logs on the parent run what was decided on the trials of ``records``, in words."""
        tags = schema.decisions(records)
        if not tags:
            return
        with seam.mapped_errors("log the decisions", self.uri):
            run_id = self._parent() or self._create_parent()
            for key, value in tags.items():
                self._client.set_tag(run_id, key, value)

    def study_ended(
        self, summary: Summary | None, report: Path | None = None, state: str = "complete"
    ) -> None:
        """Logs the summary's numbers as metrics and its texts as tags, then the final status."""
        with seam.mapped_errors("log the end of the study", self.uri):
            run_id = self._parent()
            if run_id is None:
                raise TrackingError(f"{self.study} has no run in MLflow; call study_started first")
            self._system_load.stop_all()
            if summary is not None:
                self._log_summary(run_id, summary)
            if report is not None and report.is_file():
                self._client.log_artifact(run_id, str(report))
            self._client.set_tag(run_id, "sweep.state", state)
            ended = schema.end_time(self._client.get_run(run_id), time.time())
            self._client.set_terminated(run_id, schema.STATUS.get(state, "FINISHED"), ended)

    def is_running(self) -> bool:
        """Whether MLflow shows the study as running."""
        with seam.mapped_errors("look up the study", self.uri):
            run_id = self._parent()
            return run_id is not None and self._client.get_run(run_id).info.status == "RUNNING"

    def close(self) -> None:
        """Stops sampling the machine's load. The store stays as it is."""
        self._system_load.stop_all()

    def run_id(self, record: TrialRecord) -> str | None:
        """The id of the child run of ``record``, if there is one."""
        with seam.mapped_errors(f"look for {record.label}", self.uri):
            return self._find(record)

    def forget(self, record: TrialRecord) -> None:
        """Deletes the child run of ``record``, which disagrees with the trial directory."""
        with seam.mapped_errors(f"delete the run of {record.label}", self.uri):
            run_id = self._find(record)
            if run_id is not None:
                self._client.delete_run(run_id)
                self._run_ids.pop(record.key, None)
                self._steps.pop(run_id, None)

    def agrees(self, record: TrialRecord, reports: Iterable[EpochReport]) -> bool:
        """Whether every epoch in MLflow is among ``reports``, with the same total loss."""
        with seam.mapped_errors(f"read {record.label}", self.uri):
            run_id = self._find(record)
            if run_id is None:
                return True
            history = self._client.get_metric_history(run_id, "val/total")
        happened = {report.epoch: report.val.get("total") for report in reports}
        return all(happened.get(metric.step) == metric.value for metric in history)

    def _parent(self) -> str | None:
        return self._find_tagged(trial="-", stage="study")

    def _create_parent(self) -> str:
        tags = self._tags("-", "study")
        return str(
            self._client.create_run(self.experiment_id, tags=tags, run_name=self.study).info.run_id
        )

    def _create(self, record: TrialRecord) -> str:
        tags = self._tags(str(record.trial), record.name)
        parent = self._parent() or self._create_parent()
        run = self._client.create_run(
            self.experiment_id,
            start_time=schema.milliseconds(record.started),
            tags={**tags, "mlflow.parentRunId": parent},
            run_name=schema.run_name(record),
        )
        run_id = str(run.info.run_id)
        self._run_ids[record.key] = run_id
        return run_id

    def _tags(self, trial: str, stage: str) -> dict[str, str]:
        return {schema.STUDY_TAG: self.study, schema.TRIAL_TAG: trial, schema.STAGE_TAG: stage}

    def _find(self, record: TrialRecord) -> str | None:
        key = record.key
        if key not in self._run_ids:
            found = self._find_tagged(str(record.trial), record.name)
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
            raise TrackingError(f"{record.label} has no run in MLflow; call trial_started first")
        return run_id

    def _logged_steps(self, run_id: str) -> set[int]:
        if run_id not in self._steps:
            history = self._client.get_metric_history(run_id, "schedule/lr")
            self._steps[run_id] = {metric.step for metric in history}
        return self._steps[run_id]

    def _log_params(self, run_id: str, params: Mapping[str, str]) -> None:
        from mlflow.entities import Param

        # MLflow writes a parameter once; a resumed run keeps its first parameters.
        logged = self._client.get_run(run_id).data.params
        new = [Param(key, value) for key, value in params.items() if key not in logged]
        if new:
            self._client.log_batch(run_id, params=new)

    def _set_tags(self, run_id: str, record: TrialRecord) -> None:
        from mlflow.entities import RunTag

        tags = [RunTag(name, text) for name, text in schema.tags(record).items()]
        self._client.log_batch(run_id, tags=tags)

    def _log_best(self, run: Run, run_dir: Path) -> None:
        """Logs the best epoch on its own: MLflow's table of runs shows last values only."""
        best = best_epoch(read_epochs(run_dir))
        if best is None:
            return
        for name, value in {**best.val, "epoch": best.epoch}.items():
            if not math.isnan(value) and run.data.metrics.get(f"best/{name}") != value:
                self._client.log_metric(
                    run.info.run_id, f"best/{name}", float(value), step=best.epoch
                )

    def _log_summary(self, run_id: str, summary: Summary) -> None:
        logged = self._client.get_run(run_id).data.metrics
        for key, value in schema.flat(summary.to_dict()):
            number = schema.number(value)
            if number is None:
                self._client.set_tag(run_id, f"summary.{key}", value)
            elif logged.get(f"summary/{schema.metric_name(key)}") != number:
                self._client.log_metric(run_id, f"summary/{schema.metric_name(key)}", number)

    def _upload(self, run_id: str, path: Path, folder: str | None = None) -> None:
        if path.is_file():
            self._client.log_artifact(run_id, str(path), folder)
