"""Ray clusters of several nodes on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

STORE_BYTES = 80 << 20


@contextmanager
def cluster(nodes: int = 1, **resources: Any) -> Iterator[Any]:
    """A cluster whose head runs no worker, and ``nodes`` others of one CPU each.

    Environment and working folder of its processes are those of the caller.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_DISABLE_FAILURE_SIGNAL_HANDLER", "1")
        from ray.cluster_utils import Cluster

        made = Cluster(
            initialize_head=True,
            head_node_args={
                "num_cpus": 0, "include_dashboard": False, "object_store_memory": STORE_BYTES,
            },
            shutdown_at_exit=False,
        )  # fmt: skip
        try:
            for _ in range(nodes):
                add_node(made, **resources)
            yield made
        finally:
            session = made.head_node.get_session_dir_path()
            made.shutdown()
            shutil.rmtree(session, ignore_errors=True)


def add_node(there: Any, **resources: Any) -> Any:
    """A further node. Returns it, for ``there.remove_node``."""
    return there.add_node(object_store_memory=STORE_BYTES, **{"num_cpus": 1, **resources})


def node_of(there: Any, worker: psutil.Process) -> Any:
    """The node that a worker process runs on: it is a child of an actor of the node's raylet."""
    raylet = worker.parent().parent()  # type: ignore[union-attr]
    for node in there.worker_nodes:
        (process,) = node.all_processes["raylet"]
        if process.process.pid == raylet.pid:  # type: ignore[union-attr]
            return node
    raise AssertionError(f"{worker} runs on no node")


def hides_folders() -> bool:
    """Whether a process may have a view of its own of the file system here."""
    return (
        bool(shutil.which("unshare"))
        and not subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode
    )


@contextmanager
def node_without(there: Any, hidden: Path, cache: Path) -> Iterator[None]:
    """A node of one CPU that sees an empty folder in the place of ``hidden``."""
    ray = Path(sys.executable).with_name("ray")
    start = (
        f"mount -t tmpfs none '{hidden}' && exec '{ray}' start --address={there.address} "
        f"--num-cpus=1 --num-gpus=0 --object-store-memory={STORE_BYTES} --block"
    )
    before = len(alive(there))
    process = subprocess.Popen(
        ["unshare", "-m", "sh", "-c", start],
        env=os.environ | {"XDG_CACHE_HOME": str(cache), "RAY_USAGE_STATS_ENABLED": "0"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 120
        while len(alive(there)) == before:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield
    finally:
        children = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        process.wait(60)
        for child in psutil.wait_procs(children, timeout=20)[1]:
            with suppress(psutil.NoSuchProcess):  # it may end just now
                child.kill()


def alive(there: Any) -> set[str]:
    """The names of the nodes that are alive."""
    return set(there.global_state._live_node_ids())
