import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.sets import make_set, paint, shoot, uv_map
from uvtex.config import TrainConfig
from uvtex.data import manifest, pictures
from uvtex.data.store import PairStore
from uvtex.errors import DataError
from uvtex.files import write_atomic
from uvtex.imaging import uv_maps

CONFIG = TrainConfig(image_size=32, val_split=0.34, device="cpu")


@settings(deadline=None)
@given(st.integers(0, 2), st.integers(0, 99))
def test_sampling_a_view_by_the_inverted_map_gives_the_texture_back(camera: int, seed: int) -> None:
    # Smooth, so that a pixel's footprint on the texture does not matter.
    texture = paint(np.random.default_rng(seed), 64)
    texture = np.array(Image.fromarray(texture).resize((4, 4)).resize((64, 64), 3))
    uv = uv_map(camera, 3, 128)
    where, seen = uv_maps.invert(uv, 64)
    view = torch.from_numpy(shoot(texture, uv)).permute(2, 0, 1)[None].float()
    grid = torch.from_numpy(where).permute(1, 2, 0)[None]
    back = torch.nn.functional.grid_sample(view, grid, align_corners=False)[0].permute(1, 2, 0)
    error = np.abs(back.numpy() - texture)[seen]
    assert seen.mean() > 0.3
    assert np.percentile(error, 95) < 4  # of 255


def test_a_view_without_paint_has_no_seen_texel() -> None:
    where, seen = uv_maps.invert(np.full((8, 8, 2), np.nan, np.float32), 16)
    assert not seen.any()
    assert np.isfinite(where).all()


def test_a_store_is_reproducible_and_its_pairs_share_a_livery(tiny_set: Path) -> None:
    one, two = (PairStore.open(tiny_set, CONFIG) for _ in range(2))
    assert one.fingerprint() == two.fingerprint()
    for x, y in zip(one.train_batches(4, 0, 3), two.train_batches(4, 0, 3), strict=True):
        assert torch.equal(x.pair.a, y.pair.a)
        assert torch.equal(x.pair.b, y.pair.b)
        assert not torch.equal(x.pair.a, x.pair.b)
    orders = [torch.cat([b.pair.a for b in one.train_batches(4, 0, e)]) for e in (1, 2)]
    assert not torch.equal(*orders)
    assert sorted(one.train + one.val) == list(range(18))
    assert one.steps(5) == len(list(one.train_batches(5, 0, 1)))


def test_a_pair_carries_its_own_mask_flow_and_texture(tiny_set: Path) -> None:
    store = PairStore.open(tiny_set, CONFIG)
    for batch in store.batches("val", 1):
        assert batch.flow_a is not None
        assert batch.seen_a is not None
        grid = batch.flow_a.permute(0, 2, 3, 1)
        back = torch.nn.functional.grid_sample(batch.pair.a, grid, align_corners=False)
        error = ((back - batch.pair.texture).abs() * batch.seen_a).sum() / batch.seen_a.sum() / 3
        assert error < 0.12
        outside = batch.pair.a[(batch.pair.mask_a == 0).expand_as(batch.pair.a)]
        assert outside.unique().numel() == 1  # one camera's grey, nothing of the car


def edit(change: Callable[[dict], None]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        path = folder / "manifest.json"
        values = json.loads(path.read_text())
        change(values)
        path.write_text(json.dumps(values))

    return apply


def truncate(folder: Path) -> None:
    file = folder / "views/0_0.png"
    file.write_bytes(file.read_bytes()[:-40])


def endless_link(folder: Path) -> None:
    (folder / "views/0_0.png").unlink()
    (folder / "views/0_0.png").symlink_to("0_0.png")


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda d: (d / "manifest.json").unlink(), "no manifest.json"),
        (lambda d: (d / "manifest.json").write_text("{"), "cannot be read as JSON"),
        (edit(lambda m: m.update(recrods=[])), "recrods"),
        (edit(lambda m: m.update(version=99)), "version 99"),
        (edit(lambda m: m.update(records=[])), "records"),
        (edit(lambda m: m["records"][0].update(view="../../secret.png")), "leaves the data set"),
        (edit(lambda m: m["records"][0].update(view="/etc/hostname")), "leaves the data set"),
        (edit(lambda m: m["records"][0].update(view="views/none.png")), "is missing"),
        (
            edit(lambda m: m["records"][0].update(view="x" * 5000)),
            "x{20}' cannot be followed",
        ),
        (edit(lambda m: m["records"][0].update(view="a\0b")), r"a\\x00b' cannot be followed"),
        (endless_link, "is missing"),
        (edit(lambda m: m["records"][0].update(texture="textures/1.png")), "two textures"),
        (edit(lambda m: m["records"][0].pop("mask")), "no `mask`"),
        (truncate, "not a readable picture"),
        (lambda d: (d / "views/0_0.png").write_bytes(b""), "not a readable picture"),
        (lambda d: (d / "uv_maps/0.npz").write_bytes(b"PK"), "not a readable UV map"),
        (lambda d: np.savez(d / "uv_maps/0.npz", uv=np.zeros((4, 4))), "must be"),
    ],
)
def test_a_damaged_set_is_refused_and_its_folder_named(
    tmp_path: Path, tiny_set: Path, damage: Callable[[Path], None], says: str
) -> None:
    folder = tmp_path / "set"
    shutil.copytree(tiny_set, folder)
    damage(folder)
    with pytest.raises(DataError, match=says) as caught:
        PairStore.open(folder, CONFIG)
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "I;16", "1"])
def test_any_kind_of_picture_becomes_rgb(tmp_path: Path, mode: str) -> None:
    base = Image.new("RGB", (9, 7), (200, 40, 90)).convert("L" if mode == "I;16" else mode)
    picture = Image.new("I;16", (9, 7), 30000) if mode == "I;16" else base
    path = tmp_path / ("x.tif" if mode == "CMYK" else "x.png")
    picture.save(path)
    assert pictures.read_rgb(path).shape == (7, 9, 3)
    assert pictures.read_rgb(path, 16).shape == (16, 16, 3)


def test_exif_rotation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held on its side
    Image.new("RGB", (20, 10)).save(tmp_path / "x.jpg", exif=exif)
    assert pictures.read_rgb(tmp_path / "x.jpg").shape == (20, 10, 3)


def test_a_decompression_bomb_is_refused(tmp_path: Path) -> None:
    Image.new("1", (20000, 20000)).save(tmp_path / "bomb.png")
    with pytest.raises(DataError, match="pixels; scale it down"):
        pictures.read_rgb(tmp_path / "bomb.png")


def test_a_written_manifest_reads_back(tmp_path: Path) -> None:
    make_set(tmp_path, liveries=2, cameras=1)
    records = manifest.read(tmp_path).records
    manifest.write(tmp_path, records)
    assert manifest.read(tmp_path).records == records


def test_written_files_have_the_permissions_of_the_umask(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.touch()
    write_atomic(tmp_path / "atomic", b"x")
    assert (tmp_path / "atomic").stat().st_mode == plain.stat().st_mode
    assert {path.name for path in tmp_path.iterdir()} == {"plain", "atomic"}
