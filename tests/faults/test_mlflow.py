"""MLflow's server away, broken or hanging, and MLflow's database lost: all of it is made up for."""

from __future__ import annotations

import copy
import signal
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults.conftest import MakeLab, Undisturbed
from tests.faults.harness.forks import Command, await_that
from tests.faults.harness.lab import Lab, assert_same
from tests.faults.harness.servers import Server, serve_errors, serve_mlflow
from tests.faults.test_driver_points import ONE_TRIAL

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

ADDRESS = "tracking_uri"
"""The end of the places in a snapshot that name the server's port."""


class ServedLab:
    """A study whose MLflow is a server."""

    def __init__(self, make_lab: MakeLab, **changes: Any) -> None:
        self.lab: Lab = make_lab(**changes)
        self.server = Server(self.lab.study.store, serve_mlflow)
        self.lab.use(tracking_uri=self.server.address)

    def started(self, sleep: float = 0.2) -> Command:
        """The study's command after its first epoch."""
        self.lab.misbehave(sleep=sleep)
        command = self.lab.start()
        await_that(lambda: self.lab.epochs() >= 1, "an epoch")
        return command


@pytest.fixture
def served(make_lab: MakeLab) -> Iterator[ServedLab]:
    made = ServedLab(make_lab)
    made.server.start()
    yield made
    made.server.kill()


def assert_complete(found: dict[str, Any], whole: dict[str, Any]) -> None:
    """As with a database in the store, but for the addresses of artifacts and their files."""
    found, whole = copy.deepcopy((found, whole))
    for state in (found, whole):
        del state["mlflow"]["artifacts"]
        for version in state["mlflow"]["versions"].values():
            del version["source"]
    assert_same(whole, found, ADDRESS)


def _await_progress(lab: Lab, command: Command, epochs: int) -> None:
    """Awaits more epochs, which tell that training goes on."""
    goal = lab.epochs() + epochs
    await_that(lambda: lab.epochs() >= goal or not command.running, "training without MLflow", 60)
    assert command.running, command.output


@pytest.mark.slow
@pytest.mark.parametrize("away", [1.0, pytest.param(30.0, marks=pytest.mark.slow)])
def test_a_server_that_is_killed_and_comes_back_gets_everything(
    away: float, served: ServedLab, undisturbed: Undisturbed
) -> None:
    command = served.started()
    served.server.kill()
    _await_progress(served.lab, command, 4)
    time.sleep(away)
    served.server.start()
    assert command.wait() == 0, command.output
    served.lab.run()  # a study that ended before MLflow was back is completed by the same command
    assert_complete(served.lab.final(), undisturbed())


def test_training_goes_on_while_the_server_hangs(
    served: ServedLab, undisturbed: Undisturbed
) -> None:
    command = served.started()
    served.server.signal(signal.SIGSTOP)
    try:
        _await_progress(served.lab, command, 4)
    finally:
        served.server.signal(signal.SIGCONT)
    assert command.wait() == 0, command.output
    served.lab.run()
    assert_complete(served.lab.final(), undisturbed())


@pytest.mark.slow
@pytest.mark.parametrize("broken", [False, True], ids=["absent", "500"])
def test_sync_completes_a_study_that_never_reached_its_server(
    broken: bool, make_lab: MakeLab, undisturbed: Undisturbed
) -> None:
    served = ServedLab(make_lab, **ONE_TRIAL)
    if broken:
        served.server.start(serve_errors)
    command = served.lab.start()
    assert command.wait() == 0, command.output
    assert "MLflow lacks" in command.output
    if broken:
        served.server.kill()
    served.server.start()
    try:
        served.lab.run("sync", "tiny", "--store", str(served.lab.study.store))
        found = served.lab.final()
    finally:
        served.server.kill()
    assert_complete(found, undisturbed(**ONE_TRIAL))


@pytest.mark.parametrize("verb", ["sync", pytest.param("run", marks=pytest.mark.slow)])
def test_a_lost_database_is_made_again(
    verb: str, make_lab: MakeLab, undisturbed: Undisturbed
) -> None:
    lab = make_lab()
    lab.run()
    (lab.study.store / "mlflow.db").unlink()
    if verb == "sync":
        for _ in range(2):
            lab.run("sync", "tiny", "--store", str(lab.study.store))
    else:
        lab.run()
    # The files of the runs that the lost database had are still there, and nobody's.
    lab.run("doctor", "tiny", "--store", str(lab.study.store), "--fix")
    found = lab.final()
    assert_same(undisturbed(), found)
