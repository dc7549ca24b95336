"""How long `sweep sync` takes a run, as a ratio to MLflow's own calls with the same numbers.

``python -m benchmarks.sync --runs 250 1000`` makes studies of probes on disk, each probe with
curves, two checkpoints and three grids, and an empty SQLite store for each. It times, in one
process and in turn:

- raw, of the first 60 probes: ``create_run``, ``log_batch`` and ``log_artifact`` with the same
  parameters, metrics, tags, files, and ``set_terminated``: what no projection can do without;
- the first sync into the empty store;
- a second one, which finds nothing to do.

The milliseconds are of processor time, and by the clock.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from mlflow import MlflowClient
from mlflow.entities import Param, RunTag

from sweep.study.config import StudyConfig
from sweep.study.folder import records
from sweep.tracking import schema
from sweep.tracking.sync import sync
from tests.sweep.made_study import add_checkpoint, add_trial, empty_store, make_study
from uvtex.runs.epochs import read_epochs
from uvtex.runs.folder import RunFolder

RAW_RUNS = 60
"""So many runs are enough to tell what MLflow's own calls take."""


def made(folder: Path, runs: int) -> StudyConfig:
    """A study of ``runs`` probes that ended."""
    study = make_study(folder)
    for number in range(runs):
        _, run_dir = add_trial(study, number, grids=3)
        add_checkpoint(study, run_dir)
    return study


def raw(study: StudyConfig, uri: str, most: int) -> None:
    """The first runs of ``study`` by as few calls as MLflow allows."""
    client = MlflowClient(uri)
    place = (study.paths.artifacts / "raw").resolve().as_uri()
    experiment = client.create_experiment("raw", artifact_location=place)
    for record in records(study.paths.folder)[:most]:
        run_dir = study.paths.run_dir(*record.key)
        config = RunFolder(run_dir).read_settings()
        assert config is not None
        run_id = client.create_run(experiment).info.run_id
        metrics = [
            metric
            for report in read_epochs(run_dir)
            for metric in schema.metrics(record, report, record.started or 0.0)
        ]
        params = [Param(*item) for item in schema.params(record, config).items()]
        tags = [RunTag(*item) for item in schema.tags(record).items()]
        client.log_batch(run_id, metrics[:800], params[:100], tags[:100])
        for path in schema.artifacts(run_dir):
            folder = None if path.parent == run_dir else path.parent.name
            client.log_artifact(run_id, str(path), folder)
        client.set_terminated(run_id)


def milliseconds(runs: int, action: object, *args: object) -> np.ndarray:
    """Milliseconds a run that ``action`` takes: of processor time, and by the clock."""
    began = time.process_time(), time.perf_counter()
    action(*args)  # type: ignore[operator]
    taken = time.process_time() - began[0], time.perf_counter() - began[1]
    return 1000 * np.array(taken) / runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, nargs="+", default=[60])
    args = parser.parse_args()
    print("| runs | what | processor ms a run | of raw | ms a run by the clock |")
    print("| --- | --- | --- | --- | --- |")
    for runs in args.runs:
        with tempfile.TemporaryDirectory() as scratch:
            study = made(Path(scratch), runs)
            uri, some = empty_store(Path(scratch)), min(runs, RAW_RUNS)
            taken = {"raw": milliseconds(some, raw, study, uri, some)}
            taken |= {name: milliseconds(runs, sync, study) for name in ("first", "again")}
            for name, (used, took) in taken.items():
                ratio = used / taken["raw"][0]
                print(f"| {runs:,} | {name} | {used:.1f} | {ratio:.2f} | {took:.1f} |", flush=True)


if __name__ == "__main__":
    main()
