"""MLflow's scoring server, and its answers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sweep.tracking.pages import HOST, free_port
from tests.sweep.tracking.mlflow_server import await_answer


@contextmanager
def serving(model: str, tracking_uri: str = "") -> Iterator[str]:
    """The address of ``mlflow models serve``, as docs/how-to/serve.md starts it.

    Args:
        model: a model's URI, or its folder.
    """
    port = free_port(0)
    # MLflow starts a program by its name that lies beside Python.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = ["-m", "mlflow", "models", "serve", "-m", model, "--env-manager", "local"]
    server = subprocess.Popen(
        [sys.executable, *command, "--host", HOST, "--port", str(port), "--workers", "1"],
        env={**os.environ, "MLFLOW_TRACKING_URI": tracking_uri, "PATH": path},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        await_answer(f"http://{HOST}:{port}", server)
        yield f"http://{HOST}:{port}/invocations"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGTERM)  # the server has children
        server.wait(timeout=60)


def answer(address: str, body: str) -> Any:
    """The predictions for a request."""
    request = urllib.request.Request(address, body.encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as reply:
        return json.load(reply)["predictions"]
