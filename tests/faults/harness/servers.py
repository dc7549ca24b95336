"""MLflow's server in a process of its own, which can be killed, stopped and started again."""

from __future__ import annotations

import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from sweep.tracking.pages import HOST, free_port
from tests.faults.harness.forks import PATIENCE
from tests.faults.harness.order import CONTEXT


class Server:
    """A server on one port. It starts in a forked process, as commands do.

    Args:
        folder: MLflow's database and its artifacts are here.
        serve: runs in the process, with the port and ``folder``.
    """

    def __init__(self, folder: Path, serve: Callable[[int, Path], None]) -> None:
        self._folder, self._serve = folder, serve
        self._port = free_port(0)
        self.address = f"http://{HOST}:{self._port}"

    def start(self, serve: Callable[[int, Path], None] | None = None) -> None:
        """Starts the process, and returns once it answers."""
        self.process = CONTEXT.Process(
            target=serve or self._serve, args=(self._port, self._folder), daemon=True
        )
        self.process.start()
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and self.process.is_alive():
            if self._answers():
                return
            time.sleep(0.05)  # another process starts, and tells nobody when it has
        raise RuntimeError(f"the server at {self.address} does not answer")

    def kill(self) -> None:
        self.process.kill()
        self.process.join()

    def signal(self, number: int) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.address}/health", timeout=5):
                return True
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False


def serve_mlflow(port: int, folder: Path) -> None:
    """The application that ``mlflow server`` runs, with its artifact proxy."""
    from mlflow.server import constants

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ |= {
        constants.BACKEND_STORE_URI_ENV_VAR: f"sqlite:///{folder}/mlflow.db",
        constants.ARTIFACT_ROOT_ENV_VAR: "mlflow-artifacts:/",
        constants.ARTIFACTS_DESTINATION_ENV_VAR: str(folder / "artifacts"),
        constants.SERVE_ARTIFACTS_ENV_VAR: "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    import uvicorn
    from mlflow.server.fastapi_app import app

    uvicorn.run(app, host=HOST, port=port, log_level="critical")


def serve_errors(port: int, folder: Path) -> None:
    """A server that answers 500 to everything."""

    class Broken(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self.send_response(500)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    ThreadingHTTPServer((HOST, port), Broken).serve_forever()
