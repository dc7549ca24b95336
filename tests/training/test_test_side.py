"""Nothing of the test side reaches a run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.sets import make_set, make_showroom, uv_map
from tests.training.small_run import run, settings
from uvtex.config import TrainConfig
from uvtex.data import manifest
from uvtex.data.store import PairStore
from uvtex.errors import CheckpointError
from uvtex.imaging.constant_texels import LEAST
from uvtex.runs import checkpoint
from uvtex.runs.folder import RunFolder

SIZE = 32


def plain(folder: Path) -> Path:
    return make_set(folder, liveries=8, cameras=3, shapes=True)


def pairs_alone(folder: Path) -> Path:
    plain(folder)
    records = manifest.read(folder).records
    manifest.write(folder, [record.model_copy(update={"uv_map": None}) for record in records])
    return folder


def photos(folder: Path) -> Path:
    """Each view has a UV map of its own, so the test side alone shows some of the cameras."""
    plain(folder)
    records = []
    for number, record in enumerate(manifest.read(folder).records):
        name = f"uv_maps/photo{number}.npz"
        np.savez(folder / name, uv=uv_map(number, 30, SIZE).astype(np.float32))
        records.append(record.model_copy(update={"uv_map": name}))
    manifest.write(folder, records)
    return folder


def showroom(folder: Path) -> Path:
    """Enough liveries that training finds constant texels."""
    return make_showroom(folder, liveries=2 * LEAST, cameras=3, same=8)


def showroom_with_own_plates(folder: Path) -> Path:
    """Each livery's last view is of a camera of its own."""
    showroom(folder)
    records = []
    for record in manifest.read(folder).records:
        if record.uv_map == "uv_maps/2.npz":
            changes = {}
            for kind in ("uv_map", "plate"):
                source = folder / getattr(record, kind)
                changes[kind] = f"{kind}s/{record.livery}.npz"
                shutil.copy(source, folder / changes[kind])
            record = record.model_copy(update=changes)
        records.append(record)
    manifest.write(folder, records)
    return folder


def spoil_test_side(folder: Path, config: TrainConfig) -> None:
    """Changes every picture, UV map and plate that only the test side has."""
    store, records = PairStore.open(folder, config), manifest.read(folder).records
    others = set(store.train) | set(store.val)
    shared = {getattr(records[i], kind) for i in others for kind in manifest.PATH_FIELDS}
    rng = np.random.default_rng(5)
    for i in store.test:
        for kind in ("view", "texture"):
            assert getattr(records[i], kind) not in shared
            pixels = rng.integers(0, 256, (SIZE, SIZE, 3), np.uint8)
            Image.fromarray(pixels).save(folder / getattr(records[i], kind))
        for kind in ("uv_map", "plate"):
            name = getattr(records[i], kind)
            if name is None or name in shared:
                continue
            with np.load(folder / name) as file:
                arrays = dict(file)
            # A map of twice the samples shows as much of the atlas as there is.
            uv = arrays.get("uv")
            if uv is not None:
                centres = (np.arange(len(uv) * 2) + 0.5) / (len(uv) * 2)
                arrays["uv"] = np.stack(np.meshgrid(centres, centres), -1).astype(np.float32)
                if kind == "uv_map" and records[i].plate is not None:
                    arrays["uv"] = arrays["uv"][::2, ::2]  # plates share one number of samples
            np.savez(folder / name, **{k: v * 0.5 if k != "uv" else v for k, v in arrays.items()})


@pytest.mark.parametrize("preset", ["poc05", "atlas"])
@pytest.mark.parametrize(
    "make",
    [plain, pairs_alone, photos, showroom, showroom_with_own_plates],
    ids=lambda f: f.__name__,
)
def test_other_pixels_on_the_test_side_change_no_bit_of_a_run(
    make: Callable[[Path], Path], preset: str, tmp_path: Path
) -> None:
    config = settings(
        preset=preset,
        epochs=2,
        val_split=0.25,
        test_split=0.25,
        augment={"livery": 0.5} if make is showroom else {},
        thresholds=[
            {"metric": "ssim_uv", "at_least": 0.2},
            *([] if make is pairs_alone else [{"metric": "ssim_uv_covered", "at_least": 0.2}]),
        ],
    )
    data = make(tmp_path / "set")
    kept = {"one": PairStore.open(data, config).test_fingerprint()}
    reports = {"one": run(config, data, tmp_path / "one")}
    spoil_test_side(data, config)
    kept["two"] = PairStore.open(data, config).test_fingerprint()
    reports["two"] = run(config, data, tmp_path / "two")
    assert kept["one"] != kept["two"]
    assert reports["one"] == reports["two"]
    for kind in ("best", "last"):
        (ours, our), (theirs, their) = (
            checkpoint.read(getattr(RunFolder(tmp_path / name), kind)("best")) for name in kept
        )
        assert ours.keys() == theirs.keys()
        for name, tensor in ours.items():
            assert torch.equal(tensor, theirs[name]), name
        assert our.framing == their.framing
        assert our.test_fingerprint == kept["one"]
        assert {**our.fingerprints, "test_fingerprint": ""} == {
            **their.fingerprints,
            "test_fingerprint": "",
        }


def test_a_run_does_not_go_on_over_another_test_side(tmp_path: Path) -> None:
    config = settings(epochs=1, val_split=0.25, test_split=0.25)
    data = plain(tmp_path / "set")
    run(config, data, tmp_path / "run")
    spoil_test_side(data, config)
    with pytest.raises(CheckpointError, match="data set has changed"):
        run(config, data, tmp_path / "run", resume=True)


def test_a_run_of_a_version_without_a_test_side_goes_on(tmp_path: Path, tiny_set: Path) -> None:
    whole = run(settings(epochs=2), tiny_set, tmp_path / "whole")
    begun = run(settings(epochs=2), tiny_set, tmp_path / "begun")
    assert begun == whole
    last = RunFolder(tmp_path / "begun").last("best")
    tensors, header = checkpoint.read(last)
    metadata = header.to_metadata()
    values: dict[str, Any] = json.loads(metadata["uvtex"])
    del values["config"]["test_split"], values["test_fingerprint"]
    from safetensors.torch import save_file

    save_file(tensors, last, {**metadata, "uvtex": json.dumps(values)})
    assert run(settings(epochs=2), tiny_set, tmp_path / "begun", resume=True) == whole
