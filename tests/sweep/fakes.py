"""Fast replacements: a runner with made-up curves, and a launcher without processes.

``python -m tests.sweep.fakes STUDY_FILE`` drives a study with real workers and the made-up
runner, for tests that kill drivers.
"""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from sweep.launchers.base import Died, Ended, EpochEnded, Event, Failed, Job, Launcher, Note
from sweep.launchers.worker import Warn
from sweep.study.config import StudyConfig
from sweep.study.file import load
from sweep.study.folder import Gate, TrialRecord
from sweep.tracking.mirror import Answer, MlflowMirror
from sweep.tracking.registry import Candidate
from uvtex.config import TrainConfig
from uvtex.files import write_atomic
from uvtex.metric_catalogue import versions
from uvtex.runs.epochs import EpochReport, best_epoch, read_epochs, write_epochs
from uvtex.runs.folder import RunFolder
from uvtex.runs.test_figures import FinalFigures
from uvtex.thresholds import margin

RUNNER = "tests.sweep.fakes:fake"
SCHEDULES = {
    "baseline": {"cycle": 0.3, "uv": 0.25, "direct": 0.3, "cross": 0.15},
    "good": {"direct": 0.9, "lr_scheduler": "cosine"},
    "bad": {"direct": 0.1},
}


def study_file(folder: Path, **changes: Any) -> Path:
    """A study on the made-up curves: ``good`` passes, ``baseline`` and ``bad`` do not."""
    values: dict[str, Any] = {
        "name": "made-up",
        "data": {"path": str(folder / "data")},
        "train": {"image_size": 32, "device": "cpu"},
        "stages": {"probe": 6, "full": 8},
        "thresholds": [{"metric": "ssim_uv", "at_least": 0.6}],
        "trials": 5,
        "replicates": 1,
        "search": {"queue": list(SCHEDULES), "startup_trials": 4},
        "pruning": {"min_epochs": 3},
        "grids": 0,
        "store": str(folder / "store"),
    }
    values.update(changes)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "schedules.yaml").write_text(yaml.safe_dump(SCHEDULES))
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def study(folder: Path, **changes: Any) -> StudyConfig:
    return load(study_file(folder, **changes))


def fake(job: Job, warn: Warn) -> Iterator[dict[str, Any]]:
    """Curves that saturate at the direct weight's start, so that the schedule decides.

    Seed 0 is exact; other seeds move the end by up to 0.01.

    ``faults.json`` beside the trials can inject faults: ``{"die": {"0007/probe": 2}}`` kills the
    process before epoch 2, ``stop`` stops it, ``memory`` makes an allocation fail, each of them
    once or, if the faults say ``always``, whenever the epoch comes. A list of epochs does so before
    each of them. ``nan`` and ``raise`` take one epoch; ``sleep`` is seconds an epoch; ``warn`` is a
    warning after the last epoch.
    """
    config = TrainConfig.model_validate(job.config)
    run_dir = Path(job.run_dir)
    faults = _faults(run_dir)
    key = f"{run_dir.parent.name}/{run_dir.name}"
    run_dir.mkdir(parents=True, exist_ok=True)
    reports = read_epochs(run_dir) if job.resume else []
    for epoch in range(len(reports) + 1, config.epochs + 1):
        time.sleep(faults.get("sleep", 0))
        if faults.get("raise", {}).get(key) == epoch:
            raise ValueError("asked to")
        if _due("die", epoch, key, faults, run_dir):
            print("about to die", flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        if _due("stop", epoch, key, faults, run_dir):
            os.kill(os.getpid(), signal.SIGSTOP)
        if _due("memory", epoch, key, faults, run_dir):
            raise MemoryError("asked to")
        end = config.schedule.direct.start + 0.01 * math.sin(7 * config.seed)
        value = end * (1 - math.exp(-epoch / 3))
        if faults.get("nan", {}).get(key) == epoch:
            value = math.nan
        val = {"ssim_uv": value, "haarpsi_view": value / 2}
        val["margin"] = margin(val, config.thresholds)
        best = val["margin"] > max((r.val["margin"] for r in reports), default=-math.inf)
        reports.append(EpochReport(epoch, {}, 1e-4, {}, val, 0.01, 8, best))
        write_epochs(run_dir, reports)
        yield reports[-1].to_dict()
    if job.test and reports:
        _write_test_side(run_dir, best_epoch(reports) or reports[-1])
    if "warn" in faults:
        warn(faults["warn"])


def _write_test_side(run_dir: Path, best: EpochReport) -> None:
    """The test side has the figures of validation; two liveries lie 0.1 above and below them."""
    liveries = {
        name: {metric: value + step for metric, value in best.val.items()}
        for name, step in (("one", 0.1), ("other", -0.1))
    }
    figures = FinalFigures(
        checkpoint="checkpoints/best.safetensors",
        sha256="",
        epoch=best.epoch,
        test_fingerprint="made-up",
        metric_versions=versions(None),
        samples=2,
        metrics=best.val,
        by_livery=liveries,
    )
    write_atomic(RunFolder(run_dir).test, figures.model_dump_json().encode())


def _faults(run_dir: Path) -> dict[str, Any]:
    path = run_dir.parents[2] / "faults.json"
    return json.loads(path.read_text()) if path.is_file() else {}


def _due(fault: str, epoch: int, key: str, faults: dict[str, Any], run_dir: Path) -> bool:
    """Whether a fault is to happen now. A file in the run's folder says that it did."""
    asked = faults.get(fault, {}).get(key, [])
    if epoch not in (asked if isinstance(asked, list) else [asked]):
        return False
    marker = run_dir / f"{fault}-{epoch}"
    if marker.exists() and not faults.get("always"):
        return False
    marker.touch()
    return True


def inject_faults(study: StudyConfig, **faults: Any) -> None:
    study.paths.folder.mkdir(parents=True, exist_ok=True)
    (study.paths.folder / "faults.json").write_text(json.dumps(faults))


class InlineLauncher(Launcher):
    """Runs jobs in this process: one epoch of each slot for each ``wait``."""

    def __init__(self, slots: int = 1) -> None:
        self._slots = [f"inline-{i}" for i in range(slots)]
        self._runs: dict[str, Iterator[dict[str, Any]]] = {}
        self._pending: list[Event] = []
        self._waiting: set[str] = set()
        self.jobs: list[Job] = []

    @property
    def slots(self) -> Sequence[str]:
        return self._slots

    def start(self, slot: str, job: Job) -> None:
        assert slot not in self._runs, "the slot is busy"
        self.jobs.append(job)
        self._runs[slot] = fake(job, lambda text: self._pending.append(Note(slot, text)))

    def answer(self, slot: str, go_on: bool) -> None:
        if slot not in self._waiting:
            return  # it was killed meanwhile
        self._waiting.remove(slot)
        if not go_on:
            self._runs.pop(slot)
            self._pending.append(Ended(slot))

    def wait(self, timeout: float) -> list[Event]:
        for slot in list(self._runs):
            if slot in self._waiting:
                continue
            try:
                self._pending.append(EpochEnded(slot, next(self._runs[slot])))
                self._waiting.add(slot)
            except StopIteration:
                del self._runs[slot]
                self._pending.append(Ended(slot))
            except ValueError as error:
                del self._runs[slot]
                self._pending.append(Failed(slot, f"ValueError: {error}"))
        events, self._pending = self._pending, []
        return events

    def kill(self, slot: str) -> None:
        if self._runs.pop(slot, None) is not None:
            self._waiting.discard(slot)
            self._pending.append(Died(slot, "killed"))

    def close(self) -> None:
        self._runs.clear()


class NoMirror(MlflowMirror):
    """A mirror without MLflow, whose gate accepts every run."""

    def __init__(self, study: StudyConfig) -> None:
        super().__init__(study, print)
        self._told: deque[Answer] = deque()

    def study_started(self) -> None:
        pass

    def run_changed(self, *_: object) -> None:
        pass

    def ask(self, candidate: Candidate) -> None:
        self._told.append(Answer(candidate, self.promote(candidate)))

    def answers(self) -> list[Answer]:
        return [self._told.popleft() for _ in range(len(self._told))]

    def wait_for_answer(self, stopped: Callable[[], bool]) -> bool:
        return bool(self._told)

    def decided(self, found: Iterable[TrialRecord]) -> None:
        pass

    def promote(self, candidate: Candidate) -> Gate | None:
        seeds = tuple(candidate.replicates)
        return Gate(registered=True, version="1", champion=True, reason="the first", seeds=seeds)


def main() -> None:
    from sweep.driving.display import PlainDisplay
    from sweep.driving.driver import Driver
    from sweep.launchers.local import LocalLauncher, local_slots
    from sweep.study.lease import lease
    from uvtex.errors import UvtexError
    from uvtex.output import lasting

    config = load(Path(sys.argv[1]))
    try:
        with lease(config.paths):
            launcher = LocalLauncher(
                local_slots("cpu", config.workers), config.paths.folder, RUNNER
            )
            view = PlainDisplay(config.thresholds, lasting(sys.stdout))
            print(Driver(config, launcher, NoMirror(config), view).run())
    except UvtexError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
