"""The share of a trial's wall time that is not training: alone, with local workers, with Ray.

    python -m benchmarks.overhead                       # epochs of 1 s and of 10 s
    python -m benchmarks.overhead --seconds 1 --repeats 5

Each epoch multiplies matrices until its wall time is over, and writes a report as a trainer does.
So what training takes is known, and the rest is the machinery: start of a worker for the first
trial, events and answers, records, Optuna, and MLflow on SQLite. A trial lasts from its start to
its end, as the driver sees them. "Alone" is one process without a driver that makes the same epochs
and reports; its own start counts. The ways take turns in each repeat. After the first epoch what is
not training is events, answers and records alone, without the start of a worker.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import yaml

from sweep.driving.display import ProgressDisplay
from sweep.launchers.base import Job, Launcher
from sweep.study.folder import TrialRecord
from uvtex.runs.epochs import EpochReport, read_epochs, write_epochs

WAYS = ("alone", "local", "ray")
RUNNER = "benchmarks.overhead:work"


def work(job: Job, warn: Any) -> Iterator[dict[str, Any]]:
    """A runner whose epochs take the time that ``work.json`` in the study's folder says."""
    run_dir = Path(job.run_dir)
    seconds = json.loads((run_dir.parents[2] / "work.json").read_text())["seconds"]
    yield from epochs(run_dir, int(job.config["epochs"]), seconds)


def epochs(run_dir: Path, count: int, seconds: float) -> Iterator[dict[str, Any]]:
    """Epochs of fixed wall time, with reports on disk."""
    run_dir.mkdir(parents=True, exist_ok=True)
    reports = read_epochs(run_dir)
    matrix = np.ones((256, 256), np.float32)
    for epoch in range(len(reports) + 1, count + 1):
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            matrix = matrix @ matrix / 256
        val = {"ssim_uv": 1 - math.exp(-epoch), "haarpsi_view": 0.5, "margin": -0.1}
        reports.append(EpochReport(epoch, {}, 1e-4, {}, val, seconds, 8, True))
        write_epochs(run_dir, reports)
        yield reports[-1].to_dict()


def _alone(folder: Path, trials: int, count: int, seconds: float) -> float:
    code = (
        "import sys; from pathlib import Path; from benchmarks.overhead import epochs\n"
        f"for trial in range({trials}):\n"
        f"    for _ in epochs(Path({str(folder)!r}) / str(trial), {count}, {seconds}): pass\n"
    )
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return time.perf_counter() - began


class Timed(ProgressDisplay):
    """Adds up how long the runs of a study last, and their epochs but the first."""

    seconds = 0.0
    between = 0.0

    def started(self, record: TrialRecord, done: int) -> None:
        self._began = time.perf_counter()

    def epoch(self, record: TrialRecord, report: EpochReport) -> None:
        now = time.perf_counter()
        self.between += 0.0 if report.epoch == 1 else now - self._last
        self._last = now

    def ended(self, record: TrialRecord) -> None:
        self.seconds += time.perf_counter() - self._began


def _driven(way: str, folder: Path, trials: int, count: int, seconds: float, address: str) -> Timed:
    from sweep.driving.driver import Driver
    from sweep.launchers.local import LocalLauncher, local_slots
    from sweep.study.file import load
    from sweep.study.launcher_settings import LauncherSettings
    from sweep.tracking.mirror import MlflowMirror

    file = folder / "study.yaml"
    file.write_text(
        yaml.safe_dump(
            {
                "name": "overhead",
                "data": {"path": str(folder / "data")},
                "train": {"device": "cpu", "test_split": 0},
                "stages": {"probe": count, "full": count},
                "thresholds": [{"metric": "ssim_uv", "at_least": 2.0}],
                "pruning": {"enabled": False},
                "trials": trials,
                "replicates": 1,
                "search": {"startup_trials": trials},
                "grids": 0,
                "store": str(folder / "store"),
            }
        )
    )
    study = load(file)
    study.paths.folder.mkdir(parents=True)
    (study.paths.folder / "work.json").write_text(json.dumps({"seconds": seconds}))
    launcher: Launcher
    if way == "local":
        launcher = LocalLauncher(local_slots("cpu", 1), study.paths.folder, RUNNER)
    else:
        from sweep.launchers.ray_cluster.launcher import RayLauncher

        asked = LauncherSettings(kind="ray", address=address)
        data = _data(folder / "data")
        launcher = RayLauncher(asked, 1, "cpu", study.paths.folder, data, (), print, RUNNER)
    view = Timed()
    mirror = MlflowMirror(study, print)
    try:
        Driver(study, launcher, mirror, view).run()
    finally:
        mirror.close()
    return view


def _data(folder: Path) -> Path:
    """A data set of one record, which nothing reads."""
    folder.mkdir()
    for name in ("view.png", "texture.png"):
        (folder / name).write_bytes(b"")
    record = {"view": "view.png", "livery": "one", "texture": "texture.png"}
    manifest = {"version": 1, "records": [record]}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@click.command()
@click.option("--seconds", type=float, multiple=True, default=(1.0, 10.0), show_default=True)
@click.option("--repeats", type=int, default=3, show_default=True)
@click.option("--trials", type=int, default=2, show_default=True)
@click.option("--epochs", "count", type=int, default=10, show_default=True)
@click.option("--address", default="auto", show_default=True, help="Of a running Ray cluster.")
@click.option("--without-ray", is_flag=True)
def main(
    seconds: tuple[float, ...], repeats: int, trials: int, count: int, address: str,
    without_ray: bool,
) -> None:  # fmt: skip
    """Prints a line for each way and length of an epoch."""
    ways = [way for way in WAYS if way != "ray" or not without_ray]
    for length in seconds:
        took: dict[str, list[float]] = {way: [] for way in ways}
        later: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(repeats):
            for way in ways:
                with tempfile.TemporaryDirectory() as folder:
                    if way == "alone":
                        took[way].append(_alone(Path(folder), trials, count, length))
                    else:
                        seen = _driven(way, Path(folder), trials, count, length, address)
                        took[way].append(seen.seconds)
                        later[way].append(seen.between)
        for way in ways:
            shares = [100 * (1 - trials * count * length / whole) for whole in took[way]]
            work = trials * (count - 1) * length
            waits = [100 * (1 - work / whole) for whole in later[way]]
            print(
                f"{length:g} s epochs, {trials} x {count}, {way}: {_spread(took[way])} s, not "
                f"training {_spread(shares)} %, after the first epoch {_spread(waits)} %; "
                f"load {os.getloadavg()[0]:.0f}",
                flush=True,
            )


def _spread(values: list[float]) -> str:
    if not values:
        return "-"
    return f"{np.mean(values):.2f} ({min(values):.2f} to {max(values):.2f})"


if __name__ == "__main__":
    main()
