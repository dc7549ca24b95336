"""The registered model behind MLflow's scoring server: pictures of a livery over HTTP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
import torch

from sweep.study.config import StudyConfig
from sweep.tracking import export
from sweep.tracking.pages import HOST, free_port
from sweep.tracking.registry import fetch_checkpoint
from tests.sweep.tracking.mlflow_server import await_answer
from tests.sweep.tracking.tracked_runs import full_run, promote_run
from uvtex.runs.checkpoint import load

CHAMPION = "models:/uvtex@champion"


@contextmanager
def serving(study: StudyConfig) -> Iterator[str]:
    """The address of ``mlflow models serve``, as docs/how-to/serve.md starts it."""
    port = free_port(0)
    # MLflow starts a program by its name that lies beside Python.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = ["-m", "mlflow", "models", "serve", "-m", CHAMPION, "--env-manager", "local"]
    server = subprocess.Popen(
        [sys.executable, *command, "--host", HOST, "--port", str(port), "--workers", "1"],
        env={**os.environ, "MLFLOW_TRACKING_URI": study.tracking_uri, "PATH": path},
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


def answer(address: str, body: str) -> np.ndarray:
    request = urllib.request.Request(address, body.encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as reply:
        return np.array(json.load(reply)["predictions"])


@pytest.mark.slow
def test_a_server_makes_one_texture_of_several_pictures(
    study: StudyConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote_run(study, full_run(study, 0, reach=0.66))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", study.tracking_uri)
    checkpoint = fetch_checkpoint(CHAMPION)
    example = checkpoint.parent.parent / "serving_input_example.json"
    program = export.PicturesToTexture(load(checkpoint).predictor, 32)
    rng = np.random.default_rng(0)
    with serving(study) as address:
        for count in (1, 3):
            pictures = rng.integers(0, 256, (1, count, 20, 30, 3), dtype=np.uint8)
            made = answer(address, json.dumps({"inputs": pictures.tolist()}))
            with torch.no_grad():
                expected = program(torch.from_numpy(pictures)).numpy()
            np.testing.assert_allclose(made, expected, atol=1)
        assert answer(address, example.read_text()).shape == (export.EXAMPLE[0], 32, 32, 3)
        with pytest.raises(urllib.error.HTTPError) as refused:
            answer(address, json.dumps({"inputs": pictures[0].tolist()}))
        assert refused.value.code == 400
        assert "-1, -1, -1, -1, 3" in refused.value.read().decode()
