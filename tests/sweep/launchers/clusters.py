"""Ray clusters of several nodes on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

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
            made.shutdown()


def add_node(made: Any, **resources: Any) -> Any:
    """A further node. Returns it, for ``made.remove_node``."""
    return made.add_node(object_store_memory=STORE_BYTES, **{"num_cpus": 1, **resources})
