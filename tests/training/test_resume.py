"""Runs that are repeated or resumed: equal bit for bit, or refused."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.raw_header import read_raw, save_raw
from tests.sets import make_set
from tests.training.small_run import run, settings
from uvtex.data import manifest
from uvtex.data.store import PairStore
from uvtex.errors import CheckpointError
from uvtex.models.cameras import Cameras
from uvtex.runs import checkpoint
from uvtex.training.trainer import Trainer

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
"""The settings with which a run repeats bit for bit."""


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


def test_a_resumed_run_derives_its_camera_tables_from_the_cameras_in_its_checkpoint(
    tiny_set: Path, tmp_path: Path
) -> None:
    config = settings(preset="atlas")
    first = Trainer(config, PairStore.open(tiny_set, config), tmp_path)
    next(first.epochs())
    store = PairStore.open(tiny_set, config)
    bank = store.bank
    assert bank is not None
    # As another version of the light fit might compute it from the same pictures.
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
    if what in ("views", "textures"):  # masks and UV maps belong to a camera, and so to both sides
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
