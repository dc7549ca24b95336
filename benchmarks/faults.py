"""Kills workers and drivers of small studies hundreds of times, and counts what was lost.

    python -m benchmarks.faults --kills 300

Each study is killed ``--each`` times at random moments: its worker, its driver, or both at once.
Then it runs to its end by the same command, and is compared with a study that nothing disturbed:
records, epochs, Optuna's trials, MLflow's runs and files, the registry, and every file on disk.
"""

from __future__ import annotations

import itertools
import json
import shutil
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from tests.faults.conftest import export_once
from tests.faults.harness.forks import call
from tests.faults.harness.kills import Killer, Victim
from tests.faults.harness.lab import Lab, Supplies
from tests.faults.harness.snapshot import difference
from tests.sets import make_set
from uvtex.console import CleanErrorCommand, print_table

STUDY: dict[str, Any] = {"trials": 6, "stages": {"probe": 4, "full": 5}}
EPOCH_SECONDS = 0.1
VICTIMS: tuple[Victim, ...] = ("worker", "driver", "both")
EXPECTED = ("/retries", "/deaths")
"""What a fault shows, and is no loss."""


@dataclass
class Tally:
    """What the faults of one kind did."""

    victim: Victim
    studies: int = 0
    faults: int = 0
    lost: list[str] = field(default_factory=list)
    """Values that the undisturbed study has, and a disturbed one has not."""
    twice: list[str] = field(default_factory=list)
    """Runs, metrics, models or versions that are there twice, or that nobody asked for."""
    changed: list[str] = field(default_factory=list)
    recoveries: list[float] = field(default_factory=list)
    """Seconds from a kill to the next epoch on disk."""

    def add(self, killer: Killer, lines: list[str]) -> None:
        self.studies += 1
        self.faults += killer.done
        self.recoveries += killer.recoveries
        for line in lines:
            place, _, what = line.partition(": ")
            if place.endswith(EXPECTED) and self.victim == "worker":
                continue
            kind = "lost" if what.startswith("is missing") else "changed"
            getattr(self, "twice" if what.startswith("is new") else kind).append(line)

    def row(self, usual: float) -> list[str]:
        times = sorted(self.recoveries) or [0.0]
        return [
            self.victim,
            str(self.studies),
            str(self.faults),
            str(len(self.lost)),
            str(len(self.twice)),
            str(len(self.changed)),
            f"{statistics.median(times) - usual:.1f}",
            f"{times[-1] - usual:.1f}",
        ]


@click.command(cls=CleanErrorCommand)
@click.option("--kills", type=int, default=300, help="Number of kills.")
@click.option("--each", type=int, default=20, help="Number of kills of one study.")
@click.option("--minutes", type=float, default=60.0, help="No study begins after so many minutes.")
@click.option("--seed", type=int, default=0, help="Random seed of the moments.")
def main(kills: int, each: int, minutes: float, seed: int) -> None:
    """Kill studies, and compare each with one that nothing disturbed.

    The exit code is 1 if anything differs.

    \b
    Example:
      python -m benchmarks.faults --kills 300
    """
    end = time.monotonic() + 60 * minutes
    tallies = {victim: Tally(victim) for victim in VICTIMS}
    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    try:
        data = make_set(folder / "set", liveries=6, cameras=2, size=32)
        call(export_once, folder / "model")
        supplies = Supplies(data, folder / "model")
        whole, usual = _undisturbed(folder / "whole", supplies)
        number = 0
        while sum(t.faults for t in tallies.values()) < kills and time.monotonic() < end:
            victim = VICTIMS[number % len(VICTIMS)]
            lab = Lab(folder / f"study{number}", supplies, dict(STUDY))
            lab.misbehave(sleep=EPOCH_SECONDS)
            killer = Killer(lab, victim, seed + number)
            try:
                killer.kill(each)
                lines = difference(whole, lab.final())
            finally:
                lab.close()
            tallies[victim].add(killer, lines)
            print(f"study {number}: {killer.done} kills of {victim}: {_said(lines)}", flush=True)
            shutil.rmtree(lab.folder)
            number += 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"time between two epochs of a run, undisturbed: {usual:.1f} s (median)")
    header = ["killed", "studies", "faults", "lost", "twice", "changed", "s lost", "s lost at most"]
    print_table(header, [tally.row(usual) for tally in tallies.values()])
    sys.exit(any(t.lost or t.twice or t.changed for t in tallies.values()))


def _undisturbed(folder: Path, supplies: Supplies) -> tuple[dict[str, Any], float]:
    """What an undisturbed study leaves, and the median seconds between two of its epochs."""
    lab = Lab(folder, supplies, dict(STUDY))
    lab.misbehave(sleep=EPOCH_SECONDS)
    command, seen, times = lab.start(), 0, []
    while command.running:
        if (now := lab.epochs()) > seen:
            seen = now
            times.append(time.monotonic())
        time.sleep(0.02)
    assert command.wait() == 0, command.output
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    return lab.final(), statistics.median(gaps)


def _said(lines: list[str]) -> str:
    told = [line for line in lines if not line.partition(": ")[0].endswith(EXPECTED)]
    return "identical" if not told else json.dumps(told[:20], indent=1)


if __name__ == "__main__":
    main()
