"""Kills of a running study at random moments, all of them drawn from a seed."""

from __future__ import annotations

import os
import random
import signal
import time
from contextlib import suppress
from typing import Literal

from tests.faults.harness.lab import Lab

Victim = Literal["worker", "driver", "both"]
POLL = 0.02
"""Seconds between two looks at a study."""


class Killer:
    """Kills the victim of a study many times, and runs the command again where it ended.

    A kill comes at a random moment of the first epoch since the last kill, or of the second. So the
    study makes progress, and the moments fall into all that a driver does between two epochs.
    """

    def __init__(self, lab: Lab, victim: Victim, seed: int) -> None:
        self._lab, self._victim = lab, victim
        self._rng = random.Random(f"{victim}/{seed}")
        self._command = lab.start()
        self._waiting: list[tuple[float, int]] = []
        self.done = 0
        """Number of kills that met a living process."""
        self.recoveries: list[float] = []
        """Seconds from a kill until one more epoch was on disk than there were then. A kill after
        the last epoch has none."""

    def kill(self, times: int) -> int:
        """Kills until the study has ended or ``times`` is reached, and lets it end.

        Returns:
            The number of kills that met a living process.
        """
        while self.done < times:
            self._until_epochs(self._lab.epochs() + self._rng.choice((0, 1)))
            self._pass(self._rng.uniform(0, 1))
            if self._command.running and self._kill():
                self.done += 1
                self._waiting.append((time.monotonic(), self._lab.epochs()))
            if self._command.running:
                continue
            if self._command.wait() != -signal.SIGKILL:  # the study has ended
                break
            self._command.kill()  # awaits its workers
            self._command = self._lab.start()
        while self._waiting and self._command.running:
            self._look()
        assert self._command.wait() == 0, self._command.output
        return self.done

    def _kill(self) -> bool:
        """Whether there was a process to kill."""
        workers = self._command.workers()
        if self._victim == "worker" and not workers:
            return False
        for pid in workers if self._victim != "driver" else []:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self._victim != "worker":
            self._command.signal(signal.SIGKILL)
            return self._command.wait() == -signal.SIGKILL
        return True

    def _until_epochs(self, goal: int) -> None:
        while self._command.running and (self._look() < goal or not self._command.workers()):
            pass

    def _pass(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while self._command.running and time.monotonic() < end:
            self._look()

    def _look(self) -> int:
        """The number of epochs on disk, after a pause."""
        time.sleep(POLL)
        epochs, now = self._lab.epochs(), time.monotonic()
        self.recoveries += [now - at for at, before in self._waiting if epochs > before]
        self._waiting = [one for one in self._waiting if epochs <= one[1]]
        return epochs
