"""Workers on the nodes of a Ray cluster keep the launchers' contract, whatever dies."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from sweep.driving import session
from sweep.driving.display import ProgressDisplay
from sweep.driving.driver import Driver
from sweep.launchers.base import Ended, Launcher
from sweep.launchers.ray_cluster.connection import connect
from sweep.launchers.ray_cluster.launcher import RayLauncher
from sweep.launchers.sole_writer import OWNER
from sweep.study.config import StudyConfig
from sweep.study.data_identity import inventory
from sweep.study.folder import TrialRecord, records
from sweep.study.launcher_settings import LauncherSettings
from tests.sweep.fakes import RUNNER, InlineLauncher, NoMirror, inject_faults, study
from tests.sweep.launchers.clusters import add_node, cluster, hides_folders, node_of, node_without
from tests.sweep.launchers.contract import MakeLauncher, WorkerContract, events, is_end, job
from uvtex.errors import UvtexError
from uvtex.runs.epochs import EpochReport, read_epochs
from uvtex.runs.test_figures import read_test_figures

pytest.importorskip("ray")

ROOT = Path(__file__).parents[3]


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


# -- what dies


class Lines(list[str]):
    """What a launcher says to people."""

    def __call__(self, line: str) -> None:
        self.append(line)


def make(there: Any, folder: Path, data: Path, say: Lines, **settings: Any) -> RayLauncher:
    asked = LauncherSettings(kind="ray", address=there.address, **settings)
    return RayLauncher(asked, None, "cpu", folder, data, (), say, RUNNER)


def worker_in(run_dir: Path) -> psutil.Process:
    """The worker that trains into a trial directory."""
    return psutil.Process(json.loads((run_dir / OWNER).read_text())["pid"])


class Faults(ProgressDisplay):
    """Does something to the cluster when a run has ended an epoch. Keeps the notes."""

    def __init__(self, config: StudyConfig, faults: dict[tuple[int, int], Callable[..., None]]):
        self._config, self._faults = config, faults
        self.notes: list[str] = []

    def epoch(self, record: TrialRecord, report: EpochReport) -> None:
        fault = self._faults.pop((record.trial, report.epoch), None)
        if fault is not None:
            fault(worker_in(self._config.paths.run_dir(*record.key)))

    def note(self, text: str) -> None:
        self.notes.append(text)

    @property
    def left(self) -> int:
        """How many faults have not happened."""
        return len(self._faults)


def outcome(config: StudyConfig) -> dict[str, tuple[object, ...]]:
    """All that a study found."""
    found = {}
    for record in records(config.paths.folder):
        epochs = [(r.epoch, r.val) for r in read_epochs(config.paths.run_dir(*record.key))]
        found[record.label] = (record.state, record.params, record.best_epoch, epochs)
    return found


WAITING = "no worker has a place in the cluster now; waiting for one"
QUEUED = {"trials": 3, "pruning": {"enabled": False}}  # which run is first changes nothing


def test_a_study_survives_its_workers_its_actors_and_its_nodes(
    tmp_path: Path, tiny_set: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Each is killed for good. In the end only a node is left that joined in the middle."""
    undisturbed = study(tmp_path / "calm", **QUEUED)
    driver = Driver(undisturbed, InlineLauncher(), NoMirror(undisturbed), ProgressDisplay())
    assert driver.run() == "done"

    config = study(tmp_path / "ray", **QUEUED)
    joined: list[int] = []

    def kill_actor(worker: psutil.Process) -> None:
        worker.parent().kill()  # type: ignore[union-attr]
        assert not psutil.wait_procs([worker], timeout=10)[1]

    def lose_both_nodes(worker: psutil.Process) -> None:
        own, (other,) = node_of(there, worker), [*there.worker_nodes - {node_of(there, worker)}]
        there.remove_node(own, allow_graceful=False)
        there.remove_node(other, allow_graceful=False)
        assert not psutil.wait_procs([worker], timeout=10)[1]

    def joins(worker: psutil.Process) -> None:
        assert worker.parent().parent().pid in joined  # type: ignore[union-attr]

    class Rescued(Lines):
        """A node joins when the launcher says that it waits for one."""

        def __call__(self, line: str) -> None:
            super().__call__(line)
            if line == WAITING and not joined:
                joined.append(add_node(there).all_processes["raylet"][0].process.pid)

    with cluster(nodes=2) as there:
        view = Faults(
            config,
            {
                (0, 2): lambda worker: worker.kill(),
                (1, 3): kill_actor,
                (2, 2): lose_both_nodes,
                (2, 6): joins,
            },
        )
        said = Rescued()
        launcher = make(there, config.paths.folder, tiny_set, said)
        assert Driver(config, launcher, NoMirror(config), view).run() == "done"
    assert not view.left
    assert outcome(config) == outcome(undisturbed)
    notes = " ".join(view.notes)
    assert "worker killed by SIGKILL, perhaps for lack of memory; the run continues" in notes
    assert "worker ended with its Ray actor on " in notes
    assert "cannot be reached on " in notes or "lost its node " in notes
    assert WAITING in said
    printed = capfd.readouterr()
    assert "raylet" not in printed.out + printed.err


@pytest.mark.slow
def test_workers_of_a_killed_driver_end(tmp_path: Path, tiny_set: Path) -> None:
    config = study(tmp_path, trials=1)
    inject_faults(config, sleep=0.3)
    code = f"""
from pathlib import Path
from tests.sweep.launchers.test_ray import *
config = study(Path({str(tmp_path)!r}), trials=1)
there = type("Cluster", (), {{"address": sys.argv[1]}})
launcher = make(there, config.paths.folder, Path({str(tiny_set)!r}), Lines())
Driver(config, launcher, NoMirror(config), ProgressDisplay()).run()
"""
    run_dir = config.paths.run_dir(0, "probe")
    with cluster() as there:
        driver = subprocess.Popen([sys.executable, "-c", code, there.address], cwd=ROOT)
        try:
            deadline = time.monotonic() + 120
            while len(read_epochs(run_dir)) < 2:
                assert driver.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
            worker = worker_in(run_dir)
            actor = worker.parent()
        finally:
            driver.kill()
            driver.wait()
        assert not psutil.wait_procs([worker, actor], timeout=15)[1]
        assert len(read_epochs(run_dir)) < 6
        said = Lines()
        launcher = make(there, config.paths.folder, tiny_set, said)  # its resources are free again
        assert Driver(config, launcher, NoMirror(config), ProgressDisplay()).run() == "done"
    assert [r.epoch for r in read_epochs(run_dir)] == list(range(1, 7))


# -- what nodes see


@pytest.mark.slow
@pytest.mark.skipif(not hides_folders(), reason="no process may have mounts of its own here")
def test_a_node_without_the_data_set_gets_a_copy_and_one_without_the_study_is_refused(
    tmp_path: Path, tiny_set: Path
) -> None:
    data, cache = tmp_path / "data", tmp_path / "cache"
    shutil.copytree(tiny_set, data)
    config = study(tmp_path / "study")
    config.paths.folder.mkdir(parents=True)
    with cluster(nodes=0) as there:
        with node_without(there, data, cache):
            said = Lines()
            launcher = make(there, config.paths.folder, data, said)
            try:
                launcher.start(launcher.slots[0], job(config))
                assert isinstance(events(launcher, is_end)[-1], Ended)
            finally:
                launcher.close()
            (copy,) = (cache / "uvtex/data-sets").iterdir()
            assert inventory(copy) == inventory(data)
            assert [line for line in said if "gets the data set: 0." in line]
            again = Lines()
            make(there, config.paths.folder, data, again).close()
            assert again == []
        with (
            node_without(there, config.paths.folder, cache),
            pytest.raises(UvtexError) as refused,
        ):
            make(there, config.paths.folder, data, Lines())
    assert f"cannot read the study's folder {config.paths.folder}" in str(refused.value)
    assert "; keep it on a file system that all nodes share, under the same path" in str(
        refused.value
    )


# -- what cannot start


def test_a_demand_that_no_node_meets_is_refused_with_what_there_is(
    two_nodes: Any, tmp_path: Path, tiny_set: Path
) -> None:
    settings = LauncherSettings(
        kind="ray", address=two_nodes.address, num_gpus=0.5, wait_seconds=0.2
    )
    with pytest.raises(UvtexError) as error:
        RayLauncher(settings, None, "auto", tmp_path, tiny_set, (), print, RUNNER)
    assert str(error.value).startswith(
        "launcher: no node of the Ray cluster has 1 CPU and 0.5 GPU, which each worker needs; the "
        "cluster has "
    )
    assert ": 8 CPU, 0 GPU; " in str(error.value)


@pytest.mark.slow
def test_resources_that_others_hold_are_waited_for_and_then_said(
    two_nodes: Any, tmp_path: Path, tiny_set: Path
) -> None:
    first = make(two_nodes, tmp_path, tiny_set, Lines(), num_cpus=8)
    try:
        assert first.slots
        settings = LauncherSettings(
            kind="ray", address=two_nodes.address, num_cpus=8, wait_seconds=0.2
        )
        while len(first.slots) < 2:
            first.wait(0.1)
        with pytest.raises(UvtexError, match=r"had no room for a worker \(8 CPU\) within 0.2 s"):
            RayLauncher(settings, None, "cpu", tmp_path, tiny_set, (), print, RUNNER)
    finally:
        first.close()


# -- whole studies


@pytest.mark.slow
def test_the_same_study_file_gives_the_same_figures_on_a_cluster(
    tmp_path: Path, tiny_set: Path, two_nodes: Any
) -> None:
    found = []
    for launcher in ("local", {"kind": "ray", "address": two_nodes.address}):
        folder = tmp_path / str(len(found))
        config = study(
            folder,
            data={"path": str(tiny_set)},
            train={
                "preset": "atlas", "image_size": 32, "width": 0.1, "device": "cpu",
                "val_split": 0.34, "test_split": 0.17,
            },
            stages={"probe": 2, "full": 2},
            thresholds=[{"metric": "ssim_uv", "at_least": 0.01}],
            trials=1, workers=1, launcher=launcher, search={"queue": ["good"]},
        )  # fmt: skip
        ended, summary = session.run(config, io.StringIO())
        assert ended == "done"
        runs = [config.paths.run_dir(*record.key) for record in records(config.paths.folder)]
        tested = [read_test_figures(run) for run in runs]
        found.append((outcome(config), [t and t.metrics for t in tested], summary.probes))
        logs = [(run / "worker.log").read_text() for run in runs]
        assert all("epoch 2: " in log for log in logs)
    assert found[0] == found[1]
    assert len(found[0][0]) >= 2
