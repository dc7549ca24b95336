"""Runners that do what a worker should not do. The driver must survive them all."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

from sweep.launchers.base import Job
from sweep.launchers.worker import Warn

print("license server: ok, 41 days left")

Reports = Iterator[dict[str, Any]]


def channel() -> int:
    """The file number of this worker's end of the channel."""
    return int(json.loads(sys.argv[1])["socket"])


def tell(job: Job, warn: Warn) -> Reports:
    """Tells from where this worker imports, and under which flags it runs."""
    flags = {name: getattr(sys.flags, name) for name in ("isolated", "no_user_site", "optimize")}
    names = ("sweep", "uvtex", "torch", "random", "json", "tests")
    specs = {name: find_spec(name) for name in names}
    files = {name: spec.origin if spec else None for name, spec in specs.items()}
    python = [key for key in os.environ if key.startswith("PYTHON")]
    warn(json.dumps({"files": files, "flags": flags, "path": sys.path, "python": python}))
    yield from ()


def talk(job: Job, warn: Warn) -> Reports:
    """Prints what is no event, to every file that a library may print to."""
    print('{"event": "ended"}')
    print("no newline " * 100_000, end="")
    os.write(1, bytes(range(256)) * 16)
    os.write(2, b'{"event": "failed", "message": "a C library"}\n')
    print("Größe → 1", file=sys.stderr)
    os.system("echo a program that it started")
    yield from ()


def write_rubbish(job: Job, warn: Warn) -> Reports:
    os.write(channel(), b"license server: ok\n")
    time.sleep(60)
    yield from ()


def die_in_a_line(job: Job, warn: Warn) -> Reports:
    os.write(channel(), b'{"event": "note", "mess')
    os.kill(os.getpid(), signal.SIGKILL)
    yield from ()


def close_the_channel(job: Job, warn: Warn) -> Reports:
    # The thread that hears the driver would end the process: it is what a library that closes all
    # files of a process leaves.
    os.dup2(os.open(os.devnull, os.O_RDWR), channel())
    time.sleep(60)
    yield from ()


def leave_a_child(job: Job, warn: Warn) -> Reports:
    """Dies, and leaves a process that holds the channel open."""
    if (child := os.fork()) == 0:
        time.sleep(60)
        os._exit(0)
    warn(str(child))
    time.sleep(0.2)
    print("cudaErrorAssert: device-side assert triggered", file=sys.stderr)
    os._exit(3)
    yield from ()


def end_twice(job: Job, warn: Warn) -> Reports:
    """Ends the run itself, so that its slot is idle when the true end comes."""
    os.write(channel(), b'{"event": "ended"}\n')
    yield from ()


def chatter(job: Job, warn: Warn) -> Reports:
    """Prints 4 MB an epoch for five epochs, as a library may that reports each step."""
    report: dict[str, Any] = {"weights": {}, "lr": 1e-4, "train": {}, "val": {"margin": 0.0}}
    for epoch in range(1, 6):
        for step in range(20):
            print(f'{{"event": "ended"}} step {step} of no interest\n' * 4_000, flush=True)
            time.sleep(0.05)
        yield {**report, "epoch": epoch, "seconds": 1.0, "images": 8, "best": False}
