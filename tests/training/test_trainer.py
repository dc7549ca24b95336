import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.raw_header import read_raw, save_raw
from tests.sets import make_set, make_showroom
from uvtex import files
from uvtex.config import Augment, TrainConfig, resolve
from uvtex.data import manifest
from uvtex.data.storage import views
from uvtex.data.store import PairStore
from uvtex.errors import BackboneMissing, CheckpointError, DivergenceError, UvtexError
from uvtex.models.correspondence import Cameras
from uvtex.runs import checkpoint
from uvtex.runs.epochs import read_epochs
from uvtex.thresholds import Threshold
from uvtex.training.trainer import Trainer

BASE = {
    "augment": {"background": 0},  # it is what this set's cameras are told apart by
    "image_size": 32,
    "width": 0.1,
    "batch_size": 4,
    "epochs": 3,
    "val_split": 0.34,
    "device": "cpu",
    "lr": 1e-3,
    "thresholds": [{"metric": "ssim_uv", "at_least": 0.2}],
}


def settings(**changes: Any) -> TrainConfig:
    return resolve(BASE, changes)


def run(config: TrainConfig, data: Path, out: Path, resume: bool = False) -> list[dict[str, Any]]:
    trainer = Trainer(config, PairStore.open(data, config), out, resume)
    for _ in trainer.epochs():
        pass
    reports = [report.to_dict() for report in read_epochs(out)]
    for report in reports:
        report.pop("seconds")
    return reports


EXACT = pytest.mark.parametrize(
    ("preset", "device", "precision"),
    [
        ("poc05", "cpu", "float32"),
        ("atlas", "cpu", "float32"),
        ("poc05", "cpu", "bf16"),
        ("atlas", "cpu", "bf16"),
        pytest.param(  # and not atlas: see Trainer
            "poc05",
            "cuda",
            "bf16",
            marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU"),
        ),
    ],
)
"""Where a run repeats bit for bit."""


@EXACT
def test_the_same_seed_gives_the_same_run_and_another_seed_a_different_one(
    tiny_set: Path, tmp_path: Path, preset: str, device: str, precision: str
) -> None:
    config = settings(preset=preset, device=device, precision=precision)
    one = run(config, tiny_set, tmp_path / "1")
    assert one == run(config, tiny_set, tmp_path / "2")
    assert one != run(config.model_copy(update={"seed": 1}), tiny_set, tmp_path / "3")
    assert [r["epoch"] for r in one] == [1, 2, 3]


@EXACT
def test_a_stopped_and_resumed_run_equals_an_uninterrupted_one(
    tiny_set: Path, tmp_path: Path, preset: str, device: str, precision: str
) -> None:
    schedule = {"uv": {"start": 0.4, "end": 0.1}}
    config = settings(preset=preset, device=device, precision=precision, schedule=schedule)
    whole = run(config, tiny_set, tmp_path / "whole")
    for _ in Trainer(config, PairStore.open(tiny_set, config), tmp_path / "cut").epochs():
        break
    assert run(config, tiny_set, tmp_path / "cut", resume=True) == whole
    weights = [
        checkpoint.read(tmp_path / name / "checkpoints/best_last.safetensors")[0]
        for name in ("whole", "cut")
    ]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
@pytest.mark.parametrize("preset", ["poc05", "atlas"])
def test_a_step_on_a_gpu_never_waits_for_the_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, preset: str
) -> None:
    monkeypatch.setattr(views, "KEPT", 0)  # views are composed at each step
    every = dict.fromkeys(Augment.model_fields, 0.1)
    config = settings(preset=preset, device="cuda", augment=every, texture_noise=0.1)
    store = PairStore.open(make_showroom(tmp_path / "set"), config)
    trainer = Trainer(config, store, tmp_path / "run")
    batches = store.train_batches(2, 0, 1, config.augment)
    weights = {"direct": 1.0, "uv": 1.0, "cycle": 1.0, "cross": 1.0, "flow": 1.0}
    noise = torch.Generator("cuda")
    trainer._step(next(batches), weights, noise)  # the first makes the optimisers' state
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        trainer._step(next(batches), weights, noise)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_a_resumed_run_derives_its_camera_tables_from_the_cameras_in_its_checkpoint(
    tiny_set: Path, tmp_path: Path
) -> None:
    config = settings(preset="atlas")
    first = Trainer(config, PairStore.open(tiny_set, config), tmp_path)
    next(first.epochs())
    store = PairStore.open(tiny_set, config)
    bank = store.bank
    assert bank is not None
    # As another version of the fit of lights might have it, from the same pictures.
    other = replace(bank, falling=bank.falling * 0.7, flow=bank.flow.flip(0))
    store = replace(store, given_bank=other)
    old, new = first.predictor.cameras, Trainer(config, store, tmp_path, True).predictor.cameras
    for name in ("flow", "falling", "weight", "reach"):
        assert torch.equal(getattr(new, name), getattr(old, name)), name
    assert not torch.equal(Cameras(other).weight, new.weight)
    assert not torch.equal(Cameras(other).reach, new.reach)


def test_a_run_killed_between_checkpoint_and_report_keeps_the_epoch(
    tiny_set: Path, tmp_path: Path
) -> None:
    config = settings()
    whole = run(config, tiny_set, tmp_path)
    lines = (tmp_path / "epochs.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "epochs.jsonl").write_text("".join(lines[:-1]) + lines[-1][:20])
    assert run(config, tiny_set, tmp_path, resume=True) == whole


def test_the_best_checkpoint_is_from_the_epoch_with_the_best_margin(
    tiny_set: Path, tmp_path: Path
) -> None:
    config = settings(epochs=4, checkpoint_every=2)
    reports = run(config, tiny_set, tmp_path)
    best = max(reports, key=lambda r: r["val"]["margin"])
    loaded = checkpoint.load(tmp_path / "checkpoints/best.safetensors")
    assert (loaded.header.epoch, loaded.header.metrics) == (best["epoch"], best["val"])
    assert {p.name for p in (tmp_path / "checkpoints").iterdir()} == {
        "best.safetensors",
        "best_last.safetensors",
        "best_epoch002.safetensors",
        "best_epoch004.safetensors",
    }


def test_total_uses_the_weights_of_the_epoch_and_total_ref_the_default_weights(
    tiny_set: Path, tmp_path: Path
) -> None:
    weights = {"cycle": 0.1, "uv": 0.2, "direct": 0.9, "cross": 0.0}
    config = settings(epochs=1, schedule=weights)
    val = run(config, tiny_set, tmp_path)[0]["val"]
    assert val["total"] == pytest.approx(sum(w * val[k] for k, w in weights.items()))
    default = {"cycle": 0.3, "uv": 0.25, "direct": 0.3, "cross": 0.15}
    assert val["total_ref"] == pytest.approx(sum(w * val[k] for k, w in default.items()))


def test_the_trainer_learns(tmp_path: Path) -> None:
    """Two liveries of which the trained one comes back at SSIM(UV) 0.9 or better."""
    from uvtex.evaluation.measure import measure

    data = make_set(tmp_path / "set", liveries=2, cameras=2)
    config = settings(
        epochs=150,
        width=0.5,
        batch_size=2,
        val_split=0.5,
        lr=2e-3,
        schedule={"cycle": 0.1, "uv": 0.1, "direct": 1.0, "cross": 0.0},
    )
    store = PairStore.open(data, config)
    trainer = Trainer(config, store, tmp_path / "run")
    for _ in trainer.epochs():
        pass
    store = replace(store, val=store.train)  # the scores of the samples it was fitted to
    fitted = measure(trainer.predictor, trainer.renderer, store, config, None)
    assert fitted["ssim_uv"] >= 0.9


@pytest.mark.parametrize("preset", ["poc05", "atlas"])
def test_bf16_trains_close_to_float32(tiny_set: Path, tmp_path: Path, preset: str) -> None:
    # Until the cameras are told apart a rounding decides between them: that is epoch one.
    losses = [
        run(settings(preset=preset, precision=p, epochs=4), tiny_set, tmp_path / p)[-1]["train"]
        for p in ("float32", "bf16")
    ]
    assert losses[0] != losses[1]
    for term in ("cycle", "uv", "direct", "total"):
        assert losses[1][term] == pytest.approx(losses[0][term], rel=0.05)


def test_adam_uses_the_rate_and_the_betas_of_the_settings(tiny_set: Path, tmp_path: Path) -> None:
    config = settings(lr=3e-4, beta1=0.7, beta2=0.97)
    trainer = Trainer(config, PairStore.open(tiny_set, config), tmp_path / "run")
    next(trainer.epochs())
    groups = [g for adam in trainer._optimizers.values() for g in adam.param_groups]
    assert [(group["lr"], group["betas"]) for group in groups] == [(3e-4, (0.7, 0.97))] * 2


def test_a_second_run_in_the_same_folder_is_refused(tiny_set: Path, tmp_path: Path) -> None:
    config = settings(epochs=1)
    run(config, tiny_set, tmp_path)
    with pytest.raises(UvtexError, match="holds a run already"):
        run(config, tiny_set, tmp_path)


def test_resuming_with_other_settings_or_data_is_refused(tiny_set: Path, tmp_path: Path) -> None:
    run(settings(epochs=1), tiny_set, tmp_path / "run")
    with pytest.raises(CheckpointError, match=r"lr was 0\.001, now 0\.5"):
        run(settings(epochs=1, lr=0.5), tiny_set, tmp_path / "run", resume=True)
    other = make_set(tmp_path / "other", seed=9)
    with pytest.raises(CheckpointError, match="data set has changed"):
        run(settings(epochs=1), other, tmp_path / "run", resume=True)
    last = tmp_path / "run/checkpoints/best_last.safetensors"
    tensors, header = read_raw(last)
    del header["config"]["beta1"]
    save_raw(last, tensors, header)
    with pytest.raises(CheckpointError, match="version that had no beta1; use another run name"):
        run(settings(epochs=1, beta1=0.9), tiny_set, tmp_path / "run", resume=True)


@pytest.mark.parametrize("preset", ["poc05", "atlas"])
def test_resuming_networks_of_another_version_is_refused(
    tiny_set: Path, tmp_path: Path, preset: str
) -> None:
    config = settings(epochs=1, preset=preset)
    run(config, tiny_set, tmp_path / "run")
    last = tmp_path / "run/checkpoints/best_last.safetensors"
    tensors, header = checkpoint.read(last)
    name = next(k for k in sorted(tensors) if k.startswith("predictor.") and k.endswith(".bias"))
    checkpoint.save(last, {**tensors, name: torch.zeros(3)}, header)
    with pytest.raises(CheckpointError, match=rf"best_last.*do not fit preset '{preset}'.*anew"):
        run(config, tiny_set, tmp_path / "run", resume=True)


@pytest.mark.parametrize("what", ["views", "masks", "uv_maps", "textures"])
@pytest.mark.parametrize("side", ["train", "val"])
def test_resuming_is_refused_when_one_file_of_the_set_has_changed(
    tiny_set: Path, tmp_path: Path, what: str, side: str
) -> None:
    config = settings(epochs=1)
    data = shutil.copytree(tiny_set, tmp_path / "set")
    store = PairStore.open(data, config)
    next(Trainer(config, store, tmp_path / "run").epochs())
    record = manifest.read(data).records[getattr(store, side)[0]]
    path = data / str(getattr(record, what.removesuffix("s")))
    if what == "uv_maps":
        np.savez(path, uv=np.load(path)["uv"][::-1])
    else:
        pixels = np.asarray(Image.open(path)).copy()
        pixels[9, 9] ^= 1
        Image.fromarray(pixels).save(path)
    changed = PairStore.open(data, config)
    if what in ("views", "textures"):  # masks and UV maps are a camera's, and so of both sides
        assert (changed.fingerprint() == store.fingerprint()) == (side == "train")
    else:
        assert changed.fingerprint() != store.fingerprint()
        assert changed.train_fingerprint() != store.train_fingerprint()
    with pytest.raises(CheckpointError, match="the data set has changed since; start anew"):
        Trainer(config, changed, tmp_path / "run", resume=True)


def test_an_older_checkpoint_without_a_training_fingerprint_is_resumed(
    tiny_set: Path, tmp_path: Path
) -> None:
    whole = run(settings(), tiny_set, tmp_path / "whole")
    run(settings(epochs=1), tiny_set, tmp_path)
    last = tmp_path / "checkpoints/best_last.safetensors"
    tensors, header = read_raw(last)
    del header["train_fingerprint"]
    header["data_fingerprint"] = "0" * 16  # by the definition of its time
    header["config"]["epochs"] = 3
    save_raw(last, tensors, header)
    assert run(settings(), tiny_set, tmp_path, resume=True) == whole


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
    """Its one training loss was finite: no loss has seen what the step made."""
    config = settings(preset=preset, lr=1e39, batch_size=64)
    with pytest.raises(DivergenceError, match=rf"epoch 1: parameter '{first}' is NaN or inf"):
        run(config, tiny_set, tmp_path)
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_nan_in_the_pose_network_leaves_the_previous_checkpoint(
    tiny_set: Path, tmp_path: Path
) -> None:
    """Its NaNs still point at a camera, so that validation's figures are finite."""
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
