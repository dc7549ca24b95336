"""The bar, the lines and the summary of `uvtex train`."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from uvtex.cli.train_progress import Bar, summary
from uvtex.config import TrainConfig, resolve
from uvtex.data.store import PairStore
from uvtex.runs.epochs import EpochReport
from uvtex.runs.test_figures import FinalFigures
from uvtex.training.trainer import Trainer

THRESHOLDS = [{"metric": "ssim_uv", "at_least": 0.2}, {"metric": "lpips_view", "at_most": 0.5}]


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def config() -> TrainConfig:
    return resolve({"epochs": 10, "thresholds": THRESHOLDS})


def report(epoch: int, best: bool = True) -> EpochReport:
    val = {"ssim_uv": 0.1 + epoch / 100, "lpips_view": 0.6, "margin": -0.2}
    return EpochReport(epoch, {}, 1e-3, {"total": 0.5}, val, 1.0, 8, best)


def drawn(bar: Bar) -> str:
    console = Console(file=io.StringIO(), width=110, color_system=None)
    with console.capture() as capture:
        console.print(bar.get_renderable())
    return capture.get()


def test_the_bar_shows_epoch_step_metrics_and_time_left(config: TrainConfig) -> None:
    clock = Clock()
    bar = Bar(config, 8, Console(file=io.StringIO()), clock)
    bar.begin([])
    assert "epoch 1/10" in drawn(bar)
    assert "time left not known yet" in drawn(bar)

    clock.now += 4
    bar.step("steps", 4, 8)  # one second a step, 80 steps in total
    assert "step 4/8, about 76 s left" in drawn(bar)

    clock.now += 6
    bar.epoch(report(1))  # with validation the epoch took 10 s
    assert "epoch 2/10" in drawn(bar)
    assert "step 0/8, about 2 min left" in drawn(bar)
    assert "ssim_uv 0.1100 (>= 0.2)  lpips_view 0.6000 (<= 0.5)" in drawn(bar)

    clock.now += 8
    bar.step("steps", 8, 8)
    assert "validating, about 82 s left" in drawn(bar)


def test_a_resumed_run_starts_with_its_last_metrics(config: TrainConfig) -> None:
    bar = Bar(config, 8, Console(file=io.StringIO()), Clock())
    bar.begin([report(1), report(2, best=False)])
    assert "epoch 3/10" in drawn(bar)
    assert "epoch 2: ssim_uv 0.1200" in drawn(bar)


def test_each_epoch_prints_a_line_above_the_bar(config: TrainConfig) -> None:
    out = io.StringIO()
    with Bar(config, 8, Console(file=out, width=110), Clock()) as bar:
        bar.epoch(report(1))
    assert "epoch 1/10  total 0.5000  ssim_uv 0.1100" in out.getvalue()


@pytest.mark.parametrize(("margin", "says"), [(0.01, ": passes"), (-0.01, "does not pass")])
def test_the_summary_has_the_best_epoch_and_the_paths(
    config: TrainConfig, margin: float, says: str
) -> None:
    best = report(7)
    best.val["margin"] = margin
    text = summary(best, None, config, Path("runs/x"), Path("runs/x/checkpoints/x.safetensors"))
    assert "best epoch 7 of 10" in text
    assert says in text
    for name in ("checkpoints/x.safetensors", "epochs.jsonl", "config.yaml"):
        assert str(Path("runs/x") / name) in text


@pytest.mark.parametrize(
    ("metrics", "says"),
    [
        ({"margin": -0.5}, "test side (1 livery, unseen till now), margin -0.500: does not pass"),
        ({}, "a metric that has a threshold is not defined there"),
    ],
)
def test_the_summary_has_the_test_side_beside_validation(
    config: TrainConfig, metrics: dict[str, float], says: str
) -> None:
    best = report(7)
    measured = {**best.val, "margin": 0.0, **metrics} if metrics else {}
    test = FinalFigures(
        checkpoint="checkpoints/x.safetensors",
        sha256="",
        epoch=7,
        test_fingerprint="",
        metric_versions={},
        samples=3,
        metrics=measured,
        by_livery={"red": measured},
    )
    text = summary(best, test, config, Path("runs/x"), Path("x.safetensors"))
    assert text.index("best epoch 7 of 10") < text.index("test side")
    assert says in text
    assert str(Path("runs/x/test.json")) in text


def test_a_trainer_reports_its_steps(tiny_set: Path, tmp_path: Path) -> None:
    values = {"image_size": 32, "width": 0.1, "epochs": 2, "val_split": 0.34, "batch_size": 5}
    settings = resolve({**values, "thresholds": THRESHOLDS[:1], "device": "cpu"})
    store = PairStore.open(tiny_set, settings)
    trainer = Trainer(settings, store, tmp_path / "run")
    steps: list[tuple[int, int]] = []
    trainer.progress = lambda stage, done, total, left="": steps.append((done, total))
    assert [r.epoch for r in trainer.epochs()] == [1, 2]
    assert steps == [(1, 3), (2, 3), (3, 3)] * 2
    assert store.steps(5) == 3


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_terminal_gets_a_bar_and_a_summary(tiny_set: Path, tmp_path: Path) -> None:
    flags = "--image-size 32 --width 0.1 --epochs 2 --val-split 0.34".split()
    ours, theirs = os.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "uvtex", "train", str(tiny_set), *flags],
        cwd=tmp_path,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm"},
    ) as process:
        os.close(theirs)
        text = read_all(ours)
    assert process.returncode == 0, text
    assert "━" in text
    assert "validating" in text
    assert "best epoch" in text


def read_all(terminal: int) -> str:
    shown = bytearray()
    with open(terminal, "rb", buffering=0) as file, contextlib.suppress(OSError):
        while data := file.read(4096):  # Linux raises EIO once the other side is closed
            shown.extend(data)
    return shown.decode()
