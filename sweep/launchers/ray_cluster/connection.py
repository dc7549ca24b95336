"""The connection to a Ray cluster, and the project's code, which every node gets from here."""

from __future__ import annotations

import importlib
import logging
import os
import socket
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sweep.study.launcher_settings import LauncherSettings
from uvtex.errors import ConfigError, UvtexError

CONNECT_SECONDS = 10.0
"""How long the answer of a cluster's address may take."""

HEAD_SECONDS = 2.0
"""How long a connection to the head may take. A busy head is no dead one."""

STORE_BYTES = 100 << 20
"""Size of the object store of a cluster that a study starts for itself. It holds pieces of a data
set only."""

VARIABLES = {
    "RAY_DISABLE_FAILURE_SIGNAL_HANDLER": "1",  # the driver handles signals; this prints stacks
    "RAY_NUM_REDIS_GET_RETRIES": "1",  # each takes 40 seconds
    "RAY_USAGE_STATS_ENABLED": "0",
}
"""Ray's settings by its environment variables, unless the user has set them."""

SHIPPED = (".py", ".html", ".typed")
"""Endings of the package files that a node gets."""


def connect(settings: LauncherSettings, runner: str) -> tuple[Any, bool]:
    """Connects this process to the cluster, unless it is connected already.

    Each node gets the packages of this process, see :func:`write_packages`.

    Args:
        runner: ``module:function``, see :data:`sweep.launchers.worker.Runner`.

    Returns:
        The module ``ray``, and whether this call connected.

    Raises:
        ConfigError: Ray is not installed, or the address is no address.
        UvtexError: the cluster cannot be reached, or refuses this process.
    """
    for variable, value in VARIABLES.items():
        os.environ.setdefault(variable, value)
    ray = _ray()
    if ray.is_initialized():
        return ray, False
    address = _found(settings.address or "auto")
    if address != "local":
        _check_reachable(address)
    own: dict[str, Any] = {}
    if address == "local":
        own = {"include_dashboard": False, "object_store_memory": STORE_BYTES}
    with tempfile.TemporaryDirectory() as folder:
        packages = Path(folder) / "packages.zip"
        write_packages(packages, ("sweep", "uvtex", runner.partition(".")[0]))
        try:
            ray.init(
                address=address,
                runtime_env={"working_dir": str(packages)},
                log_to_driver=False,
                logging_level=logging.ERROR,
                **own,
            )
        except Exception as error:  # Ray raises its own, gRPC's and Python's
            ray.shutdown()
            raise UvtexError(f"{_cluster(address)}: {first_line(error)}; {_HINT}") from None
    _silence(ray)
    return ray, True


_HINT = "`ray status` on the cluster's head node says how it is"


def head_answers(ray: Any) -> bool:
    """Whether the cluster's head accepts connections. Ray's own calls would wait for a minute, and
    then end this process."""
    from ray.util.client import ray as client

    if client.is_connected():  # by ray://, whose calls raise ConnectionError
        return True
    address = ray.get_runtime_context().gcs_address
    host, _, port = str(address).rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), HEAD_SECONDS).close()
    except OSError:
        return False
    return True


def write_packages(path: Path, names: tuple[str, ...]) -> None:
    """Writes the source of packages to a zip file. Equal sources give equal bytes.

    A worker imports what its driver imports, whatever a node has installed under these names. So
    nothing beside a study file comes before them either.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in dict.fromkeys(names):
            root = Path(importlib.import_module(name).__path__[0])
            for file in _files(root):
                entry = zipfile.ZipInfo(f"{name}/{file.relative_to(root).as_posix()}")
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, file.read_bytes())


def _files(root: Path) -> Iterator[Path]:
    for file in sorted(root.rglob("*")):
        if file.suffix in SHIPPED and file.is_file():
            yield file


def _ray() -> Any:
    try:
        import ray
    except ModuleNotFoundError as error:
        if error.name != "ray":
            raise
        raise ConfigError(
            "launcher: Ray is not installed; install it here and on every node with "
            "`pip install 'uvtex-sweep[ray]'`, or remove `launcher` from the study file"
        ) from None
    return ray


def _found(address: str) -> str:
    """The address that ``auto`` stands for: RAY_ADDRESS, or the cluster on this machine."""
    if address != "auto":
        return address
    from ray._private.utils import read_ray_address

    found = os.environ.get("RAY_ADDRESS") or read_ray_address()
    if not found or found == "auto":
        raise UvtexError(
            "launcher: no Ray cluster runs on this machine (address: auto); start one with "
            "`ray start --head`, or set launcher.address"
        )
    return str(found)


def _check_reachable(address: str) -> None:
    """Refuses an address at which no gRPC server listens. Ray itself would try for minutes."""
    place = address.removeprefix("ray://")
    host, colon, port = place.rpartition(":")
    if not (colon and host and port.isdecimal() and int(port) < 65536) or "/" in place:
        raise ConfigError(
            f"launcher.address: must be auto, local, HOST:PORT or ray://HOST:PORT, got {address!r}"
        )
    usual = 10001 if address.startswith("ray://") else 6379
    advice = f"start the cluster with `ray start --head`, and check host and port (usually {usual})"
    try:
        with socket.create_connection((host.strip("[]"), int(port)), CONNECT_SECONDS) as end:
            grpc = os.environ.get("RAY_USE_TLS") == "1" or _speaks_http2(end)
    except OSError as error:
        raise UvtexError(
            f"{_cluster(address)}: nothing answers there ({error}); {advice}"
        ) from None
    if not grpc:
        raise UvtexError(f"{_cluster(address)}: what answers there is not Ray; {advice}")


def _speaks_http2(end: socket.socket) -> bool:
    """Whether the other end answers as gRPC does: with a frame of type SETTINGS (RFC 9113)."""
    end.settimeout(CONNECT_SECONDS)
    try:
        end.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5))
        answer = end.recv(9)
    except OSError:
        return False
    return len(answer) > 3 and answer[3] == 4


def _cluster(address: str) -> str:
    return f"launcher: the Ray cluster at {address}"


def first_line(error: Exception) -> str:
    """The first line of an error's text that says anything."""
    return next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _silence(ray: Any) -> None:
    """Keeps Ray's notes on dead workers off standard output, where results may go as JSON.

    Ray has no public setting for it. What they say is in the launcher's events.
    """
    from ray._private import worker

    worker._worker_logs_enabled = False
