"""``sweep ui`` as a process: it serves, and Ctrl-C and SIGTERM end it and its children."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from tests.sweep.made_study import empty_store
from tests.sweep.tracking.mlflow_server import await_answer


def serving(folder: Path, call: str, **streams: int) -> subprocess.Popen[str]:
    """The process of a call of ``serve_ui``, in a process group of its own."""
    code = f"from sweep.tracking.pages import serve_ui; serve_ui({call})"
    return subprocess.Popen(
        [sys.executable, "-P", "-c", code],
        cwd=folder,
        text=True,
        start_new_session=True,
        # A background job of a shell has Ctrl-C ignored, and so have its children.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
        **streams,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_server_ends_with_the_command_and_imports_nothing_of_the_working_folder(
    tmp_path: Path, number: signal.Signals
) -> None:
    uri = empty_store(tmp_path)
    mark = tmp_path / "sprung"
    for name in ("mlflow", "uvicorn", "sqlalchemy", "random", "fractions"):
        (tmp_path / f"{name}.py").write_text(f"open({str(mark)!r}, 'w').close()")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with serving(tmp_path, f"{uri!r}, {port}", **streams) as process:
        assert process.stdout is not None
        address = f"http://127.0.0.1:{port}"
        assert address in process.stdout.readline()
        await_answer(address, process)
        process.send_signal(number)
        process.wait(timeout=30)
        assert process.stdout.read() == ""
    assert not mark.exists()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_an_address_that_others_reach_gives_a_warning_that_names_mlflows_login(
    tmp_path: Path,
) -> None:
    uri = empty_store(tmp_path)
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    with serving(tmp_path, f"{uri!r}, 0, '0.0.0.0'", **streams) as process:
        assert process.stderr is not None
        told = process.stderr.readline()
        os.killpg(process.pid, signal.SIGKILL)
    assert told.startswith("warning: MLflow has no login by default: whoever reaches 0.0.0.0 ")
    assert "--app-name basic-auth" in told
