"""The store: composed or read views, in memory or mapped from a file."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.data.batches import CONFIG, DEVICES, every, same, without
from tests.sets import make_showroom
from uvtex.data.storage import buffers, views
from uvtex.data.storage.buffers import prefetch
from uvtex.data.store import PairStore
from uvtex.errors import DataError, UvtexError


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
        # One step of 256, and only where the device rounds differently from the builder.
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
