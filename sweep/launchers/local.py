"""Worker processes on this machine: one for each GPU, or several that share the CPU's cores."""

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

from sweep.launchers.base import Died, Ended, EpochEnded, Event, Failed, Job, Launcher, Note

RUNNER = "sweep.launchers.worker:train"
"""The function that a worker calls for a job. Tests name a cheaper one."""


@dataclass(frozen=True)
class Slot:
    """A slot's name, and the environment variables that give its worker a share of the machine."""

    name: str
    environment: dict[str, str]


def local_slots(device: str, workers: int | None) -> list[Slot]:
    """The slots for a training ``device`` setting.

    There are ``workers`` slots. If ``workers`` is None, there is one for each GPU, or one on a CPU.
    """
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
        # By default, waiting threads spin. On a busy machine that made an epoch of a small network
        # ten times longer.
        "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE"),
    }
    return [Slot(f"cpu-{i}", share) for i in range(count)]


class LocalLauncher(Launcher):
    """One persistent worker process for each slot.

    A worker starts with the slot's first job. After its death, the slot's next job starts another.
    Jobs and answers go to the worker's standard input, and events come from its standard output, as
    one JSON object a line. The end of its input tells a worker that the driver has ended.

    Args:
        slots: the slots, with different names.
        log_dir: folder for the logs of workers between jobs.
        runner: ``module:function``, see :data:`sweep.launchers.worker.Runner`.
    """

    def __init__(self, slots: Sequence[Slot], log_dir: Path, runner: str = RUNNER) -> None:
        self._slots = {slot.name: slot for slot in slots}
        self._log_dir = log_dir
        self._runner = runner
        self._events: queue.Queue[tuple[subprocess.Popen[str], Event | None]] = queue.Queue()
        self._workers: dict[str, subprocess.Popen[str]] = {}
        self._busy: set[str] = set()

    @property
    def slots(self) -> Sequence[str]:
        return list(self._slots)

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
                env=os.environ | self._slots[slot].environment,
                # Ctrl-C reaches the terminal's process group; the driver alone handles it.
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
            return []  # the worker was closed; its last events came late
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
            pass  # the worker died; the end of its output will become `Died`


def _event(slot: str, message: dict[str, Any]) -> Event:
    kind = message["event"]
    if kind == "epoch":
        return EpochEnded(slot, message["report"])
    if kind == "note":
        return Note(slot, message["message"])
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
            pass  # a message to a dead worker was still in the buffer
    return code


def _exit_description(code: int) -> str:
    return f"killed by signal {-code}" if code < 0 else f"exited with code {code}"


def _own_group() -> dict[str, Any]:
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def _gpus(device: str) -> list[str]:
    """The GPUs that a ``device`` setting allows, by their names in CUDA_VISIBLE_DEVICES."""
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
