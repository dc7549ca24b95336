"""Kills of a running study at random moments, all of them drawn from a seed."""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import suppress
from typing import Literal

from tests.faults.harness.forks import Command
from tests.faults.harness.lab import Lab

Victim = Literal["worker", "driver", "both"]
POLL = 0.02
"""Seconds between two looks at a study."""


def kill_often(lab: Lab, victim: Victim, kills: int, seed: int) -> int:
    """Kills the victim of a study ``kills`` times, and runs the command again where it ended.

    A kill comes at a random moment of the first epoch since the last kill, or of the second. So the
    study makes progress, and the moments fall into all that a driver does between two epochs.

    Returns:
        The number of kills that met a living process. The study has ended then.
    """
    rng = random.Random(f"{victim}/{seed}")
    command, done = lab.start(), 0
    while done < kills:
        _until_epochs(lab, command, lab.epochs() + rng.choice((0, 1)))
        _wait(command, rng.uniform(0, 1))
        if not command.running:
            break
        done += _kill(command, victim)
        if not command.running:
            command.kill()  # and awaits its workers
            command = lab.start()
    assert command.wait() == 0, command.output
    return done


def _kill(command: Command, victim: Victim) -> bool:
    """Whether there was a process to kill."""
    workers = command.workers()
    if victim == "worker" and not workers:
        return False
    for pid in workers if victim != "driver" else []:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    if victim != "worker":
        command.signal(signal.SIGKILL)
        command.wait()
    return True


def _until_epochs(lab: Lab, command: Command, goal: int) -> None:
    while command.running and (lab.epochs() < goal or not command.workers()):
        time.sleep(POLL)


def _wait(command: Command, seconds: float) -> None:
    end = time.monotonic() + seconds
    while command.running and time.monotonic() < end:
        time.sleep(POLL)
