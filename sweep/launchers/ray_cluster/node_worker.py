"""The actor of a slot, which runs on a node of the cluster."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sweep.launchers.base import Event, Job
from sweep.launchers.local import LocalLauncher, Slot
from sweep.launchers.ray_cluster.node_data import Piece, Received
from sweep.launchers.ray_cluster.node_view import Question, Seen, look

WAIT_SECONDS = 60.0
"""How often a call that waits for an event looks whether there is one. It is told at once."""


@dataclass(frozen=True)
class Reply:
    """The answer of :meth:`NodeWorker.next`."""

    token: str
    """That of the call."""
    events: tuple[Event, ...]
    """At least one."""


class NodeWorker:
    """Runs the jobs of one slot, in the same worker process as a local slot has.

    The process is started, sealed off, heard and ended by a :class:`LocalLauncher` of one slot. If
    this actor is killed, its end of the channel closes, and the worker ends itself.

    Args:
        log_dir: folder for the log of the worker between jobs. All nodes see it.
        runner: ``module:function``, see :data:`sweep.launchers.worker.Runner`.
    """

    def __init__(self, slot: Slot, log_dir: str, runner: str) -> None:
        self._slot = slot.name
        self._launcher = LocalLauncher([slot], Path(log_dir), runner)
        self._received: Received | None = None

    def look(self, question: Question) -> Seen:
        """What this node sees of the study and of its data set."""
        return look(question)

    def receive(self, content: str, pieces: list[Piece], last: bool) -> str | None:
        """Writes pieces of the data set to this node's cache.

        Returns:
            After the last ones: the folder of the data set, checked.

        Raises:
            OSError: they cannot be written.
            ValueError: what was received is not the data set.
        """
        if self._received is None or self._received.content != content:
            self._received = Received(content)
        self._received.write(pieces)
        return str(self._received.finish()) if last else None

    def next(self, token: str, message: dict[str, Any], after: object = None) -> Reply:
        """Gives the worker a job or an answer, if there is one, and waits for what it says.

        Args:
            message: ``{"job": ...}``, ``{"go_on": ...}``, or nothing, to wait only.
            after: the result of a call that had to end first.
        """
        if "job" in message:
            self._launcher.start(self._slot, Job(**message["job"]))
        elif "go_on" in message:
            self._launcher.answer(self._slot, bool(message["go_on"]))
        while not (events := self._launcher.wait(WAIT_SECONDS)):
            pass
        return Reply(token, tuple(events))

    def kill(self) -> None:
        """Kills the worker process, while another call waits for what it says."""
        self._launcher.kill(self._slot)

    def end(self) -> None:
        """Kills the worker process and waits for its end."""
        self._launcher.close()
