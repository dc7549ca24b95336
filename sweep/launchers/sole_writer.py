"""A worker is the only one that writes into its trial directory, even beside a worker that hangs.

It holds the directory's lock (:func:`uvtex.runs.folder.claimed`) while it runs the job. The system
frees the lock when the process dies, and not before. A worker that was stopped, and whose driver
has died since, still holds it. The next worker of the run ends that one first.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from uvtex.errors import UvtexError
from uvtex.files import write_atomic
from uvtex.runs.folder import Taken, claimed

OWNER = ".worker.json"
"""In a trial directory: the worker that holds its lock, or held it last."""

LEAVING_SECONDS = 3.0
"""How long a worker may take to end itself after its driver, and a killed one to be gone."""

ELSEWHERE_SECONDS = 90.0
"""The same for a worker of another host. A Ray cluster sees the end of a node, or of a driver that
is connected from outside, within half a minute, and ends the workers then."""


@contextmanager
def sole_writer(run_dir: Path, warn: Callable[[str], None]) -> Iterator[None]:
    """Holds the lock of ``run_dir`` inside the block.

    The driver of this worker holds the study's lease. So a worker of this host that holds the lock
    was left behind by a driver that died. It is killed, and ``warn`` is told. One of another host
    is waited for.

    Raises:
        UvtexError: another process holds the lock: one of another host, or one that is no worker.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(claimed(run_dir, LEAVING_SECONDS))
        except Taken:
            if (left := _left_behind(run_dir)) is not None:
                with suppress(psutil.NoSuchProcess):  # it may end by itself just now
                    left.kill()
                    warn(
                        f"process {left.pid}, a worker of an earlier driver, was still there; it "
                        "is ended"
                    )
            here = _owner(run_dir).get("host") in (None, socket.gethostname())
            try:
                stack.enter_context(
                    claimed(run_dir, LEAVING_SECONDS if here else ELSEWHERE_SECONDS)
                )
            except Taken:
                raise UvtexError(_refusal(run_dir)) from None
        me = {"host": socket.gethostname(), "pid": os.getpid(), "created": _created(os.getpid())}
        write_atomic(run_dir / OWNER, json.dumps(me).encode())
        yield


def _left_behind(run_dir: Path) -> psutil.Process | None:
    """The worker that wrote OWNER, if it lives on this host."""
    owner = _owner(run_dir)
    if owner.get("host") != socket.gethostname():
        return None
    with suppress(psutil.Error, TypeError, ValueError):
        process = psutil.Process(int(owner["pid"]))
        # Another process may have got the number since.
        if abs(process.create_time() - float(owner["created"])) < 1:
            return process
    return None


def _refusal(run_dir: Path) -> str:
    owner = _owner(run_dir)
    who = f"process {owner.get('pid')} on {owner.get('host')}" if owner else "it is no worker"
    return (
        f"{run_dir}: another process is training into it ({who}); end it, then run the study again "
        "with --retry-failed"
    )


def _owner(run_dir: Path) -> dict[str, Any]:
    try:
        found = json.loads((run_dir / OWNER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _created(pid: int) -> float:
    return float(psutil.Process(pid).create_time())
