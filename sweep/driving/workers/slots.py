"""The slots of a launcher, the runs in them, and the workers that say nothing for too long."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Generic, Protocol, TypeVar

from sweep.driving.workers.patience import POLL_SECONDS, Patience
from sweep.launchers.base import Died, Ended, EpochEnded, Event, Failed, Job, Launcher
from sweep.study.config import Hang


class Run(Protocol):
    """What is to be known of a run in a slot."""

    fresh: bool
    """Whether its worker has not reported an epoch yet."""
    hung: str | None
    """Why its worker was killed, as a predicate of ``worker``; None if it was not."""

    @property
    def epoch_seconds(self) -> Sequence[float]:
        """Durations of its epochs so far."""

    @property
    def epochs_left(self) -> int:
        """How many epochs it has still to make."""


R = TypeVar("R", bound=Run)


class Slots(Generic[R]):
    """The slots of one launcher.

    Args:
        others: durations of the study's epochs, by which a run without an epoch is judged. The
            caller adds to them.
    """

    def __init__(self, launcher: Launcher, hang: Hang, others: Sequence[float]) -> None:
        self._launcher, self._others = launcher, others
        self._patience = Patience(hang)
        self._runs: dict[str, R] = {}
        self._most = 1

    @property
    def most(self) -> int:
        """The most slots that the launcher had at once, at least 1."""
        self._most = max(self._most, len(self._launcher.slots))
        return self._most

    @property
    def none(self) -> bool:
        """Whether the launcher has no slot now: no node of its cluster is left."""
        return not self._launcher.slots

    @property
    def runs(self) -> Collection[R]:
        """The runs that have a slot."""
        return self._runs.values()

    @property
    def free(self) -> list[str]:
        """The slots without a run."""
        return [slot for slot in self._launcher.slots if slot not in self._runs]

    def start(self, slot: str, run: R, job: Job) -> None:
        """Gives a free slot a run."""
        run.fresh, run.hung = True, None
        self._runs[slot] = run
        self._patience.heard(slot)
        self._launcher.start(slot, job)

    def answer(self, run: R, go_on: bool) -> None:
        """Answers the epoch of a run: it makes the next one, or ends."""
        for slot, one in self._runs.items():
            if one is run:  # its worker may have died meanwhile
                self._launcher.answer(slot, go_on)

    def drop(self, run: R) -> None:
        """Takes a run out of its slot. Its worker still waits for an answer."""
        self._runs = {slot: one for slot, one in self._runs.items() if one is not run}

    def wait(self) -> list[tuple[R, Event]]:
        """The events since the last call, each with its run. Kills the workers that hang.

        A run that ended has left its slot.
        """
        found = []
        for event in self._launcher.wait(POLL_SECONDS):
            run = self._runs[event.slot]
            self._patience.heard(event.slot)
            if isinstance(event, EpochEnded):
                run.fresh = False
            if isinstance(event, Ended | Failed | Died):
                del self._runs[event.slot]
            found.append((run, event))
        limits = {slot: self._limit(run) for slot, run in self._runs.items()}
        for slot, seconds in self._patience.look(limits).items():
            if self._runs[slot].hung is None:
                self._runs[slot].hung = f"said nothing for {seconds:.0f} s and was killed"
                self._launcher.kill(slot)
        return found

    def free_devices(self) -> None:
        """Ends the workers of the free slots. Their next runs get new ones."""
        for slot in self.free:
            self._launcher.kill(slot)

    def close(self) -> None:
        """Ends all workers."""
        self._launcher.close()

    def _limit(self, run: R) -> float:
        between = not run.fresh and run.epochs_left > 0
        return self._patience.limit(run.epoch_seconds, self._others, between)
