"""The seam between the driver and whatever runs its trials."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Job:
    """One run, with everything a worker needs to know. JSON throughout."""

    config: dict[str, Any]
    """A dumped :class:`uvtex.config.TrainConfig`."""
    data: str
    run_dir: str
    resume: bool
    """Go on from the last checkpoint in ``run_dir``."""
    grids: int
    """Sample grids to draw if the run comes to its last epoch unstopped."""


@dataclass(frozen=True)
class Started:
    """The worker took the job."""

    slot: str
    pid: int


@dataclass(frozen=True)
class EpochEnded:
    """An epoch is safely on disk; the worker waits for :meth:`Launcher.answer`."""

    slot: str
    report: dict[str, Any]
    """An ``EpochReport`` as JSON."""


@dataclass(frozen=True)
class Ended:
    """The run came to its end, or was stopped as it was told to. The slot is free."""

    slot: str


@dataclass(frozen=True)
class Failed:
    """The run raised; the worker lives and the slot is free. The traceback is in the log."""

    slot: str
    message: str


@dataclass(frozen=True)
class Died:
    """The worker is gone in the middle of a run. The slot is free, with a new worker to come."""

    slot: str
    message: str


Event = Started | EpochEnded | Ended | Failed | Died


class Launcher(ABC):
    """Runs jobs in slots, at most one a slot, and says what became of them.

    Invariants that every implementation keeps, and the driver relies on:

    - After ``start``, a slot is busy until ``wait`` returned its ``Ended``, ``Failed`` or ``Died``;
      exactly one of these ends every job, however the worker goes.
    - A slot's events come in the order they happened: ``Started`` once, then ``EpochEnded`` by
      rising epoch. There is no order between slots.
    - After each ``EpochEnded`` the worker does nothing until ``answer``, so that what happens next
      depends on the driver's word alone and not on who is faster. When ``wait`` returns the event,
      the epoch's line and checkpoint are on disk.
    - A worker ends itself, within a second, when its driver is gone, so that a trial directory
      never has two writers.
    - Ctrl-C in the driver's terminal does not reach workers.
    """

    @property
    @abstractmethod
    def slots(self) -> Sequence[str]:
        """Names of all slots; the same for the launcher's whole life."""

    @abstractmethod
    def start(self, slot: str, job: Job) -> None:
        """Gives an idle slot a job; returns at once."""

    @abstractmethod
    def answer(self, slot: str, go_on: bool) -> None:
        """Lets a slot that reported an epoch go on, or end its run there. A dead worker's slot
        takes the answer without complaint; its ``Died`` is on the way."""

    @abstractmethod
    def wait(self, timeout: float) -> list[Event]:
        """The events since the last call, waiting up to ``timeout`` seconds for the first."""

    @abstractmethod
    def close(self) -> None:
        """Ends every worker at once, busy or not. Idempotent; what is on disk stays whole."""
