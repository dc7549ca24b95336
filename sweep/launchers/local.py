"""Worker processes on this machine: one a GPU, or the CPU's cores shared out."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sweep.launchers.base import Died, Ended, EpochEnded, Event, Failed, Job, Launcher, Started

RUNNER = "sweep.launchers.worker:train"
"""What workers call for a job; tests put something cheaper in its place."""


@dataclass(frozen=True)
class Slot:
    """A slot: its name, and the environment that ties a worker to its share of the machine."""

    slot: str
    environment: dict[str, str]


def local_slots(device: str, workers: int | None) -> list[Slot]:
    """The slots for a training ``device`` setting: ``workers``, or one a GPU, or one."""
    gpus = _gpus(device)
    count = workers or max(1, len(gpus))
    if gpus:
        return [
            Slot(f"gpu{gpus[i % len(gpus)]}-{i}", {"CUDA_VISIBLE_DEVICES": gpus[i % len(gpus)]})
            for i in range(count)
        ]
    threads = str(max(1, _cores() // count))
    share = {
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "UVTEX_THREADS": threads,
        # Waiting threads sleep. On a machine with other work, spinning ones made an epoch of a
        # small network ten times longer.
        "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE"),
    }
    return [Slot(f"cpu-{i}", share) for i in range(count)]


class LocalLauncher(Launcher):
    """One persistent process a slot, started when first needed and again after a death.

    Jobs and words go down the worker's standard input, events come up its standard output, one
    JSON object a line. The input's end of file is how a worker learns that its driver is gone.
    """

    def __init__(self, places: Sequence[Slot], log_dir: Path, runner: str = RUNNER) -> None:
        self._places = {place.slot: place for place in places}
        self._log_dir = log_dir
        self._runner = runner
        self._events: queue.Queue[tuple[subprocess.Popen[str], Event | None]] = queue.Queue()
        self._workers: dict[str, subprocess.Popen[str]] = {}
        self._busy: set[str] = set()

    @property
    def slots(self) -> Sequence[str]:
        return list(self._places)

    def start(self, slot: str, job: Job) -> None:
        if slot not in self._workers:
            self._workers[slot] = self._spawn(slot)
        self._busy.add(slot)
        self._send(slot, asdict(job))

    def answer(self, slot: str, go_on: bool) -> None:
        self._send(slot, {"go_on": go_on})

    def wait(self, timeout: float) -> list[Event]:
        events = []
        try:
            events.append(self._events.get(timeout=timeout))
            while True:
                events.append(self._events.get_nowait())
        except queue.Empty:
            pass
        return [event for item in events for event in self._received(*item)]

    def close(self) -> None:
        workers, self._workers = dict(self._workers), {}
        self._busy.clear()
        for worker in workers.values():
            worker.kill()
        for worker in workers.values():
            _reap(worker)

    def pid(self, slot: str) -> int | None:
        """The process in a slot, if there is one."""
        worker = self._workers.get(slot)
        return worker.pid if worker else None

    def _spawn(self, slot: str) -> subprocess.Popen[str]:
        self._log_dir.mkdir(parents=True, exist_ok=True)
        with (self._log_dir / f"worker-{slot}.log").open("a", encoding="utf-8") as log:
            worker = subprocess.Popen(
                [sys.executable, "-m", "sweep.launchers.worker", self._runner],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                encoding="utf-8",
                env=os.environ | self._places[slot].environment,
                # Out of the terminal's process group: Ctrl-C is the driver's to handle.
                **_own_group(),
            )
        threading.Thread(target=self._listen, args=(slot, worker), daemon=True).start()
        return worker

    def _listen(self, slot: str, worker: subprocess.Popen[str]) -> None:
        assert worker.stdout is not None
        for line in worker.stdout:
            self._events.put((worker, _event(slot, json.loads(line))))
        self._events.put((worker, None))

    def _received(self, worker: subprocess.Popen[str], event: Event | None) -> list[Event]:
        slot = next((s for s, w in self._workers.items() if w is worker), None)
        if slot is None:
            return []  # closed, and said before it went
        if event is None:
            del self._workers[slot]
            busy = slot in self._busy
            self._busy.discard(slot)
            return [Died(slot, _exit_description(_reap(worker)))] if busy else []
        if isinstance(event, Ended | Failed):
            self._busy.discard(slot)
        return [event]

    def _send(self, slot: str, message: dict[str, Any]) -> None:
        worker = self._workers.get(slot)
        if worker is None or worker.stdin is None:
            return
        try:
            worker.stdin.write(json.dumps(message) + "\n")
            worker.stdin.flush()
        except (BrokenPipeError, OSError):
            pass  # it died; the end of its output says so


def _event(slot: str, message: dict[str, Any]) -> Event:
    kind = message["event"]
    if kind == "started":
        return Started(slot, message["pid"])
    if kind == "epoch":
        return EpochEnded(slot, message["report"])
    if kind == "failed":
        return Failed(slot, message["message"])
    return Ended(slot)


def _reap(worker: subprocess.Popen[str]) -> int:
    code = worker.wait()
    for pipe in (worker.stdin, worker.stdout):
        try:
            if pipe is not None:
                pipe.close()
        except OSError:
            pass  # unsent words to a dead worker
    return code


def _exit_description(code: int) -> str:
    return f"killed by signal {-code}" if code < 0 else f"exited with code {code}"


def _own_group() -> dict[str, Any]:
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def _gpus(device: str) -> list[str]:
    """Names of the GPUs that a ``device`` setting may use, as CUDA_VISIBLE_DEVICES names them."""
    if device != "auto" and not device.startswith("cuda"):
        return []
    import torch

    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else [str(i) for i in range(torch.cuda.device_count())]
    if not torch.cuda.is_available():
        return []
    return [names[int(device.removeprefix("cuda:"))]] if ":" in device else names


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
