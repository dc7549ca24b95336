"""Writes a study to MLflow tracking.

The trial directories are the record, and MLflow shows them. Every call may be repeated. Runs are
found again by their tags.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.study.folder import TrialRecord
from sweep.tracking import client as seam
from sweep.tracking import schema
from sweep.tracking.experiment import find_experiment, remove_unfinished_uploads
from sweep.tracking.system_load import SystemLoad
from sweep.tracking.trial_runs import MOST_NAMES, TrialRuns
from uvtex.config import TrainConfig
from uvtex.settings import dump_yaml

if TYPE_CHECKING:
    from mlflow.entities import Run

    from sweep.study.config import StudyConfig
    from sweep.study.summary_record import Summary


class Tracker:
    """One study in MLflow: an experiment, a parent run, and a child run for each trial and stage.

    One thread uses a tracker. Every method raises :class:`TrackingError`, and no other error, when
    MLflow is away or refuses.
    """

    def __init__(self, uri: str, artifact_root: Path | None, study: str) -> None:
        """Opens the study's experiment, and creates it if it is missing.

        Args:
            uri: MLflow's tracking URI.
            artifact_root: the folder where a local store keeps artifacts. A server has its own.
            study: the study's name.
        """
        self.uri = uri
        self.study = study
        self._artifacts = (artifact_root and artifact_root / study) if seam.is_local(uri) else None
        self._load = SystemLoad(seam.absolute(uri))
        self._parent_id: str | None = None
        with seam.mapped_errors("open the store", uri):
            self._client = seam.client(uri)
            self.experiment_id = find_experiment(self._client, uri, study, artifact_root)
        self._runs = TrialRuns(self._client, self.experiment_id, study, self._load)

    def study_started(
        self, config: StudyConfig, *, state: str = "running", began: float | None = None
    ) -> str:
        """Creates the parent run, or opens it again, and logs the settings; returns its id.

        The settings are tags, since trials, hours and the queue may change when a study goes on.

        Args:
            began: when a study began that is not yet in MLflow, in Unix seconds; None: now.
        """
        with seam.mapped_errors("log the study", self.uri):
            remove_unfinished_uploads(self._artifacts)
            run_id = self._parent(began)
            if state == "running" and self._client.get_run(run_id).info.status != "RUNNING":
                self._client.update_run(run_id, status="RUNNING")
            settings = config.model_dump(mode="json", exclude_none=True)
            tags = dict(schema.flat(settings, "study.")) | {"sweep.state": state}
            if self._new_tags(tags):  # file first: who dies in between leaves both to be done again
                self._client.log_text(run_id, dump_yaml(config), config.paths.settings.name)
                self._set_tags(tags)
        return run_id

    def list_all(self) -> None:
        """Reads what MLflow has of all trials at once: for those who go through all of them."""
        with seam.mapped_errors("list the runs", self.uri):
            self._runs.list_all()

    def is_current(self, record: TrialRecord, digest: str) -> bool:
        """See :meth:`sweep.tracking.trial_runs.TrialRuns.is_current`."""
        return self._runs.is_current(record, digest)

    def show(
        self,
        record: TrialRecord,
        run_dir: Path,
        config: TrainConfig,
        *,
        epochs: int | None = None,
        live: bool = False,
        anew: bool = False,
    ) -> str:
        """Makes the MLflow run of ``record`` show its directory; returns its id.

        See :meth:`sweep.tracking.trial_runs.TrialRuns.show`.
        """
        with seam.mapped_errors(f"log {record.label}", self.uri):
            return self._runs.show(record, run_dir, config, self._parent(), epochs, live, anew)

    def run_id(self, record: TrialRecord) -> str | None:
        """The id of the child run of ``record``, if there is one."""
        with seam.mapped_errors(f"look for {record.label}", self.uri):
            return self._runs.run_id(record)

    def study_decisions(self, records: Iterable[TrialRecord]) -> None:
        """Logs on the parent run what was decided on the trials of ``records``, in words."""
        with seam.mapped_errors("log the decisions", self.uri):
            self._set_tags(schema.decisions(records))

    def study_ended(
        self,
        summary: Summary | None,
        report: Path | None = None,
        state: str = "complete",
        ended: float = 0.0,
    ) -> None:
        """Logs the summary's numbers as metrics and its texts as tags, then the final status.

        Args:
            ended: when the last run ended, in Unix seconds. MLflow is told of no end before the
                start that it has of the study.
        """
        with seam.mapped_errors("log the end of the study", self.uri):
            run = self._client.get_run(self._parent())
            self._load.stop_all()
            if summary is not None:
                self._log_summary(run, summary)
            if report is not None and report.is_file():
                self._client.log_artifact(run.info.run_id, str(report))
            self._set_tags({"sweep.state": state})
            status = schema.STATUS.get(state, "FINISHED")
            stamp = max(schema.milliseconds(ended), run.info.start_time or 0)
            if (run.info.status, run.info.end_time) != (status, stamp):
                self._client.set_terminated(run.info.run_id, status, stamp)

    def is_running(self) -> bool:
        """Whether MLflow shows the study as running."""
        with seam.mapped_errors("look up the study", self.uri):
            found = self._find_parent()
            return found is not None and found.info.status == "RUNNING"

    def close(self) -> None:
        """Stops sampling the machine's load. The store stays as it is."""
        self._load.stop_all()

    def _parent(self, began: float | None = None) -> str:
        """The id of the study's run, which is created if it is missing."""
        if self._parent_id is None:
            found = self._find_parent()
            if found is None:
                names = {schema.STUDY_TAG: self.study, schema.TRIAL_TAG: "-", **PARENT}
                tags = names | {"sweep.state": "running"}
                start = None if began is None else schema.milliseconds(began)
                found = self._client.create_run(
                    self.experiment_id, start_time=start, tags=tags, run_name=self.study
                )
            self._parent_id = str(found.info.run_id)
        return self._parent_id

    def _find_parent(self) -> Run | None:
        tags = {schema.STUDY_TAG: self.study, **PARENT}
        query = " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
        order = ["attributes.start_time ASC"]
        found = self._client.search_runs([self.experiment_id], query, order_by=order)
        return found[0] if found else None

    def _set_tags(self, tags: Mapping[str, str]) -> None:
        """Sets those tags of the parent run that differ."""
        from mlflow.entities import RunTag

        new = [RunTag(key, value) for key, value in self._new_tags(tags).items()]
        for start in range(0, len(new), MOST_NAMES):
            some = new[start : start + MOST_NAMES]
            self._client.log_batch(self._parent(), tags=some, synchronous=True)

    def _new_tags(self, tags: Mapping[str, str]) -> dict[str, str]:
        known = self._client.get_run(self._parent()).data.tags
        return {key: value for key, value in tags.items() if known.get(key) != value}

    def _log_summary(self, run: Run, summary: Summary) -> None:
        from mlflow.entities import Metric

        texts: dict[str, str] = {}
        numbers: dict[str, float] = {}
        for key, value in schema.flat(summary.to_dict()):
            number = schema.number(value)
            if number is None:
                texts[f"summary.{key}"] = value
            else:
                numbers[f"summary/{schema.metric_name(key)}"] = number
        # MLflow shows the newest value. The clock may have been set back since the study began.
        at, logged = (
            max(schema.milliseconds(time.time()), run.info.start_time or 0),
            run.data.metrics,
        )
        metrics = [
            Metric(name, number, at, 0)
            for name, number in numbers.items()
            if logged.get(name) != number
        ]
        if metrics:
            self._client.log_batch(run.info.run_id, metrics, synchronous=True)
        self._set_tags(texts)
        # The study may have ended before, for a reason that holds no more.
        for key in run.data.tags:
            if key.startswith("summary.") and key not in texts:
                self._client.delete_tag(run.info.run_id, key)


PARENT = {schema.STAGE_TAG: "study"}
"""The tag that tells the study's run from those of its trials."""
