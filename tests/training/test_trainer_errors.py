"""Errors in training: what is refused, and which checkpoint remains."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.small_run import run, settings
from uvtex import files
from uvtex.data.store import PairStore
from uvtex.errors import BackboneMissing, CheckpointError, DivergenceError, UvtexError
from uvtex.runs import checkpoint
from uvtex.thresholds import Threshold
from uvtex.training.trainer import Trainer


def test_a_second_run_in_the_same_folder_is_refused(tiny_set: Path, tmp_path: Path) -> None:
    config = settings(epochs=1)
    run(config, tiny_set, tmp_path)
    with pytest.raises(UvtexError, match="holds a run already"):
        run(config, tiny_set, tmp_path)


def test_a_loss_that_diverges_names_epoch_step_and_term(tiny_set: Path, tmp_path: Path) -> None:
    config = settings()
    store = PairStore.open(tiny_set, config)
    trainer = Trainer(config, store, tmp_path)
    epochs = trainer.epochs()
    next(epochs)
    before = (tmp_path / "checkpoints/best_last.safetensors").read_bytes()
    with torch.no_grad():
        next(trainer.renderer.parameters()).fill_(float("nan"))
    with pytest.raises(DivergenceError, match=r"epoch 2, step 1: loss term 'cycle' is nan"):
        next(epochs)
    assert (tmp_path / "checkpoints/best_last.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("preset", "first"), [("poc05", r"predictor\.\S+"), ("atlas", r"predictor\.place")]
)
def test_weights_that_become_nan_in_the_last_step_are_never_saved(
    tiny_set: Path, tmp_path: Path, preset: str, first: str
) -> None:
    """The only training loss was finite: no loss was computed after the step."""
    config = settings(preset=preset, lr=1e39, batch_size=64)
    with pytest.raises(DivergenceError, match=rf"epoch 1: parameter '{first}' is NaN or inf"):
        run(config, tiny_set, tmp_path)
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_nan_in_the_pose_network_leaves_the_previous_checkpoint(
    tiny_set: Path, tmp_path: Path
) -> None:
    """NaN scores still select a camera, so the validation metrics are finite."""
    config = settings(preset="atlas")
    trainer = Trainer(config, PairStore.open(tiny_set, config), tmp_path)
    epochs = trainer.epochs()
    next(epochs)
    before = (tmp_path / "checkpoints/best_last.safetensors").read_bytes()

    def spoil(stage: str, done: int, total: int, left: str = "") -> None:
        if done == total:
            with torch.no_grad():
                trainer.predictor.pose.camera.weight.fill_(float("nan"))

    trainer.progress = spoil
    with pytest.raises(DivergenceError, match=r"epoch 2: parameter 'predictor\.pose\.camera\.w"):
        next(epochs)
    assert (tmp_path / "checkpoints/best_last.safetensors").read_bytes() == before


def test_a_full_disk_leaves_the_previous_checkpoint(
    tiny_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = settings()
    epochs = Trainer(config, PairStore.open(tiny_set, config), tmp_path).epochs()
    next(epochs)
    before = {p.name: p.read_bytes() for p in (tmp_path / "checkpoints").iterdir()}

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(UvtexError, match="No space left on device"):
        next(epochs)
    assert {p.name: p.read_bytes() for p in (tmp_path / "checkpoints").iterdir()} == before


def test_a_threshold_on_lpips_without_a_backbone_is_refused_at_once(
    tiny_set: Path, tmp_path: Path
) -> None:
    config = settings(thresholds=[Threshold(metric="lpips_view", at_most=0.5).model_dump()])
    with pytest.raises(BackboneMissing, match="alexnet"):
        Trainer(config, PairStore.open(tiny_set, config), tmp_path)


def test_a_threshold_on_a_metric_that_the_set_does_not_have_is_refused(
    tiny_set: Path, tmp_path: Path
) -> None:
    config = settings(thresholds=[Threshold(metric="seam_uv", at_most=0.1).model_dump()])
    trainer = Trainer(config, PairStore.open(tiny_set, config), tmp_path)
    with pytest.raises(UvtexError, match=r"on seam_uv, which this data set does not.*bleed"):
        next(trainer.epochs())


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda b: b[: len(b) // 2], "not a whole safetensors file"),
        (lambda b: b"", "not a whole safetensors file"),
        (
            lambda b: b.replace(b'\\"version\\":1', b'\\"version\\":9').replace(
                b'\\"version\\": 1', b'\\"version\\": 9'
            ),
            "newer uvtex",
        ),
        (lambda b: b.replace(b'\\"preset\\": \\"poc05\\"', b'\\"preset\\": \\"bankk\\"'), "preset"),
    ],
)
def test_a_damaged_checkpoint_is_named(
    tiny_set: Path, tmp_path: Path, damage: Any, says: str
) -> None:
    run(settings(epochs=1), tiny_set, tmp_path)
    path = tmp_path / "checkpoints/best.safetensors"
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    assert path.read_bytes() != whole
    with pytest.raises(CheckpointError, match=says) as caught:
        checkpoint.load(path)
    assert str(path) in str(caught.value)
