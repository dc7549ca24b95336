"""The MLflow runs of a study's trials: each is made to show what its trial directory holds.

All that a run shows follows from its record and its files, the times of its metrics too. So a call
that is made twice changes nothing, and neither does a call that a server carries out long after
this process has given up waiting for it: MLflow keeps one of two metrics that are equal in value,
step and time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.study.folder import UNFINISHED, RunKey, TrialRecord
from sweep.tracking import client as seam
from sweep.tracking import schema
from sweep.tracking.system_load import SystemLoad
from uvtex.config import TrainConfig
from uvtex.runs.epochs import EpochReport, best_epoch, read_epochs
from uvtex.runs.folder import RunFolder

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param, Run, RunTag

MOST_ENTITIES, MOST_NAMES = 1000, 100
"""How many metrics, and how many parameters or tags, MLflow takes in one call."""
PAGE = 1000
"""Runs of one page of MLflow's answer."""


@dataclass
class Shown:
    """What MLflow has of a run."""

    run_id: str
    started: int
    """Unix milliseconds."""
    status: str
    ended: int | None = None
    """Unix milliseconds."""
    tags: dict[str, str] = field(default_factory=dict)
    params: set[str] = field(default_factory=set)
    best: dict[str, float] = field(default_factory=dict)
    """The metrics of the best epoch."""
    epochs: set[int] = field(default_factory=set)
    files: bool = False
    """Whether ``config.yaml`` was uploaded by this process."""


class TrialRuns:
    """The child runs of one study. One thread uses it."""

    def __init__(
        self, client: MlflowClient, experiment_id: str, study: str, load: SystemLoad
    ) -> None:
        self._client, self._experiment_id = client, experiment_id
        self._study, self._load = study, load
        self._shown: dict[RunKey, Shown] = {}
        self._listed: dict[tuple[str, str], list[Run]] | None = None

    def list_all(self) -> None:
        """Reads what MLflow has of all trials, so that no run is looked for on its own."""
        self._listed, self._shown = {}, {}
        for run in self._search({schema.STUDY_TAG: self._study}):
            tags = run.data.tags
            key = tags.get(schema.TRIAL_TAG, ""), tags.get(schema.STAGE_TAG, "")
            self._listed.setdefault(key, []).append(run)

    def is_current(self, record: TrialRecord, digest: str) -> bool:
        """Whether :meth:`list_all` found one run of ``record`` that shows all of it.

        Args:
            digest: see :func:`sweep.tracking.schema.digest`.
        """
        found = (self._listed or {}).get(_name(record), [])
        return (
            len(found) == 1
            and record.state != "running"
            and found[0].data.tags.get(schema.DIGEST_TAG) == digest
            and found[0].info.status == schema.STATUS[record.state]
        )

    def run_id(self, record: TrialRecord) -> str | None:
        """The id of the run of ``record``, if there is one."""
        if record.key in self._shown:
            return self._shown[record.key].run_id
        found = self._find(record)
        return str(found[0].info.run_id) if found else None

    def show(
        self,
        record: TrialRecord,
        run_dir: Path,
        config: TrainConfig,
        parent: str,
        epochs: int | None = None,
        live: bool = False,
        anew: bool = False,
    ) -> str:
        """Makes the run of ``record`` show its directory, and creates it if it is missing.

        A run that has epochs which the directory lacks is deleted and made again.

        Args:
            parent: the id of the study's run.
            epochs: the number of epochs to show of a run that is training; None: all.
            live: whether to sample the load of this machine while the run trains.
            anew: whether to upload files that were uploaded before.

        Returns:
            The MLflow run's id.
        """
        reports = read_epochs(run_dir)
        shown = self._shown.get(record.key) or self._known(record, reports)
        if shown is None:
            shown = self._create(record, parent)
        self._shown[record.key] = shown
        if record.state == "running":
            self._show_running(shown, record, run_dir, config, reports[:epochs])
            if live:
                self._load.start(shown.run_id)
        else:
            self._load.stop(shown.run_id)
            if anew:
                shown.tags.pop(schema.DIGEST_TAG, None)
            self._show_ended(shown, record, run_dir, config, reports)
        return shown.run_id

    def _show_running(
        self,
        shown: Shown,
        record: TrialRecord,
        run_dir: Path,
        config: TrainConfig,
        reports: Sequence[EpochReport],
    ) -> None:
        self._log(shown, record, config, reports, schema.tags(record))
        if shown.status != "RUNNING":
            self._client.update_run(shown.run_id, status="RUNNING")
            shown.status = "RUNNING"
        settings = RunFolder(run_dir).settings
        if not shown.files and settings.is_file():
            self._client.log_artifact(shown.run_id, str(settings))
            shown.files = True

    def _show_ended(
        self,
        shown: Shown,
        record: TrialRecord,
        run_dir: Path,
        config: TrainConfig,
        reports: Sequence[EpochReport],
    ) -> None:
        """The files first and the status last: a run with a final status is complete."""
        status, digest = schema.STATUS[record.state], schema.digest(record, run_dir)
        stamp = max(schema.milliseconds(schema.ended(record, reports)), shown.started)
        tags = schema.tags(record) | {schema.DIGEST_TAG: digest}
        finished = record.state not in UNFINISHED
        if finished and (shown.tags.get(schema.DIGEST_TAG) != digest or shown.status != status):
            for path in schema.artifacts(run_dir):
                folder = None if path.parent == run_dir else path.parent.name
                if path.is_file():
                    self._client.log_artifact(shown.run_id, str(path), folder)
        best = best_epoch(reports) if finished else None
        self._log(shown, record, config, reports, tags, best)
        if (shown.status, shown.ended) != (status, stamp):
            self._client.set_terminated(shown.run_id, status, stamp)
            shown.status, shown.ended = status, stamp

    def _log(
        self,
        shown: Shown,
        record: TrialRecord,
        config: TrainConfig,
        reports: Sequence[EpochReport],
        tags: dict[str, str],
        best: EpochReport | None = None,
    ) -> None:
        """Logs what MLflow lacks, in as few calls as it allows."""
        from mlflow.entities import Metric, Param, RunTag

        # MLflow writes a parameter once; a resumed run keeps its first parameters.
        params = [
            Param(key, value)
            for key, value in schema.params(record, config).items()
            if key not in shown.params
        ]
        new_tags = {key: value for key, value in tags.items() if shown.tags.get(key) != value}
        stamps = schema.stamps(record, reports)
        epochs = [
            schema.metrics(record, report, stamps[report.epoch])
            for report in reports
            if report.epoch not in shown.epochs
        ]
        figures: dict[str, float] = {}
        if best is not None:
            named = {f"best/{name}": value for name, value in best.val.items()}
            figures = {
                name: float(value)
                for name, value in {**named, "best/epoch": float(best.epoch)}.items()
                if not math.isnan(value) and shown.best.get(name) != value
            }
            at = schema.milliseconds(stamps[best.epoch])
            epochs.append([Metric(*figure, at, best.epoch) for figure in figures.items()])
        rest = [RunTag(key, value) for key, value in new_tags.items()]
        for metrics in schema.batches(epochs, MOST_ENTITIES - 2 * MOST_NAMES):
            self._batch(shown, metrics, params, rest)
        while params or rest:
            self._batch(shown, [], params, rest)
        shown.params |= schema.params(record, config).keys()
        shown.tags |= new_tags
        shown.epochs |= {report.epoch for report in reports}
        shown.best |= figures

    def _batch(
        self, shown: Shown, metrics: list[Metric], params: list[Param], tags: list[RunTag]
    ) -> None:
        """One call, which takes what fits off the front of ``params`` and ``tags``."""
        named = params[:MOST_NAMES], tags[:MOST_NAMES]
        self._client.log_batch(shown.run_id, metrics, *named, synchronous=True)
        del params[:MOST_NAMES], tags[:MOST_NAMES]

    def _create(self, record: TrialRecord, parent: str) -> Shown:
        tags = _tags(self._study, record) | schema.tags(record)
        run = self._client.create_run(
            self._experiment_id,
            start_time=schema.milliseconds(record.started or 0.0),
            tags={**tags, "mlflow.parentRunId": parent},
            run_name=schema.run_name(record),
        )
        return Shown(str(run.info.run_id), run.info.start_time, "RUNNING", tags=tags)

    def _known(self, record: TrialRecord, reports: Sequence[EpochReport]) -> Shown | None:
        """What MLflow has of a run. Runs that are doubles, or differ from the files, are deleted.

        A call that a server carried out after this process had given up may have left a double.
        """
        found = self._find(record)
        for run in found[1:]:
            self._client.delete_run(run.info.run_id)
        if not found:
            return None
        run = found[0]
        run_id = str(run.info.run_id)
        happened = {report.epoch: report.val.get("total") for report in reports}
        history = self._client.get_metric_history(run_id, "val/total")
        if any(happened.get(metric.step) != metric.value for metric in history):
            self._client.delete_run(run_id)
            return None
        logged = self._client.get_metric_history(run_id, "schedule/lr")
        metrics = run.data.metrics
        return Shown(
            run_id=run_id,
            started=run.info.start_time or 0,
            status=run.info.status,
            ended=run.info.end_time,
            tags=dict(run.data.tags),
            params=set(run.data.params),
            best={name: value for name, value in metrics.items() if name.startswith("best/")},
            epochs={metric.step for metric in logged},
        )

    def _find(self, record: TrialRecord) -> list[Run]:
        if self._listed is not None:
            return self._listed.get(_name(record), [])
        return list(self._search(_tags(self._study, record)))

    def _search(self, tags: dict[str, str]) -> Iterator[Run]:
        """The runs with these tags, the oldest first."""
        query = " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
        order = ["attributes.start_time ASC"]
        yield from seam.paged(
            lambda token: self._client.search_runs(
                [self._experiment_id], query, max_results=PAGE, order_by=order, page_token=token
            )
        )


def _name(record: TrialRecord) -> tuple[str, str]:
    return str(record.trial), record.name


def _tags(study: str, record: TrialRecord) -> dict[str, str]:
    trial, stage = _name(record)
    return {schema.STUDY_TAG: study, schema.TRIAL_TAG: trial, schema.STAGE_TAG: stage}
