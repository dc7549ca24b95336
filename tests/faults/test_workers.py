"""Workers that hang, run out of memory, print without end or return no numbers; and two drivers."""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import pytest

from sweep.study.folder import WORKER_LOG, read_record
from tests.faults.conftest import MakeLab, Undisturbed
from tests.faults.harness.forks import await_that
from tests.faults.harness.lab import Lab, assert_same
from tests.faults.test_driver_points import ONE_TRIAL

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

IMPATIENT: dict[str, Any] = {
    **ONE_TRIAL,
    "retries": 8,
    "hang": {"factor": 2, "least_seconds": 4, "first_epoch_seconds": 30},
}
"""Retries for a machine that is so busy that a worker seems to hang."""


def test_a_worker_that_is_stopped_in_a_run_is_replaced(
    make_lab: MakeLab, undisturbed: Undisturbed
) -> None:
    lab = make_lab(**IMPATIENT)
    lab.misbehave(sleep=0.2)
    command = lab.start()
    await_that(lambda: lab.epochs() >= 1 and bool(command.workers()), "an epoch")
    for pid in command.workers():
        os.kill(pid, signal.SIGSTOP)
    assert command.wait() == 0, command.output
    found = lab.final()
    assert_same(undisturbed(**IMPATIENT), found, "/retries", "/deaths")
    assert not command.workers()


def test_an_epoch_that_never_ends_is_made_again(
    make_lab: MakeLab, undisturbed: Undisturbed
) -> None:
    lab = make_lab(**IMPATIENT)
    lab.misbehave(hang={"0000/probe": 2})
    lab.run()
    found = lab.final()
    assert_same(undisturbed(**IMPATIENT), found, "/retries", "/deaths")
    assert found["records"]["0000/probe"]["retries"] >= 1


@pytest.mark.parametrize("fault", ["memory", "die"])
@pytest.mark.parametrize(
    "at", [{"0000/probe": 1}, pytest.param({"0000/full": 2}, marks=pytest.mark.slow)]
)
def test_a_worker_without_memory_is_replaced(
    fault: str, at: dict[str, int], make_lab: MakeLab, undisturbed: Undisturbed
) -> None:
    """``memory``: an allocation fails. ``die``: the system kills the process, as Linux does."""
    lab = make_lab(**ONE_TRIAL)
    lab.misbehave(**{fault: at})
    lab.run()
    found = lab.final()
    assert_same(undisturbed(**ONE_TRIAL), found, "/retries", "/deaths")
    assert found["records"][next(iter(at))]["retries"] == 1


def test_a_run_that_kills_every_worker_fails_and_the_others_are_the_same(
    make_lab: MakeLab, undisturbed: Undisturbed
) -> None:
    lab = make_lab(trials=2, retries=1, search={"queue": ["baseline", "good"]})
    lab.misbehave(die={"0000/probe": 2}, always=True, print=5000)
    lab.run()
    found, whole = lab.final(), undisturbed(trials=2, search={"queue": ["baseline", "good"]})
    failed = found["records"]["0000/probe"]
    assert (failed["state"], failed["retries"], failed["deaths"]) == ("failed", 1, 2)
    assert "killed by SIGKILL" in failed["reason"]
    assert failed["output"]
    assert found["mlflow"]["runs"]["tiny/0/probe"]["status"] == "FAILED"
    assert found["optuna"]["0000"]["state"] == "FAIL"
    for run in ("0001/probe", "0001/full"):
        assert found["epochs"][run] == whole["epochs"][run]
        assert found["records"][run] == whole["records"][run]


def test_figures_that_are_no_numbers_fail_their_run_alone(
    make_lab: MakeLab, undisturbed: Undisturbed
) -> None:
    lab = make_lab(trials=2, search={"queue": ["baseline", "good"]})
    lab.misbehave(nan={"0000/probe": 2})
    lab.run()
    found, whole = lab.final(), undisturbed(trials=2, search={"queue": ["baseline", "good"]})
    assert found["records"]["0000/probe"]["state"] == "failed"
    assert "not a number at epoch 2" in found["records"]["0000/probe"]["reason"]
    for run in ("0001/probe", "0001/full"):
        assert found["epochs"][run] == whole["epochs"][run]
    assert found["mlflow"]["aliases"] == whole["mlflow"]["aliases"]


def test_a_megabyte_of_output_an_epoch_disturbs_nothing(
    make_lab: MakeLab, undisturbed: Undisturbed
) -> None:
    """Among it are lines that look like events. The logs keep their bounds."""
    lab = make_lab(**ONE_TRIAL)
    lab.misbehave(print=3 << 20)
    lab.run()
    found = lab.final()
    assert_same(undisturbed(**ONE_TRIAL), found)
    log = lab.study.paths.run_dir(0, "full") / WORKER_LOG
    assert log.stat().st_size <= 5 << 20


def test_of_two_drivers_in_the_same_second_one_refuses(
    make_lab: MakeLab, undisturbed: Undisturbed
) -> None:
    lab = make_lab(**ONE_TRIAL)
    codes = {command.pid: command.wait() for command in [lab.start(), lab.start()]}
    assert sorted(codes.values()) == [0, 1]
    winner = next(pid for pid, code in codes.items() if code == 0)
    assert f"is being driven by process {winner} on " in lab.commands[0].output
    found = lab.final()
    assert_same(undisturbed(**ONE_TRIAL), found)


def test_a_clock_that_is_set_back_an_hour_changes_nothing(
    make_lab: MakeLab, undisturbed: Undisturbed
) -> None:
    lab = make_lab(**ONE_TRIAL)
    lab.misbehave(sleep=0.2)
    first = lab.start()
    await_that(lambda: lab.epochs() >= 1, "an epoch")
    first.kill()
    assert lab.epochs() < 4
    lab.run(clock=-3600)
    found = lab.final()
    assert_same(undisturbed(**ONE_TRIAL), found)
    runs = found["mlflow"]["runs"].values()
    assert not any(run["ends before it starts"] for run in runs)
    record = read_record(lab.study.paths.run_dir(0, "probe"))
    assert record.started is not None
    assert record.ended is not None
    assert record.ended >= record.started


def test_a_stopped_worker_of_a_driver_that_died_is_ended(lab: Lab) -> None:
    """It must not wake up beside its successor."""
    lab.misbehave(sleep=0.2)
    first = lab.start()
    await_that(lambda: lab.epochs() >= 1 and bool(first.workers()), "an epoch")
    (stopped,) = first.workers()
    os.kill(stopped, signal.SIGSTOP)
    first.signal(signal.SIGKILL)
    assert first.wait() == -signal.SIGKILL
    lab.misbehave()
    lab.run()
    assert stopped not in lab.commands[-1].workers()
    lab.final()
