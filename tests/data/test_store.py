"""Where the store keeps its pictures, and what it does to them, without changing any figure."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from tests.sets import make_showroom
from uvtex.config import Augment, TrainConfig
from uvtex.data import manifest
from uvtex.data.augment import augmented
from uvtex.data.batch import Batch
from uvtex.data.storage import buffers, views
from uvtex.data.storage.buffers import prefetch
from uvtex.data.store import PairStore
from uvtex.errors import DataError, UvtexError

CONFIG = TrainConfig(image_size=32, val_split=0.34, device="cpu")
DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")),
]


@pytest.fixture(scope="module")
def showroom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made plates; tests read them and leave them as they are."""
    return make_showroom(tmp_path_factory.mktemp("store") / "set")


def without(folder: Path, out: Path, *names: str) -> Path:
    """A copy of a set whose records lack some fields."""
    shutil.copytree(folder, out)
    path = out / "manifest.json"
    values = json.loads(path.read_text())
    for record in values["records"]:
        for name in names:
            del record[name]
    path.write_text(json.dumps(values))
    return out


def tensors(batch: Batch) -> list[torch.Tensor]:
    parts = [getattr(batch.pair, field.name) for field in fields(batch.pair)]
    sides = (batch.flow_a, batch.seen_a, batch.camera_a, batch.flow_b, batch.seen_b, batch.camera_b)
    return [*parts, *sides]


def every(store: PairStore, augment: Augment | None = None) -> list[torch.Tensor]:
    """All tensors of an epoch and of validation."""
    batches = [*store.train_batches(3, 0, 1, augment), *store.val_batches(4)]
    return [tensor.cpu() for batch in batches for tensor in tensors(batch)]


def same(one: list[torch.Tensor], two: list[torch.Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(one, two, strict=True))


# -- composing


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kept", [0, 2**20])
def test_composed_batches_equal_batches_of_the_pictures(
    showroom: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str, kept: int
) -> None:
    monkeypatch.setattr(views, "KEPT", kept)
    config = CONFIG.model_copy(update={"device": device})
    pictures = every(PairStore.open(without(showroom, tmp_path / "set", "plate"), config))
    composed = every(PairStore.open(showroom, config))
    for x, y in zip(pictures, composed, strict=True):
        # One step of 256, and only where a device rounds otherwise than the builder did.
        assert (x - y).abs().max() <= 2 / 255 + 1e-6
        assert (x != y).float().mean() < (0.001 if device == "cuda" else 1e-9)


def test_larger_textures_are_composed_at_full_size_and_returned_at_the_size_of_views(
    tmp_path: Path,
) -> None:
    folder = make_showroom(tmp_path / "set", texels=80)
    pictures = every(PairStore.open(without(folder, tmp_path / "pictures", "plate"), CONFIG))
    assert same(pictures, every(PairStore.open(folder, CONFIG)))


def test_a_set_of_plates_opens_without_views_but_only_at_the_plates_size(
    showroom: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "set"
    shutil.copytree(showroom, folder)
    shutil.rmtree(folder / "views")
    assert same(every(PairStore.open(folder, CONFIG)), every(PairStore.open(showroom, CONFIG)))
    other = CONFIG.model_copy(update={"image_size": 48})
    assert PairStore.open(showroom, other).size == 48
    with pytest.raises(DataError, match=r"plates are for 32 pixels.*--image-size 32"):
        PairStore.open(folder, other)


def test_composed_views_beyond_the_limit_are_not_kept(
    showroom: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = PairStore.open(showroom, CONFIG)
    monkeypatch.setattr(views, "KEPT", 0)
    composed = PairStore.open(showroom, CONFIG)
    assert isinstance(composed.loaded.views, views.Composed)
    assert not isinstance(whole.loaded.views, views.Composed)
    assert composed.fingerprint() == whole.fingerprint()


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


def test_a_broken_plate_is_named(showroom: Path, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    shutil.copytree(showroom, folder)
    (folder / "plates/1.npz").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"plates/1\.npz: not a readable plate"):
        PairStore.open(folder, CONFIG)


def test_only_a_record_with_a_plate_may_lack_its_view(showroom: Path, tmp_path: Path) -> None:
    folder = without(showroom, tmp_path / "set", "plate")
    shutil.rmtree(folder / "views")
    with pytest.raises(DataError, match=r"record 0: view .* is missing"):
        PairStore.open(folder, CONFIG)


@pytest.mark.parametrize("field", ["view", "plate"])
@pytest.mark.parametrize("by", ["path", "link", "folder"])
def test_nothing_outside_the_folder_is_read(
    showroom: Path, tmp_path: Path, field: str, by: str
) -> None:
    folder = tmp_path / "set"
    shutil.copytree(showroom, folder)
    outside = shutil.copytree(showroom / f"{field}s", tmp_path / "outside")
    path = folder / "manifest.json"
    values = json.loads(path.read_text())
    named = folder / values["records"][0][field]
    if by == "path":
        values["records"][0][field] = f"../outside/{named.name}"
        path.write_text(json.dumps(values))
    elif by == "link":
        named.unlink()
        named.symlink_to(outside / named.name)
    else:
        shutil.rmtree(named.parent)
        named.parent.symlink_to(outside)
    with pytest.raises(DataError, match=f"record 0: {field} .* leaves the data set's folder"):
        PairStore.open(folder, CONFIG)


# -- where pictures are


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("limit", [0, 20_000])
def test_views_mapped_from_a_file_give_the_same_batches_as_views_in_memory(
    showroom: Path, tiny_set: Path, monkeypatch: pytest.MonkeyPatch, device: str, limit: int
) -> None:
    config = CONFIG.model_copy(update={"device": device})
    for folder in (showroom, tiny_set):
        mapped = PairStore.open(folder, config, limit)
        resident = PairStore.open(folder, config)
        assert mapped.loaded.views.mapped
        assert not resident.loaded.views.mapped
        assert same(every(mapped), every(resident))
        assert mapped.fingerprint() == resident.fingerprint()
        assert mapped.train_fingerprint() == resident.train_fingerprint()


def test_a_full_disk_is_reported_before_anything_is_written(
    tiny_set: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(buffers.os, "posix_fallocate", full)
    with pytest.raises(UvtexError, match=r"No space left on device; set TMPDIR"):
        PairStore.open(tiny_set, CONFIG, 0)


def test_prefetch_keeps_the_order_and_passes_errors_on() -> None:
    assert list(prefetch(iter(range(9)))) == list(range(9))

    def failing() -> Iterator[int]:
        yield 1
        raise ValueError("late")

    items = prefetch(failing())
    assert next(items) == 1
    with pytest.raises(ValueError, match="late"):
        next(items)


def test_partners_are_other_views_of_the_livery_and_depend_on_seed_and_epoch(
    tiny_set: Path,
) -> None:
    store = PairStore.open(tiny_set, CONFIG)
    keys = ["partner/0/1", "partner/0/2", "partner/1/1"]
    chosen = [[store.partners.draw(i, key) for i in store.train] for key in keys]
    again = PairStore.open(tiny_set, CONFIG)
    assert chosen[0] == [again.partners.draw(i, keys[0]) for i in again.train]
    assert chosen[0] != chosen[1] != chosen[2] != chosen[0]
    for sample, partner in zip(store.train, chosen[0], strict=True):
        assert sample != partner
        assert len(set(store.liveries([sample, partner]))) == 1


# -- augmentation

ALL = Augment(colour=0.3, affine=0.1, perspective=0.1, noise=0.05, blur=1.5)


@pytest.mark.parametrize("device", DEVICES)
def test_augmentation_depends_only_on_seed_epoch_and_step(tiny_set: Path, device: str) -> None:
    store = PairStore.open(tiny_set, CONFIG.model_copy(update={"device": device}))
    assert same(every(store, ALL), every(store, ALL))
    keys = [(0, 1), (0, 2), (1, 1)]
    firsts = [next(iter(store.train_batches(12, s, e, ALL))).pair.a.mean() for s, e in keys]
    assert len({float(first) for first in firsts}) == 3
    batch = next(iter(store.val_batches(3)))
    steps = [augmented(batch, ALL, f"augment/0/1/{step}").pair.a for step in (0, 1)]
    assert not torch.equal(*steps)


def test_augmentation_that_is_off_changes_nothing(tiny_set: Path) -> None:
    store = PairStore.open(tiny_set, CONFIG)
    assert same(every(store), every(store, Augment()))
    batch = next(iter(store.val_batches(2)))
    assert augmented(batch, Augment(), "key") is batch


# Backgrounds stand beside the views, see below; what liveries do is in test_recolour.py.
APART = ("background", "livery")


@pytest.mark.parametrize("name", [n for n in Augment.model_fields if n not in APART])
def test_each_augmentation_changes_only_training_views(tiny_set: Path, name: str) -> None:
    store = PairStore.open(tiny_set, CONFIG)
    how = Augment(**{name: 0.2})
    plain, changed = (next(iter(store.train_batches(4, 0, 1, a))) for a in (None, how))
    moved = name in ("affine", "perspective")
    for field in fields(plain.pair):
        one, two = getattr(plain.pair, field.name), getattr(changed.pair, field.name)
        expected = field.name in ("a", "b") or (moved and field.name.startswith("mask"))
        assert torch.equal(one, two) != expected
        assert -1 <= two.min() <= two.max() <= 1
    assert plain.flow_a is not None
    assert changed.flow_a is not None
    assert torch.equal(plain.flow_a, changed.flow_a) != moved
    val = [torch.stack([b.pair.a.mean() for b in store.val_batches(3)]) for _ in range(2)]
    assert torch.equal(*val)


def test_views_with_another_background_are_given_beside_the_views(tiny_set: Path) -> None:
    store = PairStore.open(tiny_set, CONFIG)
    plain, changed = (
        next(iter(store.train_batches(4, 0, 1, a))) for a in (None, Augment(background=1.0))
    )
    assert plain.shown_a is None
    assert torch.equal(plain.pair.a, changed.pair.a)
    assert changed.shown_a is not None
    difference = (changed.shown_a - plain.pair.a).abs()
    paint = plain.pair.mask_a.expand_as(difference)
    assert (difference[paint == 1] == 0).all()
    assert (difference[paint == 0] > 0).float().mean() > 0.9


@pytest.mark.parametrize(
    "how", [Augment(affine=0.25), Augment(perspective=0.2), Augment(affine=0.2, perspective=0.2)]
)
def test_augmentation_moves_the_flow_with_the_view(tiny_set: Path, how: Augment) -> None:
    """The changed view, sampled by the changed flow, gives the texture back as well as before."""
    store = PairStore.open(tiny_set, CONFIG)
    (batch,) = store.val_batches(99)
    # A smooth ramp stands in for the picture, so that resampling twice costs next to nothing.
    ramp = F.interpolate(batch.pair.a[:, :, ::16, ::16], 32, mode="bicubic").clamp(-0.9, 0.9)
    batch = replace(batch, pair=replace(batch.pair, a=ramp))
    changed = augmented(batch, how, "key")
    before, after = (sample(b.pair.a, b.flow_a) for b in (batch, changed))
    assert changed.seen_a is not None
    assert changed.seen_a.mean() > 0.15
    assert changed.seen_a.mean() <= batch.seen_a.mean()
    stale = sample(changed.pair.a, batch.flow_a)
    errors = [
        ((x - before).abs() * changed.seen_a).sum() / changed.seen_a.sum() for x in (after, stale)
    ]
    assert errors[0] < 0.02
    assert errors[1] > 5 * errors[0]


def test_augmentation_moves_the_mask_with_the_view(tiny_set: Path) -> None:
    store = PairStore.open(tiny_set, CONFIG)
    (batch,) = store.val_batches(99)
    pair = batch.pair
    shown = pair.mask_a.expand_as(pair.a) * 2 - 1  # the mask itself as the picture
    batch = replace(batch, pair=replace(pair, a=shown))
    changed = augmented(batch, Augment(affine=0.1, perspective=0.1), "key").pair
    inside = F.pad(torch.ones(1, 1, 26, 26), (3, 3, 3, 3)) > 0  # the border repeats, the mask ends
    error = ((changed.a[:, :1] + 1) / 2 - changed.mask_a).abs()
    assert (error * inside).mean() < 0.01


def sample(view: torch.Tensor, flow: torch.Tensor | None) -> torch.Tensor:
    assert flow is not None
    return F.grid_sample(view, flow.permute(0, 2, 3, 1), padding_mode="border", align_corners=False)
