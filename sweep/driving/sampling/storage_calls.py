"""The calls to Optuna's storage: one after another, patiently, and off the driver's loop.

A thread of its own makes the calls in the order in which they were asked for. So an epoch is stored
while the driver already answers the next worker, and a database that is locked or restarted keeps
no worker waiting. A call that fails because the storage is away is made again, with growing pauses.
So a call must be right however often it is made, also if an earlier attempt was stored and the
answer was lost.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, TypeVar

from sweep.driving.sampling.optuna_storage import StorageAway, StorageError, mapped_errors, shown

PATIENCE_SECONDS = 120.0
"""How long a call is repeated while the storage is away. A server restarts in less."""
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 5.0
"""Seconds between two attempts. Each pause is twice the one before."""
CLOSING_SECONDS = 10.0
"""Longest wait at the end for a call that is being made."""

T = TypeVar("T")


@dataclass(frozen=True)
class _Call:
    doing: str
    function: Callable[[], Any]
    future: Future[Any]


class StorageCalls:
    """A queue of calls, and the thread that makes them.

    A call that fails for good is the last one: later results would hide that one is missing.
    """

    def __init__(self, url: str, say: Callable[[str], None]) -> None:
        """``say`` is told when the storage goes away and when it answers again, by the thread."""
        self._url, self._say = url, say
        self._queue: SimpleQueue[_Call | None] = SimpleQueue()
        self._closing = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="Optuna's storage", daemon=True)
        self._thread.start()

    def put(self, doing: str, function: Callable[[], T]) -> Future[T]:
        """Adds a call, and returns at once.

        Args:
            doing: what the call does, as a verb for the message "cannot ...".

        Raises:
            StorageError: an earlier call failed for good.
        """
        if self._failure is not None:
            raise self._failure
        call = _Call(doing, function, Future())
        self._queue.put(call)
        return call.future

    def do(self, doing: str, function: Callable[[], T]) -> T:
        """Makes a call after all earlier ones, and returns its result.

        Raises:
            StorageError: this call or an earlier one failed for good.
        """
        return self.put(doing, function).result()

    def close(self, last: Callable[[], None]) -> None:
        """Makes the calls that are left, then ``last``, and ends the thread.

        If the storage is away, the calls are left out. The trial directories hold what they tell.
        """
        self._closing.set()
        self._queue.put(_Call("close it", last, Future()))
        self._queue.put(None)
        self._thread.join(CLOSING_SECONDS)

    # -- in the thread

    def _work(self) -> None:
        while (call := self._queue.get()) is not None:
            try:
                if self._failure is not None and call.doing != "close it":
                    raise self._failure
                call.future.set_result(self._patiently(call))
            except BaseException as error:
                self._failure = self._failure or error
                call.future.set_exception(error)

    def _patiently(self, call: _Call) -> Any:
        began, pause, told = time.monotonic(), FIRST_PAUSE, False
        while True:
            try:
                with mapped_errors(call.doing, self._url):
                    result = call.function()
            except StorageAway as error:
                waited = time.monotonic() - began
                if self._closing.is_set():
                    raise
                if waited + pause > PATIENCE_SECONDS:
                    raise StorageError(f"{error} (tried for {waited:.0f} s)") from error
                if not told:
                    self._say(f"{error}; trying again for {PATIENCE_SECONDS:.0f} s")
                told = True
                self._closing.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            else:
                if told:
                    self._say(f"{shown(self._url)}: answers again")
                return result
