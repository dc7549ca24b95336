"""How long `sweep sync` takes, as a ratio to MLflow's own calls with the same numbers.

``python -m benchmarks.sync`` makes a study of probes on disk, each with curves, two checkpoints and
three grids, and an empty SQLite store for each repetition. It times, in the same process and in
turn:

- raw: ``create_run``, ``log_batch`` and ``log_artifact`` with the same parameters, metrics, tags,
  files, and ``set_terminated``: what no projection can do without;
- the first sync into the empty store, and the second, which finds nothing to do.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Param, RunTag

from sweep.study.config import StudyConfig
from sweep.study.folder import records
from sweep.tracking import schema
from sweep.tracking.sync import sync
from tests.sweep.made_study import add_checkpoint, add_trial, empty_store, make_study
from uvtex.runs.epochs import read_epochs
from uvtex.runs.folder import RunFolder


def made(folder: Path, runs: int) -> StudyConfig:
    """A study of ``runs`` probes that ended."""
    study = make_study(folder)
    for number in range(runs):
        _, run_dir = add_trial(study, number, grids=3)
        add_checkpoint(study, run_dir)
    return study


def raw(study: StudyConfig, uri: str) -> None:
    """The runs of ``study`` by as few calls as MLflow allows."""
    client = MlflowClient(uri)
    place = (study.paths.artifacts / "raw").resolve().as_uri()
    experiment = client.create_experiment("raw", artifact_location=place)
    for record in records(study.paths.folder):
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


def seconds(action: object, *args: object) -> float:
    began = time.perf_counter()
    action(*args)  # type: ignore[operator]
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=60)
    parser.add_argument("--repetitions", type=int, default=3)
    args = parser.parse_args()
    found: dict[str, list[float]] = {"first": [], "again": []}
    with tempfile.TemporaryDirectory() as scratch:
        study = made(Path(scratch), args.runs)
        for _ in range(args.repetitions):
            uri = empty_store(Path(scratch))
            plain = seconds(raw, study, uri)
            first, again = seconds(sync, study), seconds(sync, study)
            found["first"].append(first / plain)
            found["again"].append(again / plain)
            print(f"{args.runs} runs: raw {plain:.2f} s, sync {first:.2f} s, again {again:.2f} s")
    for name, ratios in found.items():
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        print(f"{name}: {statistics.median(ratios):.2f} of raw ({spread}, n={len(ratios)})")


if __name__ == "__main__":
    main()
