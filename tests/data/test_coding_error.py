"""The brightness that a lossy file may have changed, beside what real files change."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from uvtex.data.coding_error import brightness_error
from uvtex.data.pictures import read_rgb
from uvtex.errors import DataError

SIDE = 256


def noise() -> np.ndarray:
    """Grey levels that leave no coefficient of a block at zero: uint8 [SIDE, SIDE, 3]."""
    grey = np.random.default_rng(0).normal(128, 40, (SIDE, SIDE, 1)).clip(0, 255)
    return np.repeat(grey, 3, axis=2).astype(np.uint8)


def steps() -> np.ndarray:
    """Smooth areas with hard edges, as painted panels have: uint8 [SIDE, SIDE, 3]."""
    levels = np.random.default_rng(0).integers(0, 256, (4, 4, 1))
    return np.repeat(levels.repeat(64, 0).repeat(64, 1), 3, axis=2).astype(np.uint8)


def measured(pixels: np.ndarray, path: Path, reduction: int) -> float:
    """Root mean square of the change in brightness, of means over squares in every place."""
    off = (read_rgb(path).astype(float) - pixels).mean(axis=2)
    return float(np.sqrt(np.square(ndimage.uniform_filter(off, reduction)).mean()))


@pytest.mark.parametrize("quality", [60, 75, 90, 95])
@pytest.mark.parametrize("reduction", [1, 2, 4])
def test_noise_is_changed_by_what_the_table_says_and_smooth_areas_by_less(
    tmp_path: Path, quality: int, reduction: int
) -> None:
    path = tmp_path / "picture.jpg"
    Image.fromarray(noise()).save(path, quality=quality)
    expected = brightness_error(path, reduction)
    # Squares over two blocks have less, since the blocks' errors are independent.
    assert 0.8 * expected < measured(noise(), path, reduction) < 1.1 * expected
    Image.fromarray(steps()).save(path, quality=quality)
    assert brightness_error(path, reduction) == expected  # it goes by the file's table
    assert measured(steps(), path, reduction) < expected


def test_a_finer_file_and_a_reduced_one_have_less_error(tmp_path: Path) -> None:
    errors = []
    for quality in (50, 75, 90, 100):
        Image.fromarray(noise()).save(tmp_path / "picture.jpg", quality=quality)
        errors.append(brightness_error(tmp_path / "picture.jpg"))
        assert brightness_error(tmp_path / "picture.jpg", 1.7) < errors[-1]
    assert errors == sorted(errors, reverse=True)
    assert len(set(errors)) == 4


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_a_jpeg_of_another_mode_has_a_table_too(tmp_path: Path, mode: str) -> None:
    Image.fromarray(noise()).save(tmp_path / "rgb.jpg", quality=80)
    Image.fromarray(noise()).convert(mode).save(tmp_path / "other.jpg", quality=80)
    assert brightness_error(tmp_path / "other.jpg") == brightness_error(tmp_path / "rgb.jpg")


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tiff", "a.tga"])
def test_a_format_without_loss_has_no_error(tmp_path: Path, name: str) -> None:
    Image.fromarray(noise()).save(tmp_path / name)
    assert brightness_error(tmp_path / name) == 0


@pytest.mark.parametrize("name", ["a.webp", "a.jp2", "a.avif"])
def test_other_lossy_formats_count_as_a_jpeg_of_quality_90(tmp_path: Path, name: str) -> None:
    Image.fromarray(noise()).save(tmp_path / "a.jpg", quality=90)
    Image.fromarray(noise()).save(tmp_path / name)
    assert brightness_error(tmp_path / name) == brightness_error(tmp_path / "a.jpg")


def test_a_file_that_is_no_picture_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"a\.jpg: not a readable picture"):
        brightness_error(tmp_path / "a.jpg")
