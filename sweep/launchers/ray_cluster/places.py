"""The actors of a study in a Ray cluster: placed where there is room, and checked before use."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sweep.launchers.ray_cluster.connection import head_answers
from sweep.launchers.ray_cluster.demand import Demand
from sweep.launchers.ray_cluster.node_data import LISTING, Piece, SentData
from sweep.launchers.ray_cluster.node_view import Question, Seen, answered
from sweep.launchers.ray_cluster.node_worker import NodeWorker
from uvtex.errors import UvtexError

REFRESH_SECONDS = 2.0
"""How often to ask which nodes the cluster has."""

MOST_SILENT = 8
"""After so many looks in a row at which the head did not answer, it is gone."""

PAUSE_SECONDS = 30.0
"""The longest wait before another worker is placed, after some could not be."""


@dataclass(eq=False)
class Place:
    """The actor of one slot."""

    slot: str
    actor: Any
    host: str = "a node"
    node: str = ""
    """Ray's name for its node; empty until it has one."""
    data: str = ""
    """Folder of the data set on its node; empty until it is there."""
    token: str = ""
    """Of its last job."""
    busy: bool = False
    listening: bool = False
    """Whether a call waits for what the worker says."""
    killed: float | None = None
    """When its worker was killed during its job; None if it was not."""
    last_kill: Any = None
    """The call that killed its idle worker, after which its next job may start."""
    pieces: Iterator[list[Piece]] | None = None
    """What of the data set is still to be sent to its node."""

    @property
    def ready(self) -> bool:
        """Whether it can run jobs."""
        return bool(self.data)


Handler = Callable[[Place, Any], None]


class Places:
    """Creates and checks the actors, and knows all calls to them.

    Args:
        ray: the connected module.
        workers: how many; None: as many as the cluster has room for.
        say: told of what people should know, a line each.
    """

    def __init__(
        self,
        ray: Any,
        demand: Demand,
        question: Question,
        workers: int | None,
        runner: str,
        say: Callable[[str], None],
    ) -> None:
        self._ray, self._demand, self._question = ray, demand, question
        self._workers, self._runner, self._say = workers, runner, say
        self.all: dict[str, Place] = {}
        self.failures: list[str] = []
        """Why actors could not be placed, since one could."""
        self._calls: dict[Any, tuple[Place, Handler]] = {}
        self._banned: set[str] = set()
        self._sent: SentData | None = None
        self._next_look = self._next_place = 0.0
        self._silent = 0
        self._told_none = True

    def call(self, place: Place, reference: Any, handler: Handler) -> None:
        """Calls ``handler`` with the result of a call to a place's actor, once it is there."""
        self._calls[reference] = place, handler

    def wait(self, timeout: float) -> list[tuple[Place, Handler, Any]]:
        """The calls that are done. Waits for up to ``timeout`` seconds for the first one."""
        references = list(self._calls)
        if not references:
            time.sleep(timeout)
            return []
        done, _ = self._ray.wait(references, num_returns=1, timeout=timeout)
        if done:
            done, _ = self._ray.wait(references, num_returns=len(references), timeout=0)
        return [(*self._calls.pop(reference), reference) for reference in done]

    def refresh(self) -> list[Place]:
        """Follows the cluster as it grows and shrinks, every few seconds.

        Returns:
            Places that were lost with their nodes.

        Raises:
            UvtexError: the head of the cluster is gone. Without it Ray ends this process soon.
        """
        now = time.monotonic()
        if now < self._next_look:
            return []
        self._next_look = now + REFRESH_SECONDS
        nodes = self._nodes()
        if nodes is None:
            return []
        dead = {node["NodeID"] for node in nodes if not node["Alive"]}
        lost = [place for place in self.all.values() if place.node in dead]
        for place in lost:
            self.drop(place)
        wanted = self._wanted(nodes)
        waiting = [place for place in self.all.values() if not place.node]
        for place in waiting[: max(0, len(self.all) - wanted)]:
            self.drop(place)
        if now >= self._next_place:
            while len(self.all) < wanted:
                self._place()
        self._tell_none()
        return lost

    def _nodes(self) -> list[Any] | None:
        """The cluster's nodes; None while its head does not answer, which may be busy."""
        try:
            if head_answers(self._ray):
                self._silent = 0
                return list(self._ray.nodes())
        except ConnectionError:
            self._silent = MOST_SILENT
        self._silent += 1
        if self._silent <= MOST_SILENT:
            return None
        raise UvtexError(
            "launcher: the head of the Ray cluster does not answer any more; start the cluster "
            "again, then run the same command: it goes on from the checkpoints"
        )

    def _tell_none(self) -> None:
        none = not any(place.ready for place in self.all.values())
        if none and not self._told_none:
            self._say("no worker has a place in the cluster now; waiting for one")
        self._told_none = none

    def drop(self, place: Place) -> None:
        """Ends a place's actor, and forgets its calls."""
        if self.all.get(place.slot) is place:
            del self.all[place.slot]
        self._calls = {ref: call for ref, call in self._calls.items() if call[0] is not place}
        self._ray.kill(place.actor, no_restart=True)
        self._next_look = 0.0
        if place.pieces is not None:
            self._look_again(place.node)

    def failed(self, place: Place, reason: str) -> None:
        """Drops a place whose actor could not be made ready."""
        self.drop(place)
        if not self.failures:
            self._say(f"no worker could be started on {place.host}: {reason}")
        self.failures.append(reason)
        self._next_place = time.monotonic() + min(PAUSE_SECONDS, 2.0 ** len(self.failures))

    def _wanted(self, nodes: list[Any]) -> int:
        if self._workers is not None:
            return self._workers
        return sum(self._demand.room(n) for n in nodes if n["NodeID"] not in self._banned)

    def _place(self) -> None:
        name = next(f"ray-{i}" for i in range(len(self.all) + 1) if f"ray-{i}" not in self.all)
        options = self._demand.options(self._banned)
        actor = (
            self._ray.remote(NodeWorker)
            .options(
                **options,
                max_restarts=0,
                max_task_retries=0,
                max_concurrency=2,
                scheduling_strategy="SPREAD",
            )
            .remote(self._demand.slot(name), self._question.folder, self._runner)
        )
        self.all[name] = place = Place(name, actor)
        self._look(place)

    def _look(self, place: Place) -> None:
        self.call(place, place.actor.look.remote(self._question), self._seen)

    def _seen(self, place: Place, seen: Seen) -> None:
        place.host, place.node = seen.host, seen.node
        if why := unusable(seen, self._question):
            self._banned.add(seen.node)
            self._say(f"{why}; it gets no worker")
            self.drop(place)
        elif seen.data is not None:
            self._ready(place, seen.data)
        elif self._question.content is None:
            self._sent = SentData(Path(self._question.data))
            self._question = replace(self._question, content=self._sent.content)
            self._look(place)
        elif not any(p.pieces for p in self.all.values() if p.node == place.node):
            assert self._sent is not None
            self._say(f"{place.host} gets the data set: {self._sent.size / 1e6:.1f} MB")
            place.pieces = self._sent.pieces()
            self._send(place)

    def _send(self, place: Place) -> None:
        assert place.pieces is not None
        pieces = next(place.pieces)
        last = pieces[-1].name == LISTING
        reference = place.actor.receive.remote(self._question.content, pieces, last)
        self.call(place, reference, self._received)

    def _received(self, place: Place, folder: str | None) -> None:
        if folder is None:
            self._send(place)
            return
        place.pieces = None
        self._ready(place, folder)
        self._look_again(place.node)

    def _look_again(self, node: str) -> None:
        """Asks the other places of a node, which waited for the data set, whether it is there."""
        for place in self.all.values():
            if place.node == node and not place.ready:
                self._look(place)

    def _ready(self, place: Place, data: str) -> None:
        place.data = data
        self.failures.clear()


def unusable(seen: Seen, question: Question) -> str | None:
    """Why a node can run no worker, and what to do; None if it can."""
    problem = seen.problem
    if problem is None and not answered(Path(question.folder), seen, question.secret):
        problem = f"writes to another folder of the name {question.folder}"
    if problem is None:
        return None
    return (
        f"launcher: node {seen.host} {problem}; keep it on a file system that all nodes share, "
        "under the same path"
    )
