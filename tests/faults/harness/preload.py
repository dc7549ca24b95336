"""Done once by the server process that forks commands: imports, and the first use of libraries.

Each library does something slow when it is first used: it imports more, or maps its tables. What is
done here has no effect but that.
"""

from __future__ import annotations

import errno
import gc
import importlib
import tempfile
import threading
from multiprocessing import reduction
from pathlib import Path
from socket import socket

MODULES = (
    "mlflow.pyfunc",
    "mlflow.pytorch",
    "mlflow.system_metrics.system_metrics_monitor",
    "optuna.samplers._tpe.sampler",
    "plotly.graph_objects",
    "plotly.offline",
    "sweep.cli",
    "sweep.driving.session",
    "sweep.driving.driver",
    "sweep.launchers.local",
    "sweep.launchers.training",
    "sweep.report",
    "sweep.report.summary",
    "sweep.tracking.export",
    "sweep.tracking.mirror",
    "sweep.tracking.registry",
    "sweep.tracking.sync",
    "sweep.upkeep.doctor",
    "tests.faults.harness.lab",
    "tests.faults.harness.runner",
    "tests.faults.harness.snapshot",
)


def warm_up() -> None:
    """Uses metrics, charts, Optuna and MLflow once, in a folder that is removed again."""
    import plotly.graph_objects as go
    import torch

    from uvtex.metrics.similarity import ssim_map

    ssim_map(torch.zeros(1, 3, 32, 32), torch.zeros(1, 3, 32, 32))
    go.Figure(go.Scatter(x=[1], y=[1])).to_html(include_plotlyjs=False)
    with tempfile.TemporaryDirectory() as folder:
        _use_optuna(Path(folder))
        _use_mlflow(Path(folder))


def _use_optuna(folder: Path) -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = optuna.storages.RDBStorage(f"sqlite:///{folder}/optuna.db")
    study = optuna.create_study(storage=storage)
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    storage.remove_session()
    storage.engine.dispose()


def _use_mlflow(folder: Path) -> None:
    from mlflow.entities import Metric, Param, RunTag
    from mlflow.tracking._tracking_service.utils import _get_store

    from sweep.tracking import client as seam

    uri = f"sqlite:///{folder}/mlflow.db"
    client = seam.client(uri)
    experiment = client.create_experiment("warm", artifact_location=folder.as_uri())
    run = client.create_run(experiment).info.run_id
    client.log_batch(run, [Metric("m", 1.0, 0, 0)], [Param("p", "1")], [RunTag("t", "1")])
    client.log_text(run, "text", "text.txt")
    client.get_metric_history(run, "m")
    client.search_runs([experiment], "tags.`t` = '1'")
    client.create_registered_model("warm")
    client.search_model_versions("name = 'warm'")
    _get_store(seam.absolute(uri)).engine.dispose()


really_receive = reduction.recvfds


def receive(connection: socket, size: int) -> list[int]:
    """Ends a request that was cut off, and not the server, as Python's own function does.

    A driver may be killed while it asks for a worker. The server goes on after this error.
    """
    try:
        return really_receive(connection, size)
    except EOFError as error:
        raise ConnectionAbortedError(errno.ECONNABORTED, str(error)) from None


reduction.recvfds = receive
for module in MODULES:
    importlib.import_module(module)
warm_up()
gc.freeze()  # a collection in a fork would touch, and so copy, all of this
assert threading.active_count() == 1, threading.enumerate()  # a fork copies only one of them
