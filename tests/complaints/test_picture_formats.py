"""The pictures that people's devices write: read upright, or named with what to do."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import struct
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from tests.complaints import icc_profiles as icc
from tests.inference.small_model import save_checkpoint
from uvtex.cli import main
from uvtex.data import picture_formats, pictures
from uvtex.errors import DataError
from uvtex.inference.photos import find_mask, prepare
from uvtex.showroom.liveries import files as liveries

GREEN, GREY, RED = (30, 160, 60), (150, 150, 150), (220, 40, 30)
HEIC = base64.b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAaptZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAA"
    "AAAAAAAAADRpbG9jAAAAAERAAAIAAQAAAAABzgABAAAAAAAAAGAAAgAAAAACLgABAAAAAAAAACQAAAA4aWluZgAAAAAA"
    "AgAAABVpbmZlAgAAAAABAABodmMxAAAAABVpbmZlAgAAAQACAABFeGlmAAAAAA5waXRtAAAAAAABAAAA6WlwcnAAAADK"
    "aXBjbwAAAHZodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQAq"
    "QgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbq5Ka5uAhoMCAAAAMDIAAAAwAhYgABAAZEAcFzwIkAAAAUaXNwZQAAAAAAAABA"
    "AAAAQAAAAChjbGFwAAAAQAAAAAEAAAAgAAAAAQAAAAAAAAAC////4AAAAAIAAAAQcGl4aQAAAAADCAgIAAAAF2lwbWEA"
    "AAAAAAAAAQABBIECBIMAAAAaaXJlZgAAAAAAAAAOY2RzYwACAAEAAQAAAIxtZGF0AAAAXCgBrxOA9SeBP/+lVH/7ker/"
    "z7STEq3y/ZI+ejYvyuueJJThIjhdEvi5UZdqLM4kZPqFKUNU+RV3dodFKOvKNIN5ISr5qBBTIGJLNrYss0QGJSg/RAY7"
    "Bo2P0vaAAAAABkV4aWYAAE1NACoAAAAIAAEBEgADAAAAAQAGAAAAAAAA"
)
"""64 x 32 pixels, the left half GREEN and the right half GREY. Its EXIF orientation, 6, does not
count: in HEIC a rotation is a property of the picture."""


def scene(width: int = 48, height: int = 32) -> Image.Image:
    """Green above red at the left, grey at the right: no two of its corners are alike."""
    picture = Image.new("RGB", (width, height), GREY)
    picture.paste(GREEN, (0, 0, width // 2, height // 2))
    picture.paste(RED, (0, height // 2, width // 2, height))
    picture.paste((20, 30, 200), (width // 2, height // 2, width, height))
    return picture


def facts(path: Path) -> pictures.Facts:
    return pictures.describe(path)


def refused(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        pictures.read_rgb(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    with pytest.raises(DataError):
        pictures.describe(path)
    return message


# -- what is read


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
    assert "HEIC" in refused(tmp_path / "IMG_1.HEIC") or "copy" in refused(tmp_path / "IMG_1.HEIC")


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


# -- what is refused by its name


def media(brand: bytes) -> bytes:
    return struct.pack(">I", 24) + b"ftyp" + brand + bytes(4) + b"isom" + brand + bytes(99)


OTHERS: dict[str, tuple[bytes, str]] = {
    "empty.jpg": (b"", "the file is empty"),
    "zeros.jpg": (bytes(5000), "only zero bytes"),
    "page.jpg": (b"\n<!DOCTYPE html>\n<html><body>404</body></html>", "an HTML page"),
    "denied.png": (b'<?xml version="1.0"?><Error>AccessDenied</Error>', "an XML text"),
    "lfs.png": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
    "x.svg": (b'<?xml version="1.0"?>\n<!-- x -->\n<svg xmlns="x"/>', "an SVG drawing"),
    "plain.svg": (b"<svg/>", "an SVG drawing"),
    "x.pdf": (b"%PDF-1.7\n", "a PDF"),
    "x.eps": (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        "an EPS drawing",
    ),
    "x.jxl": (b"\xff\x0a" + bytes(90), "JPEG XL"),
    "boxed.jxl": (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(90), "JPEG XL"),
    "x.exr": (b"\x76\x2f\x31\x01" + bytes(90), "OpenEXR"),
    "x.hdr": (b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n", "Radiance HDR"),
    "IMG_1.MOV": (media(b"qt  "), "a video"),
    "IMG_1.mp4": (media(b"mp42"), "a video"),
    "IMG_1.CR3": (media(b"crx "), "raw file (CR3)"),
    "DSC.RAF": (b"FUJIFILMCCD-RAW 0201", "raw file (RAF)"),
    "x.orf": (b"IIRO" + bytes(90), "raw file (ORF)"),
    "x.rw2": (b"IIU\0" + bytes(90), "raw file (RW2)"),
    "x.x3f": (b"FOVb" + bytes(90), "raw file (X3F)"),
    "x.xcf": (b"gimp xcf v011", "a GIMP document"),
    "x.psb": (b"8BPS\0\2" + bytes(90), "PSB"),
    "x.kra": (b"PK\3\4" + bytes(90), "a ZIP archive"),
    "._x.jpg": (b"\0\5\x16\7" + bytes(90), "AppleDouble"),
    "cut.png": (b"\x89PNG\r\n\x1a\n", "a damaged PNG"),
    "cut.jpg": (b"\xff\xd8\xff\xe0", "again"),
    "cut.gif": (b"GIF89a", "a damaged GIF"),
    "text.jpg": (b"hello", "no known picture format"),
}


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


# -- orientation

ORIENTED = {
    "jpg": {"quality": 100, "subsampling": 0},
    "png": {},
    "tif": {},
    "webp": {"lossless": True},
    "avif": {"quality": 100, "subsampling": "4:4:4"},
    "mpo": {"quality": 100, "subsampling": 0, "format": "MPO"},
}


def stored(upright: Image.Image, orientation: int) -> Image.Image:
    """The pixels that a camera stores for an upright picture under an EXIF orientation."""
    back = {5: 5, 6: 8, 7: 7, 8: 6}.get(orientation, orientation)
    exif = Image.Exif()
    exif[0x0112] = back
    content = io.BytesIO()
    upright.save(content, "PNG", exif=exif)
    return ImageOps.exif_transpose(Image.open(content))


@pytest.mark.parametrize("ending", ORIENTED)
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("profile", [None, icc.WIDE[0].profile], ids=["plain", "profile"])
def test_every_orientation_gives_the_upright_picture(
    tmp_path: Path, ending: str, orientation: int, profile: bytes | None
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"x.{ending}"
    options: dict[str, Any] = dict(ORIENTED[ending])
    stored(scene(), orientation).save(path, exif=exif, icc_profile=profile, **options)
    straight = tmp_path / f"upright.{ending}"
    scene().save(straight, icc_profile=profile, **options)
    for read in (pictures.read_rgb, pictures.read_rgba, pictures.read_grey):
        apart = np.abs(read(path).astype(int) - read(straight).astype(int))
        assert apart.max() <= (0 if ending in ("png", "tif", "webp") else 12)
    assert pictures.read_rgb(path).shape == (32, 48, 3)
    assert facts(path).orientation == orientation
    assert ("EXIF rotation" in facts(path).oddities) == (orientation > 1)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_mask_has_the_orientation_of_its_photo(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    upright = scene()
    alpha = Image.new("L", upright.size, 0)
    alpha.paste(255, (8, 4, 20, 28))
    cut = upright.copy()
    cut.putalpha(alpha)
    path = tmp_path / "x.png"
    stored(cut, orientation).save(path, exif=exif)
    np.testing.assert_array_equal(pictures.read_alpha(path), np.asarray(alpha))
    photo = prepare(path, 32, None)
    assert photo.mask.source == "alpha"
    np.testing.assert_array_equal(photo.mask.car, np.asarray(alpha) > 127)
    stored(alpha, orientation).save(tmp_path / "mask.png", exif=exif)
    given_mask = prepare(path, 32, None, tmp_path / "mask.png").mask
    np.testing.assert_array_equal(given_mask.car, np.asarray(alpha) > 127)


# -- any picture

MODES = "1 L LA La P PA RGB RGBA RGBa RGBX CMYK YCbCr LAB I I;16 I;16B F".split()
FORMATS = (
    "PNG JPEG MPO TIFF WEBP AVIF GIF BMP DIB TGA DDS ICO ICNS JPEG2000 PPM PCX SGI QOI".split()
)
PROFILES = {
    "none": None,
    "wide": icc.WIDE[2].profile,
    "grey": icc.grey_profile("Dot gain", 1.8),
    "print": icc.cmyk_profile("Our press"),
    "damaged": icc.WIDE[0].profile[:150],
    "no profile": b"x",
}


def save_any(
    path: Path, mode: str, kind: str, orientation: int, options: dict[str, Any], seed: int
) -> bool:
    """Saves noise; False where Pillow cannot save such a picture."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    noise = np.random.default_rng(seed).integers(0, 256, (10, 20, 4), dtype=np.uint8)
    picture = Image.new(mode, (20, 10))
    if mode in ("RGB", "L", "LA", "RGBA", "CMYK", "P", "1", "YCbCr"):
        picture = Image.fromarray(noise).convert(mode if mode != "LA" else "L").convert(mode)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            picture.save(path, kind, exif=exif, **options)
    except Exception:  # Pillow refuses a combination with nearly any exception
        return False
    return True


@settings(max_examples=150)
@given(
    mode=st.sampled_from(MODES),
    kind=st.sampled_from(FORMATS),
    orientation=st.integers(1, 8),
    profile=st.sampled_from(list(PROFILES)),
    transparency=st.sampled_from([None, 0, 3, 70000, (1, 2, 3), (1, 2, 3000), b"\1\2\3"]),
    size=st.sampled_from([None, 1, 16]),
    seed=st.integers(0, 9),
)
def test_any_picture_is_read_as_upright_rgb_or_is_a_data_error(
    tmp_path_factory: pytest.TempPathFactory,
    mode: str,
    kind: str,
    orientation: int,
    profile: str,
    transparency: Any,
    size: int | None,
    seed: int,
) -> None:
    path = tmp_path_factory.mktemp("any") / "x.bin"
    options = {"icc_profile": PROFILES[profile]}
    if transparency is not None:
        options["transparency"] = transparency
    if not save_any(path, mode, kind, orientation, options, seed):
        return
    try:
        told = pictures.describe(path)
        rgb, rgba = pictures.read_rgb(path, size), pictures.read_rgba(path, size)
        grey, alpha = pictures.read_grey(path, size), pictures.read_alpha(path)
    except DataError:
        return
    width, height = told.width, told.height
    upright = (width, height) if told.orientation > 4 else (height, width)
    shape = (size, size) if size else upright
    assert (rgb.shape, rgba.shape, grey.shape) == ((*shape, 3), (*shape, 4), shape)
    assert {rgb.dtype, rgba.dtype, grey.dtype} == {np.dtype(np.uint8)}
    assert alpha is None or alpha.shape == upright
    assert set(told.colours) <= set(told.oddities)
    assert set(told.doubts) <= set(told.oddities)


@settings(max_examples=150)
@given(content=st.binary(max_size=200), start=st.sampled_from([c for c, _ in OTHERS.values()]))
def test_any_bytes_are_read_or_are_a_data_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, start: bytes
) -> None:
    path = tmp_path_factory.mktemp("bytes") / "x.jpg"
    path.write_bytes(start + content)
    for read in (pictures.read_rgb, pictures.describe):
        with contextlib.suppress(DataError):
            assert read(path) is not None


# -- folders


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "liveries"
    path.mkdir()
    for name in ("red.png", "BLUE.JPG", "green.jfif", "white.avif", "old.JPEG"):
        scene(32, 32).save(path / name, "AVIF" if name.endswith("avif") else "PNG")
    for name in ("car.psd", "notes.txt", "movie.mov"):
        (path / name).write_bytes(b"x")
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._red.png", ".hidden.png"):
        (path / name).write_bytes(b"x")
    (path / "more").mkdir()
    return path


def test_a_livery_folder_names_the_files_that_it_skips(folder: Path, tmp_path: Path) -> None:
    assert set(liveries.find(folder)) == {"red", "BLUE", "green", "white", "old"}
    assert liveries.skipped(folder) == "3 files skipped: car.psd, movie.mov, notes.txt"
    quick = "--size 16 --texture-size 32 --cameras 1 --samples 1 --supersample 1 --no-views"
    options = ["showroom", "build", str(tmp_path / "set"), "--liveries", str(folder)]
    result = CliRunner().invoke(main, [*options, *quick.split()])
    assert result.exit_code == 0, result.output
    assert "3 files skipped: car.psd, movie.mov, notes.txt" in result.output
    for name in (".DS_Store", "Thumbs", "desktop.ini", "._red"):
        assert name not in result.output


def test_a_folder_without_a_picture_says_what_it_holds(tmp_path: Path) -> None:
    for number in range(8):
        (tmp_path / f"IMG_{number}.cr2").write_bytes(b"x")
    with pytest.raises(DataError) as caught:
        liveries.find(tmp_path)
    assert "8 files skipped: IMG_0.cr2, " in str(caught.value)
    assert "and 2 more" in str(caught.value)


def test_system_files_are_not_named(tmp_path: Path) -> None:
    for name in (".DS_Store", "Thumbs.db", "DESKTOP.INI", ".localized", "Icon\r"):
        (tmp_path / name).write_bytes(b"")
    assert picture_formats.search(tmp_path) == ([], [])
    assert picture_formats.skipped([]) == ""


@pytest.mark.parametrize("ending", [".PNG", ".Jpg", ".jfif", ".tga", ".avif", ".gif"])
def test_a_mask_is_found_by_any_ending_of_a_picture(tmp_path: Path, ending: str) -> None:
    (tmp_path / f"car{ending}").write_bytes(b"x")
    assert find_mask(tmp_path, Path("car.jpg"), "car") == tmp_path / f"car{ending}"


def test_a_mask_in_a_format_that_is_not_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "car.xcf").write_bytes(b"x")
    (tmp_path / "other.xcf").write_bytes(b"x")
    with pytest.raises(DataError) as caught:
        find_mask(tmp_path, Path("car.jpg"), "car")
    assert "1 file skipped: car.xcf" in str(caught.value)


def test_the_command_names_each_photo_that_cannot_be_read(tmp_path: Path) -> None:
    model = save_checkpoint(tmp_path / "m.safetensors", None)
    names = ["page.jpg", "lfs.png", "x.jxl"]
    for name in names:
        (tmp_path / name).write_bytes(OTHERS[name][0])
    photos = [str(tmp_path / name) for name in names]
    result = CliRunner().invoke(main, ["infer", str(model), *photos, "--out", str(tmp_path / "o")])
    assert result.exit_code == 1
    for name in names:
        assert f"{tmp_path / name}: not a readable picture: it is " in result.stderr
    assert "Traceback" not in result.output
    assert not (tmp_path / "o").exists()


def test_a_phone_portrait_is_inferred_without_a_warning_of_its_format(tmp_path: Path) -> None:
    model = save_checkpoint(tmp_path / "m.safetensors", None)
    path = tmp_path / "IMG_0001.jpg"
    scene(64, 64).save(path, "MPO", save_all=True, append_images=[scene(8, 8)])
    out = ["--out", str(tmp_path / "o"), "--json"]
    result = CliRunner().invoke(main, ["infer", str(model), str(path), *out])
    assert result.exit_code == 0, result.output
    [record] = json.loads(result.stdout)
    assert record["oddities"] == []
    assert "animated" not in result.output
