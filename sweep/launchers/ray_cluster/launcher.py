"""Workers on the nodes of a Ray cluster, one actor for each slot."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from sweep.launchers.base import Died, Ended, EpochEnded, Event, Failed, Job, Launcher
from sweep.launchers.local import RUNNER
from sweep.launchers.process import EXIT_SECONDS
from sweep.launchers.ray_cluster.connection import connect, first_line
from sweep.launchers.ray_cluster.demand import Demand, described
from sweep.launchers.ray_cluster.node_view import Question, ask, forget, look
from sweep.launchers.ray_cluster.node_worker import Reply
from sweep.launchers.ray_cluster.places import Place, Places, unusable
from sweep.study.data_identity import inventory
from sweep.study.launcher_settings import LauncherSettings
from uvtex.errors import UvtexError

WAIT_SECONDS = 60.0
"""How long to wait at the start until the cluster has room for a worker."""

ANSWER_SECONDS = 60.0
"""How long a node's answer at the start may take."""

MOST_FAILURES = 3
"""After so many workers in a row that could not be started, the start of the launcher fails."""


class RayLauncher(Launcher):
    """One actor for each slot, which runs a worker process as a local slot does.

    An actor is never restarted, and no call to it is repeated: the driver resumes a run from its
    checkpoint. A call takes an answer or a job to the worker, and comes back with what it says
    next. All calls are made and heard in the driver's thread.

    Args:
        workers: number of slots; None: as many as the cluster has room for.
        device: the ``device`` of the training settings.
        folder: the study's folder, which all nodes see under the same path.
        data: folder of the data set. Nodes that do not see it get a copy.
        files: other files that a worker reads. All nodes see them under the same path.
        say: told of what people should know, a line each.
        runner: ``module:function``, see :data:`sweep.launchers.worker.Runner`.

    Raises:
        ConfigError: Ray is not installed, or the settings contradict each other.
        UvtexError: the cluster cannot be reached, a node cannot be used, or there is no room.
    """

    def __init__(
        self,
        settings: LauncherSettings,
        workers: int | None,
        device: str,
        folder: Path,
        data: Path,
        files: Sequence[str] = (),
        say: Callable[[str], None] = print,
        runner: str = RUNNER,
    ) -> None:
        Demand.of(settings, device)
        self._settings, self._folder = settings, folder
        self._driver = secrets.token_hex(8)
        self._jobs = 0
        self._events: list[Event] = []
        self._ray, self._connected = connect(settings, runner)
        self._closed = False
        try:
            question = Question(
                folder=os.path.abspath(folder),
                secret=ask(folder),
                data=os.path.abspath(data),
                digest=inventory(data),
                files=tuple(os.path.abspath(file) for file in files),
            )
            nodes = self._ray.nodes()
            self._demand = Demand.of(settings, device, nodes)
            self._check_nodes(nodes, question)
            self._places = Places(self._ray, self._demand, question, workers, runner, say)
            self._wait_for_room()
        except BaseException:
            self._disconnect()
            raise

    @property
    def slots(self) -> Sequence[str]:
        return [place.slot for place in self._places.all.values() if place.ready]

    def start(self, slot: str, job: Job) -> None:
        place = self._places.all.get(slot)
        if place is None or not place.ready:
            self._events.append(Died(slot, "lost its place in the cluster"))
            return
        self._jobs += 1
        place.busy, place.killed = True, None
        place.token = f"{self._driver}/{self._jobs}"
        run_dir = os.path.abspath(job.run_dir)
        here = replace(job, device=self._demand.device, data=place.data, run_dir=run_dir)
        self._next(place, {"job": asdict(here)})

    def answer(self, slot: str, go_on: bool) -> None:
        place = self._places.all.get(slot)
        if place is not None and place.busy and not place.listening:
            self._next(place, {"go_on": go_on})

    def wait(self, timeout: float) -> list[Event]:
        for place in self._places.refresh():
            self._ended_by(place, f"lost its node {place.host}")
        self._hear(0 if self._events else timeout)
        for place in list(self._places.all.values()):
            if place.killed is not None and time.monotonic() > place.killed + EXIT_SECONDS:
                self._lose(place, f"was killed, and its node {place.host} did not answer")
        events, self._events = self._events, []
        return events

    def kill(self, slot: str) -> None:
        place = self._places.all.get(slot)
        if place is None or not place.ready:
            return
        call = place.actor.kill.remote()
        if not place.busy:
            place.last_kill = call
            return
        place.killed = time.monotonic()
        if not place.listening:
            self._next(place, {})

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        places = list(self._places.all.values())
        if ends := [place.actor.end.remote() for place in places if place.node]:
            self._ray.wait(ends, num_returns=len(ends), timeout=EXIT_SECONDS)
        for place in places:
            self._places.drop(place)
        self._events.clear()
        self._disconnect()

    def _disconnect(self) -> None:
        forget(self._folder)
        if self._connected:
            self._ray.shutdown()

    # -- calls

    def _next(self, place: Place, message: dict[str, Any]) -> None:
        place.listening = True
        call = place.actor.next.remote(place.token, message, place.last_kill)
        place.last_kill = None
        self._places.call(place, call, self._replied)

    def _hear(self, timeout: float) -> None:
        for place, handler, reference in self._places.wait(timeout):
            if self._places.all.get(place.slot) is not place:
                continue  # lost meanwhile
            try:
                result = self._ray.get(reference)
            except Exception as error:  # Ray's own, and whatever an actor raised
                self._lose(place, _reason(self._ray, place, error))
            else:
                handler(place, result)

    def _replied(self, place: Place, reply: Reply) -> None:
        if reply.token != place.token:
            return  # of an earlier job, or of another driver
        place.listening = False
        self._events += reply.events
        last = reply.events[-1]
        if isinstance(last, Ended | Failed | Died):
            place.busy, place.killed = False, None
        elif not isinstance(last, EpochEnded) or place.killed is not None:
            self._next(place, {})

    def _lose(self, place: Place, reason: str) -> None:
        if not place.ready:
            self._places.failed(place, reason)
            return
        self._places.drop(place)
        self._ended_by(place, reason)

    def _ended_by(self, place: Place, reason: str) -> None:
        if place.busy:
            place.busy = False
            self._events.append(Died(place.slot, reason))

    # -- the start

    def _check_nodes(self, nodes: Sequence[Any], question: Question) -> None:
        """Asks every node that has room for a worker what it sees.

        Raises:
            UvtexError: a node does not see the study's folder, or does not answer.
        """
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as On

        task = self._ray.remote(look)
        asked = {
            task.options(num_cpus=0, scheduling_strategy=On(node["NodeID"], soft=False)).remote(
                question
            ): node["NodeManagerHostname"]
            for node in nodes
            if self._demand.room(node)
        }
        if not asked:
            return
        done, silent = self._ray.wait(list(asked), num_returns=len(asked), timeout=ANSWER_SECONDS)
        problems = [
            f"launcher: node {asked[call]} did not answer within {ANSWER_SECONDS:g} s"
            for call in silent
        ]
        for call in done:
            try:
                why = unusable(self._ray.get(call), question)
            except Exception as error:
                why = f"launcher: node {asked[call]} could run nothing: {first_line(error)}"
            problems += [why] if why else []
        if problems:
            raise UvtexError("\n".join(problems))

    def _wait_for_room(self) -> None:
        """Waits for the first slot.

        Raises:
            UvtexError: none came, or workers could not be started.
        """
        seconds = self._settings.wait_seconds
        seconds = WAIT_SECONDS if seconds is None else seconds
        deadline = time.monotonic() + seconds
        while not self.slots:
            self._places.refresh()
            self._hear(0.1)
            if len(self._places.failures) >= MOST_FAILURES:
                raise UvtexError(
                    f"launcher: no worker could be started: {self._places.failures[-1]}"
                )
            placed = any(place.node for place in self._places.all.values())
            if not placed and time.monotonic() > deadline:
                raise UvtexError(self._no_room(seconds))

    def _no_room(self, seconds: float) -> str:
        nodes = self._ray.nodes()
        there = f"the cluster has {described(nodes)}"
        if not any(self._demand.room(node) for node in nodes):
            return (
                f"launcher: no node of the Ray cluster has {self._demand}, which each worker "
                f"needs; {there}; change num_cpus, num_gpus or accelerator_type"
            )
        return (
            f"launcher: the Ray cluster had no room for a worker ({self._demand}) within "
            f"{seconds:g} s; {there}; other work may hold it: see `ray status`"
        )


def _reason(ray: Any, place: Place, error: Exception) -> str:
    """Why a worker died, as a predicate of ``worker``."""
    if isinstance(error, ray.exceptions.ActorUnavailableError):
        return f"cannot be reached on {place.host} any more"
    if isinstance(error, ray.exceptions.ActorDiedError) and place.ready:
        return f"ended with its Ray actor on {place.host}"
    return f"could not be used on {place.host}: {first_line(error)}"
