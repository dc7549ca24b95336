"""A folder with a tiny study in it, and the commands that are run on it."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sweep.study.config import StudyConfig
from sweep.study.file import load
from tests.faults.harness.forks import Command, call
from tests.faults.harness.order import Order
from tests.faults.harness.runner import RUNNER
from tests.faults.harness.snapshot import difference, snapshot
from tests.faults.harness.tiny_study import misbehave, write_study
from uvtex.runs.epochs import read_epochs


@dataclass(frozen=True)
class Supplies:
    """What all labs share: made once, and never changed."""

    data: Path
    exported: Path


@dataclass
class Lab:
    """One study, from its first command to its last."""

    folder: Path
    supplies: Supplies
    changes: dict[str, Any] = field(default_factory=dict)
    """Settings of the study."""
    order: dict[str, Any] = field(default_factory=dict)
    """Fields of every :class:`Order`."""
    commands: list[Command] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.file = write_study(self.folder, self.supplies.data, **self.changes)
        self.study: StudyConfig = load(self.file)

    def use(self, **changes: Any) -> None:
        """Changes settings of the study before its first command."""
        self.changes |= changes
        self.file = write_study(self.folder, self.supplies.data, **self.changes)
        self.study = load(self.file)

    def start(self, *arguments: str, **order: Any) -> Command:
        """Starts a command; by default ``sweep run`` on the study."""
        values = {"runner": RUNNER, "exported": self.supplies.exported, **self.order, **order}
        given = arguments or ("run", str(self.file))
        command = Command(Order(folder=self.folder, arguments=given, **values))
        self.commands.append(command)
        return command

    def run(self, *arguments: str, code: int = 0, **order: Any) -> str:
        """Runs a command to its end, and returns what all commands so far have printed."""
        command = self.start(*arguments, **order)
        assert command.wait() == code, command.output
        return command.output

    def misbehave(self, **faults: Any) -> None:
        misbehave(self.study, **faults)

    @property
    def reached(self) -> bool:
        """Whether a process has died at its fault point."""
        return (self.folder / "reached").exists()

    def epochs(self) -> int:
        """Number of epochs on disk, of all runs."""
        found = self.study.paths.folder.glob("trials/*/*")
        return sum(len(read_epochs(run_dir)) for run_dir in found)

    def final(self) -> dict[str, Any]:
        """The snapshot of a study in which nothing runs and ``sweep doctor`` finds nothing."""
        doctor = self.start("doctor", self.study.name, "--store", str(self.study.store))
        assert doctor.wait() == 0, doctor.output
        found = self.snapshot()
        assert_at_rest(found)
        return found

    def snapshot(self, backend: str | None = None) -> dict[str, Any]:
        found: dict[str, Any] = call(snapshot, self.study, backend)
        return found

    def close(self) -> None:
        """Ends what still runs."""
        for command in self.commands:
            command.signal(18)  # a stopped process does not end
            command.kill()


def assert_same(undisturbed: dict[str, Any], found: dict[str, Any], *but: str) -> None:
    """Both snapshots are the same, but for places that end with one of ``but``."""
    lines = [
        line
        for line in difference(undisturbed, found)
        if not line.partition(": ")[0].endswith(tuple(but) or "\0")
    ]
    assert not lines, "\n".join(lines)


def assert_at_rest(found: dict[str, Any]) -> None:
    """Nothing runs, nothing is there twice, and nothing is half-written."""
    states = {run["state"] for run in found["records"].values()}
    assert not states & {"running", "interrupted"}, states
    assert "RUNNING" not in {trial["state"] for trial in found["optuna"].values()}
    runs = found["mlflow"]["runs"]
    assert "RUNNING" not in {run["status"] for run in runs.values()}
    twice = [name for name in [*runs, *found["mlflow"]["models"]] if "#" in name]
    assert not twice, twice
    half = [name for name in found["files"] if name.endswith(".part")]
    assert not half, half
    assert os.path.basename("driver.json") not in found["files"]
