"""The pictures that people's devices write: read, or named with what to do."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.complaints.device_files import GREEN, GREY, HEIC, OTHERS, facts, refused, scene
from uvtex.data import pictures
from uvtex.errors import DataError
from uvtex.inference.photos import prepare


def test_a_portrait_of_a_phone_is_an_ordinary_jpeg(tmp_path: Path) -> None:
    path = tmp_path / "IMG_0001.jpg"
    scene().save(path, "MPO", save_all=True, append_images=[Image.new("RGB", (8, 8))], quality=95)
    with Image.open(path) as file:
        assert (file.format, file.n_frames) == ("MPO", 2)
    assert not facts(path).oddities
    assert not [text for text in prepare(path, 32, None).warnings if "unusual" in text]
    assert pictures.read_rgb(path)[4, 4].tolist() == pytest.approx(GREEN, abs=30)


def test_the_pages_of_a_tiff_are_no_animation(tmp_path: Path) -> None:
    scene().save(tmp_path / "x.tif", save_all=True, append_images=[scene()] * 2)
    assert facts(tmp_path / "x.tif").doubts == ("3 pages; only the first is read",)
    assert any("3 pages" in text for text in prepare(tmp_path / "x.tif", 32, None).warnings)


@pytest.mark.parametrize("ending", ["gif", "png", "webp", "avif"])
def test_an_animation_is_named_and_a_still_picture_is_not(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"x.{ending}"
    scene().save(path, save_all=True, append_images=[Image.new("RGB", (48, 32))])
    assert facts(path).doubts == ("animated; only its first frame is read",)
    assert pictures.read_rgb(path)[4, 4].tolist() == pytest.approx(GREEN, abs=30)
    scene().save(path)
    assert not facts(path).doubts


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("UPPER.JPG", {"format": "JPEG"}),
        ("x.jfif", {"format": "JPEG"}),
        ("a JPEG.png", {"format": "JPEG"}),
        ("a PNG.jpg", {"format": "PNG"}),
        ("no ending", {"format": "WEBP", "lossless": True}),
        ("big.tif", {"format": "TIFF", "big_tiff": True}),
        ("x.avif", {}),
        ("x.tga", {}),
        ("x.dds", {}),
        ("x.ico", {"sizes": [(48, 32)]}),
        ("x.jp2", {}),
        ("x.qoi", {}),
        ("x.ppm", {}),
    ],
)
def test_a_picture_is_known_by_its_content(
    tmp_path: Path, name: str, options: dict[str, Any]
) -> None:
    scene().save(tmp_path / name, **options)
    rgb = pictures.read_rgb(tmp_path / name)
    assert rgb.shape == (32, 48, 3)
    assert rgb[4, 4].tolist() == pytest.approx(GREEN, abs=30)
    assert not facts(tmp_path / name).doubts


def test_the_layers_of_a_photoshop_document_are_no_animation(tmp_path: Path) -> None:
    name = b"\1a\0\0"
    channels = struct.pack(">HhIhIhI", 3, 0, 6, 1, 6, 2, 6)
    layer = struct.pack(">4i", 0, 0, 2, 2) + channels + b"8BIMnorm\xff\0\0\0"
    layer += struct.pack(">III", 8 + len(name), 0, 0) + name
    info = struct.pack(">h", 2) + layer * 2 + (b"\0\0" + bytes(4)) * 6
    section = struct.pack(">I", len(info)) + info + bytes(4)
    head = b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 2, 2, 8, 3)
    content = head + bytes(8) + struct.pack(">I", len(section)) + section
    (tmp_path / "x.psd").write_bytes(content + b"\0\0" + bytes([9] * 12))
    with Image.open(tmp_path / "x.psd") as file:
        assert file.n_frames == 2
    assert not facts(tmp_path / "x.psd").oddities
    assert (pictures.read_rgb(tmp_path / "x.psd") == 9).all()


def test_heic_is_read_where_pi_heif_is_installed(tmp_path: Path) -> None:
    pytest.importorskip("pi_heif", reason="the optional package pi-heif is not installed")
    (tmp_path / "IMG_1.HEIC").write_bytes(HEIC)
    rgb = pictures.read_rgb(tmp_path / "IMG_1.HEIC")
    assert rgb.shape == (32, 64, 3)
    assert rgb[3, 3].tolist() == pytest.approx(GREEN, abs=4)
    assert rgb[-3, -3].tolist() == pytest.approx(GREY, abs=4)
    assert facts(tmp_path / "IMG_1.HEIC") == pictures.Facts(64, 32, ())
    (tmp_path / "IMG_1.HEIC").write_bytes(HEIC[:-100])
    with pytest.raises(DataError, match="copy"):
        pictures.read_rgb(tmp_path / "IMG_1.HEIC")


def test_heic_without_pi_heif_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "IMG_1.heic").write_bytes(HEIC)
    scene().save(tmp_path / "x.png")
    program = (
        "import sys; sys.modules.update(pi_heif=None, pillow_heif=None)\n"
        "from pathlib import Path; from uvtex.data import picture_formats, pictures\n"
        "print(picture_formats.skipped(picture_formats.search(Path())[1]))\n"
        "try: pictures.read_rgb(Path('IMG_1.heic'))\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    skipped, error = run.stdout.splitlines()
    assert skipped.startswith("1 file skipped: IMG_1.heic; to read HEIC, install pi-heif")
    assert error.startswith("DataError IMG_1.heic: not a readable picture: it is a HEIC picture;")
    assert "pip install pi-heif" in error
    assert "JPEG or PNG" in error


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_picture_is_named(tmp_path: Path, name: str) -> None:
    content, says = OTHERS[name]
    (tmp_path / name).write_bytes(content)
    message = refused(tmp_path / name)
    assert says in message
    assert "cannot identify" not in message


def raw_file(*tags: tuple[int, int], lead: bytes = b"") -> bytes:
    """A TIFF as cameras write their raw files: its first page is a grey preview of 16 x 16."""
    base = [(256, 16), (257, 16), (258, 8), (259, 1), (262, 1), (273, 512), (277, 1), (278, 16)]
    entries = sorted([*base, (279, 256), *tags])
    content = b"II*\0" + struct.pack("<I", 8 + len(lead)) + lead
    content += struct.pack("<H", len(entries))
    content += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in entries)
    return (content + bytes(4)).ljust(512, b"\0") + bytes(256)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.dng", raw_file((50706, 0x104))),
        ("a DNG.tif", raw_file((50706, 0x104))),
        ("x.NEF", raw_file((254, 1), (330, 8))),
        ("a NEF.jpg", raw_file((254, 1), (330, 8))),
        ("x.arw", raw_file()),
        ("a CR2.jpg", raw_file(lead=b"CR\2\0\0\0\0\0")),
    ],
)
def test_the_preview_in_a_raw_file_is_not_taken_for_the_photo(
    tmp_path: Path, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    assert "it is a camera's raw file; develop it" in refused(tmp_path / name)
    (tmp_path / "plain.tif").write_bytes(raw_file())
    assert pictures.read_rgb(tmp_path / "plain.tif").shape == (16, 16, 3)


@pytest.mark.parametrize("ending", ["jpg", "png", "tif", "webp", "gif", "bmp", "tga", "avif"])
@settings(max_examples=12)
@given(share=st.floats(0, 0.95))
def test_a_truncated_picture_is_read_in_part_by_no_reader(
    tmp_path_factory: pytest.TempPathFactory, ending: str, share: float
) -> None:
    path = tmp_path_factory.mktemp("cut") / f"x.{ending}"
    noise = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(DataError) as caught:
        pictures.read_rgb(path)
    assert str(caught.value).startswith(f"{path}: not a readable picture: ")


def test_a_folder_is_named_as_one(tmp_path: Path) -> None:
    assert "it is a folder" in refused(tmp_path)
