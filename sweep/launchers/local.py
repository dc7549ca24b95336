"""Worker processes on this machine: one for each GPU, or several that share the CPU's cores."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sweep.launchers.base import Died, Ended, Event, Failed, Job, Launcher
from sweep.launchers.process import EXIT_SECONDS, START_SECONDS, WorkerProcess

RUNNER = "sweep.launchers.training:train"
"""The function that a worker calls for a job. Tests name a cheaper one."""

THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "UVTEX_THREADS",
)
"""The variables by which libraries learn how many threads to start. The last is ours."""


@dataclass(frozen=True)
class Slot:
    """A slot's name, its device, and the environment that gives it a share of the machine."""

    name: str
    device: str
    """The device as the worker's PyTorch names it."""
    environment: dict[str, str]


def local_slots(device: str, workers: int | None) -> list[Slot]:
    """The slots for a training ``device`` setting.

    There are ``workers`` slots. If ``workers`` is None, there is one for each GPU, or one on a CPU.

    Raises:
        ConfigError: the setting is invalid, or the machine has no such device.
    """
    if device in ("cpu", "cpu:0"):
        return _cpu_slots(workers or 1)
    from uvtex.device import device_places

    places = device_places(device)
    count = workers or len(places)
    if places[0].device == "cpu":
        return _cpu_slots(count)
    taken = [(i, i % len(places)) for i in range(count)]
    return [Slot(f"gpu{gpu}-{i}", places[gpu].device, places[gpu].environment) for i, gpu in taken]


def _cpu_slots(count: int) -> list[Slot]:
    threads = thread_share(_cores(), count, os.environ)
    share = dict.fromkeys(THREADS, str(threads))
    # By default, waiting threads spin. On a busy machine that made an epoch of a small network
    # ten times longer.
    share["OMP_WAIT_POLICY"] = os.environ.get("OMP_WAIT_POLICY", "PASSIVE")
    return [Slot(f"cpu-{i}", "cpu", share) for i in range(count)]


def thread_share(cores: int, workers: int, environment: Mapping[str, str]) -> int:
    """The number of threads of each worker: its share of the cores.

    It is no more than the user's OMP_NUM_THREADS, which may know of a limit that the system does
    not tell, such as a container's.
    """
    share = max(1, cores // workers)
    most = environment.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return min(share, int(most)) if most.isdecimal() and int(most) else share


class LocalLauncher(Launcher):
    """One persistent worker process for each slot.

    A worker starts with the slot's first job. After its death, the slot's next job starts another.
    Jobs, answers and events go over a :class:`sweep.launchers.channel.Channel`. Its end tells a
    worker that the driver has ended.

    Args:
        slots: the slots, with different names.
        log_dir: folder for the logs of workers between jobs.
        runner: ``module:function``, see :data:`sweep.launchers.worker.Runner`.
        start_seconds: how long the start of a worker may take.
    """

    def __init__(
        self,
        slots: Sequence[Slot],
        log_dir: Path,
        runner: str = RUNNER,
        start_seconds: float = START_SECONDS,
    ) -> None:
        self._slots = {slot.name: slot for slot in slots}
        self._log_dir = log_dir
        self._runner = runner
        self._start_seconds = start_seconds
        self._events: queue.Queue[tuple[WorkerProcess | None, Event]] = queue.Queue()
        self._workers: dict[str, WorkerProcess] = {}
        self._listeners: list[threading.Thread] = []
        self._busy: set[str] = set()

    @property
    def slots(self) -> Sequence[str]:
        return list(self._slots)

    def start(self, slot: str, job: Job) -> None:
        self._busy.add(slot)
        try:
            if slot not in self._workers:
                self._workers[slot] = self._spawn(self._slots[slot])
        except OSError as error:
            self._events.put((None, Died(slot, f"could not be started: {error}")))
            return
        self._workers[slot].start(replace(job, device=self._slots[slot].device))

    def answer(self, slot: str, go_on: bool) -> None:
        if slot in self._workers:
            self._workers[slot].answer(go_on)

    def wait(self, timeout: float) -> list[Event]:
        events = []
        try:
            events.append(self._events.get(timeout=timeout))
            while True:
                events.append(self._events.get_nowait())
        except queue.Empty:
            pass
        return [event for item in events for event in self._received(*item)]

    def kill(self, slot: str) -> None:
        # An idle worker is forgotten at once: the next job may start before its end is heard.
        busy = slot in self._busy
        worker = self._workers.get(slot) if busy else self._workers.pop(slot, None)
        if worker is not None:
            worker.kill()

    def close(self) -> None:
        workers, self._workers = dict(self._workers), {}
        self._busy.clear()
        for worker in workers.values():
            worker.kill()
        for worker in workers.values():
            worker.reap()
        for listener in self._listeners:
            listener.join(EXIT_SECONDS)

    def _spawn(self, slot: Slot) -> WorkerProcess:
        log = self._log_dir / f"worker-{slot.name}.log"
        worker = WorkerProcess(slot.name, log, self._runner, slot.environment, self._start_seconds)
        listener = threading.Thread(target=self._listen, args=(worker,), daemon=True)
        listener.start()
        self._listeners = [old for old in self._listeners if old.is_alive()] + [listener]
        return worker

    def _listen(self, worker: WorkerProcess) -> None:
        for event in worker.events():
            self._events.put((worker, event))

    def _received(self, worker: WorkerProcess | None, event: Event) -> list[Event]:
        slot = event.slot
        if worker is not self._workers.get(slot):
            return []  # the worker was closed; its last events came late
        if isinstance(event, Died):
            self._workers.pop(slot, None)
        elif worker is not None and slot not in self._busy:
            worker.kill()  # nobody asked it: what it will say of its next job is worth nothing
        if slot not in self._busy:
            return []
        if isinstance(event, Ended | Failed | Died):
            self._busy.discard(slot)
        return [event]


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
