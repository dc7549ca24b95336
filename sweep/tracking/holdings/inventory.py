"""Everything that MLflow holds of a study: runs, logged models and versions. Nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sweep.study.config import StudyConfig
from sweep.tracking import client as seam
from sweep.tracking import schema
from sweep.tracking.registry.history import CHALLENGER, CHAMPION
from sweep.tracking.registry.version_record import CHECKPOINT_DIGEST, MODEL

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import LoggedModel, Run
    from mlflow.entities.model_registry import ModelVersion

PAGE = 1000
"""Runs of one query. MLflow takes up to 50,000, but a server may limit the size of an answer."""

PARENT = ("-", "study")
"""Trial and run name that the tags of a study's own run hold."""


@dataclass(frozen=True)
class HeldRun:
    """A run of the study's experiment."""

    run_id: str
    trial: str
    """As its tag has it; empty without the tag."""
    name: str
    """See :attr:`sweep.study.folder.TrialRecord.name`; empty without the tag."""
    parent: str | None
    status: str
    state: str
    started: int
    metrics: Mapping[str, float]
    """The last value of each metric."""
    location: str
    """Where its artifacts are."""

    @property
    def key(self) -> tuple[str, str]:
        return self.trial, self.name


@dataclass(frozen=True)
class HeldModel:
    """A logged model of the study's experiment."""

    model_id: str
    name: str
    location: str
    run_id: str | None
    digest: str
    """SHA-256 of the checkpoint that it was made from; empty without the tag."""
    ready: bool


@dataclass(frozen=True)
class HeldVersion:
    """A registered version that came from the study."""

    version: str
    trial: str
    run: str
    digest: str
    """SHA-256 of the checkpoint that it was made from; empty without the tag."""
    location: str
    alias: str | None
    """``champion``, ``challenger`` or None."""


@dataclass(frozen=True)
class Holdings:
    """What MLflow holds of one study."""

    experiment_id: str
    location: str
    """Where artifacts of new runs go."""
    runs: Sequence[HeldRun] = ()
    deleted: Sequence[HeldRun] = ()
    """Runs in MLflow's bin. Their artifacts still take space."""
    models: Sequence[HeldModel] = ()
    versions: Sequence[HeldVersion] = ()
    used: frozenset[str] = frozenset()
    """Where the files of all versions of the registry are, of any model and study."""

    def has_version(self, model_id: str) -> bool:
        """Whether a version is made of this logged model."""
        return any(f"/{model_id}/" in f"{location}/" for location in self.used)


def read_holdings(study: StudyConfig) -> Holdings | None:
    """What MLflow holds of the study; None if it knows no such experiment.

    Raises:
        TrackingError: MLflow is away or refuses.
    """
    uri = study.tracking_uri
    if seam.is_missing(uri):
        return None
    with seam.mapped_errors("read what it holds", uri):
        from mlflow.entities import ViewType

        client = seam.client(uri)
        found = client.get_experiment_by_name(study.name)
        if found is None or found.lifecycle_stage == "deleted":
            return None
        here = [found.experiment_id]
        versions = list(_versions(client))
        return Holdings(
            experiment_id=str(found.experiment_id),
            location=str(found.artifact_location),
            runs=_runs(client, here, ViewType.ACTIVE_ONLY),
            deleted=_runs(client, here, ViewType.DELETED_ONLY),
            models=[
                _model(model)
                for model in _pages(
                    lambda token: client.search_logged_models(
                        here, max_results=100, page_token=token
                    )
                )
            ],
            versions=[
                held
                for one, held in versions
                if one.name == MODEL and one.tags.get("sweep.study") == study.name
            ],
            used=frozenset(held.location for _, held in versions),
        )


def epochs_of(study: StudyConfig, run_ids: Sequence[str]) -> dict[str, set[int]]:
    """The epochs that MLflow has of each run.

    Raises:
        TrackingError: MLflow is away or refuses.
    """
    with seam.mapped_errors("read the epochs of runs", study.tracking_uri):
        client = seam.client(study.tracking_uri)
        return {
            run_id: {metric.step for metric in client.get_metric_history(run_id, "schedule/lr")}
            for run_id in run_ids
        }


def experiments(uri: str) -> dict[str, str]:
    """The studies that MLflow has experiments of -> where their artifacts are.

    Raises:
        TrackingError: MLflow is away or refuses.
    """
    if seam.is_missing(uri):
        return {}
    with seam.mapped_errors("list the experiments", uri):
        client = seam.client(uri)
        found = _pages(lambda token: client.search_experiments(max_results=PAGE, page_token=token))
        return {
            one.name: str(one.artifact_location)
            for one in found
            if client.search_runs(
                [one.experiment_id], f"tags.`{schema.STAGE_TAG}` = 'study'", max_results=1
            )
        }


def _runs(client: MlflowClient, experiment: list[str], view: int) -> list[HeldRun]:
    return [
        _run(run)
        for run in _pages(
            lambda token: client.search_runs(
                experiment,
                run_view_type=view,
                max_results=PAGE,
                order_by=["attributes.start_time ASC"],
                page_token=token,
            )
        )
    ]


def _run(run: Run) -> HeldRun:
    tags = run.data.tags
    return HeldRun(
        run_id=str(run.info.run_id),
        trial=tags.get(schema.TRIAL_TAG, ""),
        name=tags.get(schema.STAGE_TAG, ""),
        parent=tags.get("mlflow.parentRunId"),
        status=str(run.info.status),
        state=tags.get("sweep.state", ""),
        started=run.info.start_time or 0,
        metrics=run.data.metrics,
        location=str(run.info.artifact_uri),
    )


def _model(model: LoggedModel) -> HeldModel:
    return HeldModel(
        model_id=model.model_id,
        name=model.name,
        location=model.artifact_location,
        run_id=model.source_run_id,
        digest=model.tags.get(CHECKPOINT_DIGEST, ""),
        ready=str(model.status) == "READY",
    )


def _versions(client: MlflowClient) -> Iterator[tuple[ModelVersion, HeldVersion]]:
    aliases = {}
    for model in client.search_registered_models(f"name = '{MODEL}'"):
        aliases = {str(version): name for name, version in model.aliases.items()}
    ours = {version: name for version, name in aliases.items() if name in (CHAMPION, CHALLENGER)}
    for one in _pages(
        lambda token: client.search_model_versions(max_results=PAGE, page_token=token)
    ):
        yield (
            one,
            HeldVersion(
                version=str(one.version),
                trial=one.tags.get("sweep.trial", ""),
                run=one.tags.get("sweep.run", one.tags.get("sweep.stage", "")),
                digest=one.tags.get(CHECKPOINT_DIGEST, ""),
                location=str(one.source),
                alias=ours.get(str(one.version)),
            ),
        )


def _pages(query: Callable[[str | None], Any]) -> Iterator[Any]:
    """The items of all pages of a query that takes a page's token."""
    token = None
    while True:
        page = query(token)
        yield from page
        if not (token := page.token):
            return
