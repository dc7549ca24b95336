"""Any picture is read upright, as 8-bit RGB, or is one clear error."""

from __future__ import annotations

import contextlib
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.complaints import icc_profiles as icc
from tests.complaints.device_files import OTHERS, facts, scene
from uvtex.data import pictures
from uvtex.errors import DataError
from uvtex.inference.photos import prepare

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
    turns = Image.Transpose
    moves = [None, turns.FLIP_LEFT_RIGHT, turns.ROTATE_180, turns.FLIP_TOP_BOTTOM]
    moves += [turns.TRANSPOSE, turns.ROTATE_90, turns.TRANSVERSE, turns.ROTATE_270]
    move = moves[orientation - 1]
    return upright if move is None else upright.transpose(move)


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


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tiff_of_any_mode_is_upright(
    tmp_path: Path, mode: str, compression: str | None, orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    grey = np.arange(20 * 10, dtype=np.uint8).reshape(10, 20)
    if mode == "I;16":
        plain = Image.fromarray(grey.astype(np.uint16) * 257)
    else:
        plain = Image.fromarray(grey).convert(mode)
    plain.save(tmp_path / "plain.tif", compression=compression)
    stored(plain, orientation).save(tmp_path / "x.tif", exif=exif, compression=compression)
    for read in (pictures.read_rgb, pictures.read_grey, pictures.read_rgba):
        np.testing.assert_array_equal(read(tmp_path / "x.tif"), read(tmp_path / "plain.tif"))


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
