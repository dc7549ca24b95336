"""Fingerprints of a data set and of its training side."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.data.batches import CONFIG
from uvtex.data import manifest
from uvtex.data.store import PairStore


def test_the_fingerprint_changes_with_a_plate(showroom: Path, tmp_path: Path) -> None:
    known = PairStore.open(showroom, CONFIG).fingerprint()
    folder = tmp_path / "set"
    shutil.copytree(showroom, folder)
    with np.load(folder / "plates/0.npz") as plate:
        falling, reflected = plate["falling"], plate["reflected"].copy()
    reflected[0, 0] += np.float16(0.25)
    np.savez(folder / "plates/0.npz", falling=falling, reflected=reflected)
    assert PairStore.open(folder, CONFIG).fingerprint() != known


@pytest.mark.parametrize("side", ["train", "val"])
def test_fingerprints_of_composed_views_depend_on_their_side_of_the_split(
    showroom: Path, tmp_path: Path, side: str
) -> None:
    folder = shutil.copytree(showroom, tmp_path / "set")
    store = PairStore.open(folder, CONFIG)
    record = manifest.read(folder).records[getattr(store, side)[0]]
    pixels = np.asarray(Image.open(folder / record.texture)).copy()
    pixels[0, 0] ^= 1
    Image.fromarray(pixels).save(folder / record.texture)
    changed = PairStore.open(folder, CONFIG)
    assert (changed.fingerprint() == store.fingerprint()) == (side == "train")
    assert (changed.train_fingerprint() == store.train_fingerprint()) == (side == "val")


def test_fingerprints_depend_on_contents_and_not_on_the_number_of_files(
    tiny_set: Path, tmp_path: Path
) -> None:
    folder = shutil.copytree(tiny_set, tmp_path / "set")
    records = list(manifest.read(folder).records)
    for i, record in enumerate(records):
        shutil.copy(folder / str(record.mask), folder / f"masks/own{i}.png")
        records[i] = record.model_copy(update={"mask": f"masks/own{i}.png"})
    manifest.write(folder, records)
    one, own = (PairStore.open(path, CONFIG) for path in (tiny_set, folder))
    assert own.fingerprint() == one.fingerprint()
    assert own.train_fingerprint() == one.train_fingerprint()
