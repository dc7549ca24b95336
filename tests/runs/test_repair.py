"""A run whose files are broken begins anew, and its epochs have the same figures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from sweep.launchers.base import Job
from sweep.launchers.training import train
from uvtex.config import TrainConfig
from uvtex.runs import checkpoint
from uvtex.runs.epochs import read_epochs
from uvtex.runs.folder import RunFolder
from uvtex.runs.repair import put_aside_broken
from uvtex.thresholds import Threshold

CONFIG = TrainConfig(
    epochs=3, image_size=32, width=0.1, val_split=0.34, device="cpu",
    thresholds=(Threshold(metric="ssim_uv", at_least=0.5),),
)  # fmt: skip
NAME = CONFIG.checkpoint_name
LAST = f"checkpoints/{NAME}_last.safetensors"
BEST = f"checkpoints/{NAME}.safetensors"


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def begin(run_dir: Path, data: Path, epochs: int) -> list[str]:
    """Trains a run up to an epoch, or on from where it is; returns the warnings."""
    warnings: list[str] = []
    job = Job(CONFIG.model_dump(mode="json"), str(data), str(run_dir), resume=True, grids=0)
    for report in train(job, warnings.append):
        if report["epoch"] == epochs:
            break
    return warnings


def figures(run_dir: Path) -> list[dict[str, float]]:
    return [report.val for report in read_epochs(run_dir)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, tiny_set: Path) -> Path:
    """A run that nothing disturbed."""
    run_dir = tmp_path_factory.mktemp("whole")
    assert begin(run_dir, tiny_set, 3) == []
    return run_dir


@pytest.mark.parametrize(
    ("file", "damage", "said", "kept"),
    [
        (LAST, cut, "is not whole; it is kept as best_last.safetensors.broken", True),
        (LAST, lambda path: path.write_bytes(b"\0" * 4096), "is not whole", True),
        (LAST, Path.unlink, "is missing", False),
        (BEST, cut, "is not whole; it is kept as best.safetensors.broken", True),
        (BEST, Path.unlink, "is missing", False),
        ("epochs.jsonl", lambda path: path.write_bytes(b""), "lacks epoch 1", True),
        ("epochs.jsonl", lambda path: path.write_text("{\n{\n"), ":1: not an epoch report", True),
        ("epochs.jsonl", lambda path: path.write_bytes(b"\xff\n"), "utf-8", True),
    ],
)
def test_a_broken_file_is_put_aside_and_the_run_begins_anew(
    file: str, damage: Callable[[Path], object], said: str, kept: bool,
    tmp_path: Path, tiny_set: Path, whole: Path,
) -> None:  # fmt: skip
    begin(tmp_path, tiny_set, 2)
    damage(tmp_path / file)
    (warning,) = begin(tmp_path, tiny_set, 3)
    assert warning.startswith("the run begins anew, because ")
    assert said in warning
    assert figures(tmp_path) == figures(whole)
    assert Path(f"{tmp_path / file}.broken").is_file() == kept
    for name in (LAST, BEST):
        ours, theirs = (checkpoint.read(run_dir / name)[0] for run_dir in (tmp_path, whole))
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_a_report_that_is_missing_behind_the_last_checkpoint_is_put_back(
    tmp_path: Path, tiny_set: Path, whole: Path
) -> None:
    begin(tmp_path, tiny_set, 2)
    file = RunFolder(tmp_path).epochs
    file.write_bytes(file.read_bytes()[:-40])
    assert begin(tmp_path, tiny_set, 3) == []
    assert figures(tmp_path) == figures(whole)


def test_a_folder_without_a_run_is_left_as_it_is(tmp_path: Path, whole: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("*")}
    assert put_aside_broken(RunFolder(whole), NAME) == []
    assert put_aside_broken(RunFolder(tmp_path), NAME) == []
    assert {path: path.stat().st_mtime_ns for path in whole.rglob("*")} == before
