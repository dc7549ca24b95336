"""Imported pictures: bit depths, modes, orientations and damage."""

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.intake.sources import SIZE, png16, reasons, table_of
from tests.sets import make_set
from uvtex.data import manifest, pictures
from uvtex.errors import DataError
from uvtex.intake.importer import import_set


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return table_of(tmp_path / "shots")


@settings(deadline=None, max_examples=25)
@given(
    level=st.integers(0, 65535),
    kind=st.sampled_from([(0, 1), (2, 3), (4, 2), (6, 4)]),
    data=st.data(),
)
def test_sixteen_bit_pngs_are_scaled_and_not_clipped(
    tmp_path_factory: pytest.TempPathFactory, level: int, kind: tuple[int, int], data: Any
) -> None:
    colour_type, channels = kind
    values = np.full((4, 5, channels), level, np.uint16)
    if channels in (2, 4):
        values[..., -1] = 65535
    path = png16(tmp_path_factory.mktemp("deep") / "x.png", values, colour_type)
    assert np.abs(pictures.read_rgb(path).astype(float) - level / 257).max() <= 1
    assert np.abs(pictures.read_grey(path).astype(float) - level / 257).max() <= 1
    assert "16 bits a channel" in pictures.describe(path).oddities


@pytest.mark.parametrize("mode", ["I;16", "I"])
def test_sixteen_bit_tiffs_are_scaled(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (4, 4), 30000).save(tmp_path / "x.tif")
    assert np.unique(pictures.read_rgb(tmp_path / "x.tif")) == [117]


@pytest.mark.parametrize(("mode", "value"), [("F", 0.5), ("I", 70000), ("I", -1)])
def test_depths_that_cannot_be_scaled_are_refused(tmp_path: Path, mode: str, value: float) -> None:
    Image.new(mode, (4, 4), value).save(tmp_path / "x.tif")
    with pytest.raises(DataError, match="save it with 8 or 16"):
        pictures.read_rgb(tmp_path / "x.tif")


def test_an_exif_rotation_that_is_not_a_number_is_ignored(tmp_path: Path) -> None:
    one_tag = struct.pack("<HHHI4sI", 1, 0x0112, 2, 4, b"abc\0", 0)  # text, not a number
    exif = b"Exif\0\0II*\0" + struct.pack("<I", 8) + one_tag
    Image.new("RGB", (20, 10)).save(tmp_path / "x.jpg", exif=exif)
    with Image.open(tmp_path / "x.jpg") as file:
        assert file.getexif()[0x0112] == "abc"
    assert pictures.describe(tmp_path / "x.jpg").orientation == 1
    assert pictures.read_rgb(tmp_path / "x.jpg").shape == (10, 20, 3)


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-60])


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (truncated, "not a readable picture"),
        (lambda p: p.write_bytes(b""), "the file is empty"),
        (lambda p: p.write_bytes(b"no picture"), "no known picture format"),
        (lambda p: Image.new("RGB", (1, 1)).save(p), "1x1 pixels; at least 16"),
        (lambda p: Image.new("1", (20000, 20000)).save(p), "pixels; scale it down first"),
    ],
    ids=["truncated", "zero bytes", "text", "1x1", "bomb"],
)
@pytest.mark.parametrize("which", ["0_0.png", "tex/0.png"])
def test_a_broken_picture_is_left_out_and_named(
    table: Path, tmp_path: Path, spoil: Callable[[Path], None], says: str, which: str
) -> None:
    spoil(table.parent / which)
    report = import_set(table, tmp_path / "out")
    assert report.views == (3 if which == "0_0.png" else 2)
    assert says in reasons(report)
    assert which in reasons(report)


def test_a_broken_file_is_named_with_its_role_in_each_record(table: Path, tmp_path: Path) -> None:
    (table.parent / "0_0.png").write_bytes(b"")
    table.write_text(table.read_text() + "\n1_1.png,car 2,0_0.png\n0_1.png,car 3,0_1.png")
    (table.parent / "tex/1.png").unlink()
    text = reasons(import_set(table, tmp_path / "out"))
    assert f"line 2: view {table.parent}/0_0.png: not a readable" in text
    assert f"line 6: texture {table.parent}/0_0.png: not a readable" in text


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "1", "I;16"])
def test_every_kind_of_picture_is_imported(table: Path, tmp_path: Path, mode: str) -> None:
    path = table.parent / ("0_0.tif" if mode == "CMYK" else "0_0.png")
    source = Image.open(table.parent / "0_0.png")
    grey = np.asarray(source.convert("L"), np.uint16) * 257
    (Image.fromarray(grey) if mode == "I;16" else source.convert(mode)).save(path)
    table.write_text(table.read_text().replace("0_0.png", path.name))
    assert import_set(table, tmp_path / "out").views == 4


def test_the_mask_of_a_rotated_picture_is_upright(table: Path, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    lying = Image.new("RGB", (60, 40), (140, 140, 140))
    lying.paste((200, 20, 20), (10, 10, 50, 30))
    lying.save(table.parent / "0_0.jpg", exif=exif)
    table.write_text(table.read_text().replace("0_0.png", "0_0.jpg"))
    import_set(table, tmp_path / "out")
    one = manifest.read(tmp_path / "out").records[0]
    assert pictures.read_grey(tmp_path / "out" / str(one.mask)).shape == (60, 40)
    assert pictures.read_rgb(tmp_path / "out" / one.view).shape == (60, 40, 3)


def test_a_broken_mask_is_replaced_and_a_broken_uv_map_left_out(tmp_path: Path) -> None:
    folder = make_set(tmp_path / "set", liveries=2, cameras=2)
    (folder / "masks/0.png").write_bytes(b"")
    Image.new("L", (SIZE, SIZE)).save(folder / "masks/1.png")
    (folder / "uv_maps/0.npz").write_bytes(b"PK")
    report = import_set(folder, tmp_path / "out")
    assert report.views == 4
    assert "given" not in report.masks
    assert reasons(report).count("is used without it") == 6
    assert "marks no pixel as paint" in reasons(report)
    assert sum(r.uv_map is not None for r in manifest.read(tmp_path / "out").records) == 2
