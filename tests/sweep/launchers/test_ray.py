"""Workers on the nodes of a Ray cluster keep the launchers' contract, whatever dies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sweep.launchers.base import Launcher
from sweep.launchers.ray_cluster.connection import connect
from sweep.launchers.ray_cluster.launcher import RayLauncher
from sweep.study.launcher_settings import LauncherSettings
from tests.sweep.fakes import RUNNER
from tests.sweep.launchers.clusters import cluster
from tests.sweep.launchers.contract import MakeLauncher, WorkerContract

pytest.importorskip("ray")


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[Any]:
    with cluster(nodes=2, num_cpus=8) as made:
        yield made


class TestRay(WorkerContract):
    @pytest.fixture(scope="class")
    @classmethod
    def launchers(
        cls, two_nodes: Any, tiny_set: Path, tmp_path_factory: pytest.TempPathFactory
    ) -> Iterator[MakeLauncher]:
        made: list[RayLauncher] = []
        settings = LauncherSettings(kind="ray", address=two_nodes.address)
        ray, _ = connect(settings, RUNNER)  # once for all launchers

        def make(slots: int = 1, runner: str = RUNNER) -> Launcher:
            made.append(
                RayLauncher(
                    settings,
                    slots,
                    "cpu",
                    tmp_path_factory.mktemp("study"),
                    tiny_set,
                    runner=runner,
                )
            )
            return made[-1]

        yield make
        for launcher in made:
            launcher.close()
        ray.shutdown()
