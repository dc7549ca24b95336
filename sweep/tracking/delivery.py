"""A thread that does one thing after another for MLflow, and does it again until it succeeds.

The driver puts in what is to be done and goes on at once. So an MLflow that is slow, hangs, refuses
or is away costs the driver no time. The first in the queue is always done first, also after an
outage, so MLflow is told everything in its order.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from sweep.tracking.client import is_outage
from uvtex.errors import UvtexError

LONGEST_PAUSE = 30.0
"""Seconds between two attempts. The first pause is one second, and each is twice the one before."""

SHORT_PAUSE = 2.0
"""Seconds. The longest pause when somebody waits for the end of the queue."""

MOST_ATTEMPTS = 4
"""How often one action is tried while MLflow answers other calls. After that it is left out."""


@dataclass
class Item:
    """An action in the queue."""

    key: Hashable
    action: Callable[[], object]
    dropped: Callable[[], None] | None
    """Called if the action is left out for good."""
    attempts: int = 0


class Delivery:
    """A queue of actions, and the daemon thread that works it off.

    An action has a key. A second action of the same key replaces the first one in its place, so the
    queue is never longer than the number of keys.
    """

    def __init__(
        self,
        probe: Callable[[], None],
        lost: Callable[[UvtexError], None],
        found: Callable[[], None],
        refused: Callable[[UvtexError], None],
    ) -> None:
        """The functions are called by the thread.

        Args:
            probe: makes one cheap call; raises UvtexError if MLflow does not answer it.
            lost: MLflow does not answer any more.
            found: MLflow answers again. It is called before the next action.
            refused: an action failed, and is left out.
        """
        self._probe, self._lost, self._found, self._refused = probe, lost, found, refused
        self._changed = threading.Condition()
        self._queue: dict[Hashable, Item] = {}
        self._in_flight: Hashable = None
        self._closed = self._hurried = False
        self._longest_pause = LONGEST_PAUSE
        self._thread: threading.Thread | None = None
        self.away = False
        """Whether the last call failed because MLflow does not answer."""
        self.heard = time.monotonic()
        """When MLflow last did what it was asked, by the monotonic clock."""

    def put(
        self,
        key: Hashable,
        action: Callable[[], object],
        *,
        dropped: Callable[[], None] | None = None,
        last: bool = False,
    ) -> None:
        """Adds an action to the queue.

        Args:
            dropped: called if the action is left out for good.
            last: whether an action with the same key loses its place to the end of the queue.
        """
        with self._changed:
            if last:
                self._queue.pop(key, None)
            self._queue[key] = Item(key, action, dropped)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="MLflow", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def drop(self, of: Callable[[Hashable], bool]) -> int:
        """Takes the actions whose keys are ``of`` some kind out of the queue; returns how many."""
        with self._changed:
            kept = {key: item for key, item in self._queue.items() if not of(key)}
            dropped = len(self._queue) - len(kept)
            self._queue = kept
        return dropped

    @property
    def pending(self) -> int:
        """The number of actions that are not done."""
        with self._changed:
            return len(self._queue) + (self._in_flight is not None)

    def hurry(self) -> None:
        """Ends a pause between two attempts, and keeps the next ones short."""
        with self._changed:
            self._longest_pause = SHORT_PAUSE
            self._hurried = True
            self._changed.notify_all()

    def wait(self, timeout: float) -> None:
        """Waits until the thread has finished an attempt, at most ``timeout`` seconds."""
        with self._changed:
            if self._queue or self._in_flight is not None:
                self._changed.wait(timeout)

    def close(self) -> None:
        """Ends the thread after the action that it is in. What is queued is forgotten."""
        with self._changed:
            self._closed = True
            self._queue.clear()
            self._changed.notify_all()

    # -- the thread

    def _work(self) -> None:
        failures = 0
        while (item := self._next()) is not None:
            if self.away:
                self._put_back(item)
                if self._answers():
                    self.away, failures = False, 0
                    self._found()
                else:
                    failures += 1
                    self._finished()
                    self._pause(failures)
                continue
            try:
                item.action()
            except UvtexError as error:
                failures += 1
                if self._gives_up(item, error):
                    self._refused(error)
                    if item.dropped is not None:
                        item.dropped()
                    failures = 0
                else:
                    self._put_back(item)
            except Exception as error:  # a fault of this package must not stop the deliveries
                self._refused(UvtexError(f"{type(error).__name__}: {error}"))
                if item.dropped is not None:
                    item.dropped()
            else:
                failures = 0
                self.heard = time.monotonic()
            self._finished()
            if failures:
                self._pause(failures)

    def _answers(self) -> bool:
        try:
            self._probe()
        except UvtexError:
            return False
        self.heard = time.monotonic()
        return True

    def _gives_up(self, item: Item, error: UvtexError) -> bool:
        """Whether an action that failed is left out, because it alone fails."""
        if not is_outage(error):
            return True
        if not self._answers():
            self.away = True
            self._lost(error)
            return False
        item.attempts += 1
        return item.attempts >= MOST_ATTEMPTS

    def _next(self) -> Item | None:
        with self._changed:
            while not self._queue and not self._closed:
                self._changed.wait()
            if self._closed:
                return None
            item = self._queue.pop(next(iter(self._queue)))
            self._in_flight = item.key
            return item

    def _put_back(self, item: Item) -> None:
        """Puts an action back to the front, in its newest form."""
        with self._changed:
            if not self._closed:
                newest = self._queue.pop(item.key, item)
                newest.attempts = item.attempts
                self._queue = {item.key: newest, **self._queue}

    def _finished(self) -> None:
        with self._changed:
            self._in_flight = None
            self._changed.notify_all()

    def _pause(self, failures: int) -> None:
        until = time.monotonic() + min(self._longest_pause, 2.0 ** (min(failures, 9) - 1))
        with self._changed:
            while not (self._closed or self._hurried) and (left := until - time.monotonic()) > 0:
                self._changed.wait(left)
            self._hurried = False
