"""Single changes by which MLflow is made to agree with the trial directories again."""

from __future__ import annotations

from sweep.tracking import client as seam
from sweep.tracking.holdings import artifact_store
from sweep.tracking.holdings.inventory import HeldModel, HeldRun


def delete_run(uri: str, run: HeldRun) -> None:
    """Moves a run to MLflow's bin. Its artifacts stay until they are deleted.

    Raises:
        TrackingError: MLflow is away or refuses.
    """
    with seam.mapped_errors(f"delete run {run.run_id}", uri):
        seam.client(uri).delete_run(run.run_id)


def set_parent(uri: str, run_id: str, parent: str) -> None:
    """Makes a run the child of another.

    Raises:
        TrackingError: MLflow is away or refuses.
    """
    with seam.mapped_errors(f"set the parent of run {run_id}", uri):
        seam.client(uri).set_tag(run_id, "mlflow.parentRunId", parent)


def delete_model(uri: str, model: HeldModel) -> None:
    """Deletes a logged model with its files.

    Raises:
        TrackingError: MLflow is away or refuses.
    """
    artifact_store.delete(uri, model.location)
    with seam.mapped_errors(f"delete the logged model {model.model_id}", uri):
        seam.client(uri).delete_logged_model(model.model_id)
