"""A runner without training: real checkpoints of real networks, and curves from a formula.

An epoch takes milliseconds. Everything that it leaves on disk is written by the functions that the
trainer writes with, in the trainer's order.
"""

from __future__ import annotations

import json
import math
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from sweep.launchers.base import Job
from sweep.launchers.worker import Warn
from tests.faults.harness.tiny_study import FAULTS
from uvtex.config import TERMS, TrainConfig
from uvtex.files import sha256_of, write_atomic
from uvtex.metric_catalogue import versions
from uvtex.models import build
from uvtex.runs import checkpoint, folder
from uvtex.runs.epochs import EpochReport, best_epoch, write_epochs
from uvtex.runs.folder import RunFolder
from uvtex.runs.header import Header
from uvtex.runs.resume import read_state, restore_reports
from uvtex.runs.test_figures import FinalFigures
from uvtex.settings import dump_yaml
from uvtex.thresholds import margin
from uvtex.training.schedule import weights

RUNNER = "tests.faults.harness.runner:run"
DIGESTS = {
    "data_fingerprint": "v" * 16, "train_fingerprint": "t" * 16, "test_fingerprint": "e" * 16
}  # fmt: skip


def run(job: Job, warn: Warn) -> Iterator[dict[str, Any]]:
    """Runs a job; see :data:`sweep.launchers.worker.Runner`."""
    config = TrainConfig.model_validate(job.config)
    made = RunFolder(Path(job.run_dir))
    faults = Faults(made.path)
    made.checkpoints.mkdir(parents=True, exist_ok=True)
    folder.tidy(made)
    state = read_state(made, config, DIGESTS) if job.resume else None
    reports = restore_reports(made, state) if state is not None else []
    write_atomic(made.settings, dump_yaml(config).encode())
    networks = _networks(config)
    for epoch in range(len(reports) + 1, config.epochs + 1):
        faults.happen(epoch)
        report = _report(config, epoch, reports, faults)
        reports.append(report)
        _save(made, config, report, networks)
        write_epochs(made.path, reports)
        yield report.to_dict()
    best = best_epoch(reports)
    if job.test and best is not None:
        _write_test_side(made, config, best)
    if job.grids:
        made.grids.mkdir(exist_ok=True)
        Image.new("RGB", (12, 2), (epoch_colour(config), 90, 40)).save(
            made.grids / "sample_000.png"
        )


def epoch_colour(config: TrainConfig) -> int:
    return int(255 * min(1.0, config.schedule.direct.start))


class Faults:
    """What this run is to do wrong, by :data:`FAULTS` in the study's folder.

    ``sleep``: seconds an epoch. The others map a run's name, such as ``0001/probe``, to an epoch:
    ``raise``, ``die``, ``memory`` (asks for more than there is), ``hang`` and ``nan``. Each happens
    once, or always if ``always`` is set. ``print`` is a number of bytes that every epoch prints.
    """

    def __init__(self, run_dir: Path) -> None:
        path = run_dir.parents[2] / FAULTS
        self._of: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
        self._key = f"{run_dir.parent.name}/{run_dir.name}"
        self._marks = run_dir.parents[2] / "happened"

    def happen(self, epoch: int) -> None:
        time.sleep(self._of.get("sleep", 0))
        self._print(self._of.get("print", 0))
        if self.due("raise", epoch):
            raise ValueError("asked to")
        if self.due("memory", epoch):
            torch.empty(1 << 46, dtype=torch.uint8)
        if self.due("die", epoch):
            os.kill(os.getpid(), signal.SIGKILL)
        if self.due("hang", epoch):
            signal.pause()

    def due(self, fault: str, epoch: int) -> bool:
        if self._of.get(fault, {}).get(self._key) != epoch:
            return False
        mark = self._marks / f"{fault}-{self._key.replace('/', '-')}"
        if mark.exists() and not self._of.get("always"):
            return False
        mark.parent.mkdir(exist_ok=True)
        mark.touch()
        return True

    def _print(self, size: int) -> None:
        line = '{"event": "ended"}' + "x" * 1000
        for _ in range(size // len(line)):
            print(line)
        sys.stdout.flush()


def _report(
    config: TrainConfig, epoch: int, before: list[EpochReport], faults: Faults
) -> EpochReport:
    end = config.schedule.direct.start + 0.01 * math.sin(7 * config.seed)
    value = end * (1 - math.exp(-epoch / 1.5))
    if faults.due("nan", epoch):
        value = math.nan
    val = {"ssim_uv": value, "haarpsi_view": value / 2, "total": 1 - value}
    val["margin"] = margin(val, config.thresholds)
    best = val["margin"] > max((r.val["margin"] for r in before), default=-math.inf)
    train = {**dict.fromkeys(TERMS, 1 - value), "total": 1.1 - value}
    terms = weights(config.schedule, epoch, config.epochs)
    return EpochReport(epoch, terms, config.lr, train, val, 0.01, 8, best)


def _networks(config: TrainConfig) -> dict[str, torch.Tensor]:
    torch.manual_seed(config.seed)
    both = zip(("predictor", "renderer"), build(config, None), strict=True)
    return {
        f"{name}.{key}": tensor
        for name, network in both
        for key, tensor in network.state_dict().items()
    }


def _save(
    made: RunFolder, config: TrainConfig, report: EpochReport, networks: dict[str, torch.Tensor]
) -> None:
    header = Header(
        config=config,
        epoch=report.epoch,
        metrics=report.val,
        metric_versions=versions(None),
        **DIGESTS,
    )
    first = next(iter(networks))
    tensors = {**networks, first: networks[first] + report.epoch * config.schedule.direct.start}
    if report.best:
        checkpoint.save(made.best(config.checkpoint_name), tensors, header)
    if (every := config.checkpoint_every) and report.epoch % every == 0:
        checkpoint.save(made.periodic(config.checkpoint_name, report.epoch), tensors, header)
    resumable = header.model_copy(update={"report": report})
    checkpoint.save(made.last(config.checkpoint_name), tensors, resumable)


def _write_test_side(made: RunFolder, config: TrainConfig, best: EpochReport) -> None:
    """The test side has the figures of validation; two liveries lie 0.1 above and below them."""
    path = made.best(config.checkpoint_name)
    figures = FinalFigures(
        checkpoint=path.relative_to(made.path).as_posix(),
        sha256=sha256_of(path),
        epoch=best.epoch,
        test_fingerprint=DIGESTS["test_fingerprint"],
        metric_versions=versions(None),
        samples=2,
        metrics=best.val,
        by_livery={
            name: {metric: value + step for metric, value in best.val.items()}
            for name, step in (("one", 0.1), ("other", -0.1))
        },
    )
    write_atomic(made.test, figures.model_dump_json().encode())
