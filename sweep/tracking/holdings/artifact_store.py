"""The files in MLflow's artifact store, in a folder of this machine or behind a server."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.tracking import client as seam

if TYPE_CHECKING:
    from mlflow.store.artifact.artifact_repo import ArtifactRepository


def local_folder(location: str) -> Path | None:
    """The folder of an artifact location that is on this machine's file system."""
    from mlflow.utils.file_utils import local_file_uri_to_path

    if not location.startswith(("file:", "/")):
        return None
    return Path(local_file_uri_to_path(location))


def files(uri: str, location: str) -> dict[str, int]:
    """Every file below a location -> its size in bytes; empty if there is nothing.

    Raises:
        TrackingError: MLflow is away or refuses.
    """
    folder = local_folder(location)
    if folder is not None:
        return {
            path.relative_to(folder).as_posix(): path.stat().st_size
            for path in folder.rglob("*")
            if path.is_file() and not path.is_symlink()
        }
    with seam.mapped_errors("list artifacts", uri):
        return dict(_listed(_repository(uri, location), None))


def _listed(repository: ArtifactRepository, path: str | None) -> Iterator[tuple[str, int]]:
    for info in repository.list_artifacts(path):
        if info.is_dir:
            yield from _listed(repository, info.path)
        else:
            yield info.path, info.file_size or 0


def delete(uri: str, location: str, path: str | None = None) -> None:
    """Deletes a file or a folder below a location, by default everything. None there: no error.

    Raises:
        TrackingError: MLflow is away or refuses, or ``path`` leaves the location.
    """
    if path is not None and (path.startswith("/") or posixpath.normpath(path) != path):
        raise seam.TrackingError(f"{path}: is no path inside an artifact folder")
    if path is not None and path.split("/")[0] == "..":
        raise seam.TrackingError(f"{path}: is no path inside an artifact folder")
    with seam.mapped_errors("delete artifacts", uri):
        _repository(uri, location).delete_artifacts(path)


def upload(uri: str, location: str, path: Path, folder: str | None) -> None:
    """Copies a file to a location, into ``folder`` there.

    MLflow's own call goes by the run's id, and remembers where the run was when it was asked first.

    Raises:
        TrackingError: MLflow is away or refuses.
    """
    with seam.mapped_errors(f"copy {path.name}", uri):
        _repository(uri, location).log_artifact(str(path), folder)


def fetch(uri: str, location: str, path: str, folder: Path) -> Path:
    """A file below a location: the file itself if it is on this machine, else a copy in ``folder``.

    Raises:
        TrackingError: MLflow is away, or has no such file.
    """
    local = local_folder(location)
    if local is not None:
        return local / path
    with seam.mapped_errors(f"fetch {path}", uri):
        return Path(_repository(uri, location).download_artifacts(path, str(folder)))


def _repository(uri: str, location: str) -> ArtifactRepository:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    return get_artifact_repository(location, tracking_uri=seam.absolute(uri))
