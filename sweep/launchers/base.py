"""The interface between a study's driver and the processes that train."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Job:
    """One run, with everything that a worker needs to know. All values are JSON."""

    config: dict[str, Any]
    """A dumped :class:`uvtex.config.TrainConfig`."""
    data: str
    """Path of the data set's folder."""
    run_dir: str
    """Path of the trial directory of the run's stage."""
    resume: bool
    """Whether to continue from the last checkpoint in ``run_dir``."""
    grids: int
    """Number of sample grids to draw after the last epoch. A stopped run draws none."""
    device: str | None = None
    """The device as the worker's PyTorch names it; the launcher sets it. The settings keep what the
    user asked for. None: train on the device of the settings."""
    test: bool = False
    """Whether to measure the test side after the last epoch."""


@dataclass(frozen=True)
class EpochEnded:
    """An epoch's report and checkpoint are on disk. The worker waits for an answer."""

    slot: str
    report: dict[str, Any]
    """A :class:`uvtex.runs.epochs.EpochReport` as JSON."""


@dataclass(frozen=True)
class Note:
    """A warning about a run that does not end it."""

    slot: str
    message: str


@dataclass(frozen=True)
class Ended:
    """The run made its last epoch, or was stopped by an answer. The slot is idle."""

    slot: str


@dataclass(frozen=True)
class Failed:
    """The run raised an exception that it would raise again. The worker lives, the slot is idle.

    The traceback is in the run's worker log.
    """

    slot: str
    message: str
    disk_full: bool = False
    """Whether the disk was full. The run goes on from its last checkpoint when there is space."""


@dataclass(frozen=True)
class Died:
    """The worker process ended during a run, did not start, was killed, or is of no more use.

    Of no more use is a worker that ran out of memory, lost its device, or sent what is no event.

    The slot is idle, and its next job gets a new worker; or it was lost with its node. The message
    is a predicate of ``worker``.
    """

    slot: str
    message: str


Event = EpochEnded | Note | Ended | Failed | Died


class Launcher(ABC):
    """Runs jobs in slots, at most one job a slot, and reports events.

    Every implementation keeps these invariants, and the driver relies on them:

    - After ``start``, a slot is busy until ``wait`` returns its ``Ended``, ``Failed`` or ``Died``.
      Exactly one of these three ends every job.
    - The events of one slot come in the order in which they happened, and ``EpochEnded`` events by
      rising epoch. Events of different slots have no order.
    - After each ``EpochEnded`` the worker waits for ``answer``. So the driver alone decides what
      happens next, and no race between processes does. When ``wait`` returns the event, the epoch's
      report and checkpoint are on disk.
    - Neither the working folder nor the environment puts a module or code into a worker. Whatever
      it or its libraries print is never taken for an event.
    - A worker that does not start, sends what is no event, or ends in any way is ``Died``. No
      worker can make ``wait`` hang or raise.
    - A worker ends itself within a second after its driver, or its node's part of the launcher, has
      ended. One that cannot, because it is stopped or hangs, still holds the lock of its trial
      directory. So a trial directory never has two writers.
    - Ctrl-C in the driver's terminal does not reach the workers.
    """

    @property
    @abstractmethod
    def slots(self) -> Sequence[str]:
        """Names of the slots that have a job or can take one.

        Slots of a cluster come and go, in ``wait`` only: a node joins, or is lost with its slots. A
        slot that has a job stays until that job has ended.
        """

    @abstractmethod
    def start(self, slot: str, job: Job) -> None:
        """Gives an idle slot, one of ``slots``, a job. Returns at once."""

    @abstractmethod
    def answer(self, slot: str, go_on: bool) -> None:
        """Answers an ``EpochEnded``: the run continues if ``go_on``, else it ends there.

        The worker may have died since. The answer is then ignored, and ``wait`` returns ``Died``.
        """

    @abstractmethod
    def wait(self, timeout: float) -> list[Event]:
        """The events since the last call. Waits up to ``timeout`` seconds for the first one."""

    @abstractmethod
    def kill(self, slot: str) -> None:
        """Kills the worker of a slot, if it has one, even if it is stopped or hangs.

        Returns at once. The job of a busy slot ends with ``Died``, unless it ended just before. An
        idle slot gets a new worker with its next job.
        """

    @abstractmethod
    def close(self) -> None:
        """Kills every worker at once. Files on disk stay whole. A second call does nothing."""
