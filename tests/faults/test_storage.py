"""Databases that are locked or die, a full disk, and an artifact store that cannot be written."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.faults.conftest import MakeLab, Undisturbed
from tests.faults.harness.forks import await_that
from tests.faults.harness.lab import Lab, assert_same
from tests.faults.test_driver_points import ONE_TRIAL
from tests.postgres import Postgres

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Holds a SQLite database for itself, so that nobody reads or writes it."""
    with closing(sqlite3.connect(database, timeout=60, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield
        connection.execute("ROLLBACK")


@pytest.mark.parametrize("seconds", [2.0, pytest.param(20.0, marks=pytest.mark.slow)])
def test_training_goes_on_while_mlflows_database_is_locked(
    seconds: float, make_lab: MakeLab, undisturbed: Undisturbed
) -> None:
    lab = make_lab()
    lab.misbehave(sleep=0.1)
    command = lab.start()
    await_that(lambda: lab.epochs() >= 1, "an epoch")
    with locked(lab.study.store / "mlflow.db"):
        before = lab.epochs()
        await_that(lambda: lab.epochs() >= before + 4, "epochs of two runs", timeout=60)
        _outlast(lab, seconds)
    assert command.wait() == 0, command.output
    found = lab.final()
    assert_same(undisturbed(), found)


@pytest.mark.parametrize("seconds", [2.0, pytest.param(20.0, marks=pytest.mark.slow)])
def test_the_study_waits_while_optunas_database_is_locked(
    seconds: float, make_lab: MakeLab, undisturbed: Undisturbed
) -> None:
    lab = make_lab()
    lab.misbehave(sleep=0.1)
    command = lab.start()
    await_that(lambda: lab.epochs() >= 1, "an epoch")
    with locked(lab.study.paths.optuna):
        _outlast(lab, seconds)
    assert command.wait() == 0, command.output
    found = lab.final()
    assert_same(undisturbed(), found)


def _outlast(lab: Lab, seconds: float) -> None:
    """Waits for ``seconds``: a lock has no other end than its time."""
    import time

    time.sleep(seconds)


@contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    """A file system of its own in ``folder``. Skips the test if this process may not mount one."""
    folder.mkdir(parents=True, exist_ok=True)
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", ",".join(options) or "mode=755", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        pytest.skip(f"no file system may be mounted here: {made.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def _fill(ballast: Path, left: int) -> None:
    """Takes all space of a file system but ``left`` bytes, or all where the study is quicker."""
    found = os.statvfs(ballast.parent)
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        os.posix_fallocate(file.fileno(), 0, max(1, found.f_bavail * found.f_frsize - left))


@pytest.mark.parametrize(
    "left",
    [20_000, 700_000, *(pytest.param(n, marks=pytest.mark.slow) for n in (200_000, 1_500_000))],
)
def test_a_full_disk_stops_the_study_cleanly_and_the_same_command_goes_on(
    left: int, make_lab: MakeLab, undisturbed: Undisturbed
) -> None:
    """With so many bytes left during a run, another file is the first that does not fit."""
    lab = make_lab(**ONE_TRIAL)
    files = {path.name: path.read_bytes() for path in lab.study.store.iterdir()}
    with mounted(lab.study.store, "size=256m"):
        for name, content in files.items():
            (lab.study.store / name).write_bytes(content)
        lab.misbehave(sleep=0.5)
        command = lab.start()
        await_that(lambda: lab.epochs() >= 1, "an epoch")
        ballast = lab.study.store / "ballast"
        _fill(ballast, left)
        command.wait()
        assert "Traceback" not in command.output, command.output
        ballast.unlink()
        lab.run()
        found = lab.final()
        lab.close()
    whole = undisturbed(**ONE_TRIAL)
    for state in (found, whole):  # the study has ended twice, and MLflow keeps both summaries
        del state["mlflow"]["runs"]["tiny/-/study"]["metrics"]
    assert_same(whole, found)


@pytest.mark.slow
def test_artifacts_that_cannot_be_written_are_made_up_for(
    make_lab: MakeLab, undisturbed: Undisturbed
) -> None:
    lab = make_lab(**ONE_TRIAL)
    artifacts = lab.study.paths.artifacts
    with mounted(artifacts):
        subprocess.run(["mount", "-o", "remount,ro", str(artifacts)], check=True)
        command = lab.start()
        assert command.wait() == 0, command.output
        assert "Traceback" not in command.output, command.output
        subprocess.run(["mount", "-o", "remount,rw", str(artifacts)], check=True)
        lab.run()
        found = lab.final()
        lab.close()
    assert_same(undisturbed(**ONE_TRIAL), found)


def test_postgres_that_dies_in_mid_study_costs_nothing_but_time(
    postgres: Postgres, make_lab: MakeLab, undisturbed: Undisturbed
) -> None:
    lab = make_lab(storage=postgres.database("faults"))
    lab.misbehave(sleep=0.1)
    command = lab.start()
    await_that(lambda: lab.epochs() >= 2, "a run")
    postgres.kill()
    await_that(lambda: "trying again" in command.output, "the driver's note")
    postgres.start()
    assert command.wait() == 0, command.output
    found = lab.final()
    assert_same(undisturbed(), found, "study.storage", "/storage")
