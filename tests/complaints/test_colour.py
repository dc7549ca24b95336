"""A colour chart in the colour spaces that cameras, phones and programs save, with the profile."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from tests.complaints import icc_profiles as icc
from tests.complaints.colour_chart import (
    CHART,
    P3,
    PATCHES,
    SAVED,
    SIDE,
    apart,
    iccp,
    oddities,
    save,
    spread,
    with_chunks,
)
from tests.intake.sources import png16
from uvtex.data import pictures


@pytest.mark.parametrize("ending", SAVED)
@pytest.mark.parametrize("space", icc.WIDE, ids=lambda space: space.name)
def test_a_chart_in_a_wide_space_reads_as_the_same_srgb_chart(
    tmp_path: Path, space: icc.Wide, ending: str
) -> None:
    options, loss = SAVED[ending]
    path = save(tmp_path / f"x.{ending}", space.numbers(CHART / 255), space.profile, **options)
    # A level of a wide space is up to three levels of sRGB, where the two curves differ most.
    rounding = {"Display P3": 2, "Adobe RGB (1998)": 3, "ProPhoto RGB": 4}[space.name]
    assert apart(path) <= rounding + 2 * loss
    assert f"{space.name} profile, converted to sRGB" in oddities(path)
    assert not pictures.describe(path).doubts


@pytest.mark.parametrize("space", icc.WIDE, ids=lambda space: space.name)
@pytest.mark.parametrize("alpha", [False, True])
def test_a_chart_of_sixteen_bits_is_converted_without_bands(
    tmp_path: Path, space: icc.Wide, alpha: bool
) -> None:
    values = np.round(space.numbers(CHART / 255) * 65535).astype(np.uint16)
    if alpha:
        values = np.concatenate([values, np.full_like(values[..., :1], 65535)], axis=2)
    path = png16(tmp_path / "x.png", values, 6 if alpha else 2)
    assert apart(with_chunks(path, iCCP=iccp(space.profile))) <= 1


@settings(max_examples=40)
@given(
    space=st.sampled_from(icc.WIDE),
    numbers=st.lists(st.tuples(*[st.integers(0, 255)] * 3), min_size=1, max_size=30),
)
def test_any_colour_of_a_wide_space_becomes_the_nearest_that_srgb_has(
    tmp_path_factory: pytest.TempPathFactory,
    space: icc.Wide,
    numbers: list[tuple[int, int, int]],
) -> None:
    pixels = np.array(numbers)[None] / 255
    path = save(tmp_path_factory.mktemp("wide") / "x.png", pixels, space.profile)
    assert apart(path, space.srgb(pixels) * 255) < 1.5


@settings(max_examples=40)
@given(
    space=st.sampled_from(icc.WIDE),
    colours=st.lists(st.tuples(*[st.integers(32, 250)] * 3), min_size=1, max_size=30),
)
def test_srgb_colours_survive_a_wide_space_of_sixteen_bits(
    tmp_path_factory: pytest.TempPathFactory,
    space: icc.Wide,
    colours: list[tuple[int, int, int]],
) -> None:
    srgb = np.array(colours)[None]
    values = np.round(space.numbers(srgb / 255) * 65535).astype(np.uint16)
    path = png16(tmp_path_factory.mktemp("deep") / "x.png", values, 2)
    assert apart(with_chunks(path, iCCP=iccp(space.profile)), srgb) <= 2


def test_the_profile_of_a_bitmap_is_used(tmp_path: Path) -> None:
    pixels = np.round(icc.WIDE[0].numbers(CHART / 255) * 255).astype(np.uint8)
    height, width = CHART.shape[:2]
    rows = np.ascontiguousarray(pixels[::-1, :, ::-1]).tobytes()
    head = struct.pack("<IiiHHIIiiII", 124, width, height, 1, 24, 0, len(rows), 0, 0, 0, 0)
    head += bytes(16) + b"DEBM" + bytes(48)  # no masks, an embedded profile, no points and gammas
    head += struct.pack("<IIII", 4, 124 + len(rows), len(P3), 0)
    start = struct.pack("<2sIII", b"BM", 14 + 124 + len(rows) + len(P3), 0, 14 + 124)
    (tmp_path / "x.bmp").write_bytes(start + head + rows + P3)
    assert apart(tmp_path / "x.bmp") <= 2
    assert "Display P3 profile, converted to sRGB" in oddities(tmp_path / "x.bmp")


def test_the_profile_of_a_jpeg_2000_is_used(tmp_path: Path) -> None:
    path = save(tmp_path / "x.jp2", icc.WIDE[0].numbers(CHART / 255), None)
    content = path.read_bytes()
    box, header = content.index(b"colr") - 4, content.index(b"jp2h") - 4
    [size] = struct.unpack_from(">I", content, box)
    [whole] = struct.unpack_from(">I", content, header)
    colours = struct.pack(">I", 11 + len(P3)) + b"colr\2\0\0" + P3
    grown = struct.pack(">I", whole - size + len(colours))
    content = content[:box] + colours + content[box + size :]
    path.write_bytes(content[:header] + grown + content[header + 4 :])
    assert apart(path) <= 2
    assert "Display P3 profile, converted to sRGB" in oddities(path)


def test_the_colour_code_of_an_avif_is_used_where_it_has_no_profile(tmp_path: Path) -> None:
    path = save(tmp_path / "x.avif", icc.WIDE[0].numbers(CHART / 255), None, **SAVED["avif"][0])
    content = path.read_bytes()
    at = content.index(b"colrnclx") + 8
    path.write_bytes(content[:at] + struct.pack(">HH", 12, 13) + content[at + 4 :])
    assert apart(path) <= 8
    assert "Display P3 by its colour code, converted to sRGB" in oddities(path)


def test_a_picture_without_a_profile_keeps_its_numbers(tmp_path: Path) -> None:
    path = save(tmp_path / "x.png", CHART / 255, None)
    assert apart(path) == 0
    assert not pictures.describe(path).oddities


@pytest.mark.parametrize(
    "profile",
    [
        ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
        icc.rgb_profile("sRGB IEC61966-2.1", icc.matrix(icc.SRGB), None),
    ],
    ids=["version 4, a formula", "version 2, a table"],
)
def test_an_srgb_profile_changes_nothing(tmp_path: Path, profile: bytes) -> None:
    path = save(tmp_path / "x.png", CHART / 255, profile)
    assert apart(path) == 0
    assert not pictures.describe(path).oddities


def test_a_print_with_its_profile_is_converted_by_it(tmp_path: Path) -> None:
    inks = np.random.default_rng(0).integers(0, 120, (16, 16, 4), dtype=np.uint8)
    path = tmp_path / "x.tif"
    Image.frombytes("CMYK", (16, 16), inks.tobytes()).save(
        path, icc_profile=icc.cmyk_profile("Our press")
    )
    expected = icc.printed(inks / 255) * 255
    assert apart(path, expected) < 5  # black ink counts as black, so all is a little darker
    assert "Our press profile, converted to sRGB" in oddities(path)
    Image.new("CMYK", (16, 16), (255, 255, 255, 255)).save(
        path, icc_profile=icc.cmyk_profile("Our press")
    )
    assert pictures.read_rgb(path).max() <= 2


@pytest.mark.parametrize("ending", ["jpg", "tif"])
def test_a_print_without_a_profile_is_converted_by_a_formula_and_named(
    tmp_path: Path, ending: str
) -> None:
    path = tmp_path / f"x.{ending}"
    Image.new("CMYK", (16, 16), (255, 0, 0, 51)).save(path)
    assert np.abs(pictures.read_rgb(path) - np.array([0.0, 204, 204])).max() <= 3
    assert pictures.read_rgba(path).shape == (16, 16, 4)
    assert pictures.describe(path).doubts == ("CMYK without a profile, converted by a formula",)


@pytest.mark.parametrize("deep", [False, True])
def test_a_grey_picture_is_converted_by_its_profile(tmp_path: Path, deep: bool) -> None:
    grey = spread(np.linspace(20, 250, 24))[..., 0]
    numbers = icc.decode_srgb(grey / 255) ** (1 / 1.8)
    path = tmp_path / "x.png"
    profile = icc.grey_profile("Dot gain", 1.8)
    if deep:
        png16(path, np.round(numbers[..., None] * 65535).astype(np.uint16), 0)
        with_chunks(path, iCCP=iccp(profile))
    else:
        save(path, numbers, profile)
    assert apart(path, np.repeat(grey[..., None], 3, axis=2)) <= (0.6 if deep else 2)
    assert "Dot gain profile, converted to sRGB" in oddities(path)


def test_a_grey_picture_may_have_an_rgb_profile(tmp_path: Path) -> None:
    grey = CHART[..., 0]
    path = save(tmp_path / "x.jpg", grey / 255, icc.WIDE[1].profile, quality=100)
    expected = icc.encode_srgb((grey / 255.0) ** (563 / 256)) * 255
    assert apart(path, np.repeat(expected[..., None], 3, axis=2)) <= 3


def test_a_lab_tiff_is_converted(tmp_path: Path) -> None:
    lab = np.round(icc.lab(PATCHES / 255) * [2.55, 1, 1]).astype(np.int16)
    path = tmp_path / "x.tif"
    stored = spread(lab.astype(np.uint8))  # a and b with their signs
    Image.frombytes("LAB", (6 * SIDE, 4 * SIDE), stored.tobytes()).save(path)
    # Whole numbers of a and b are coarse where a channel is dark.
    assert apart(path) <= 10
    assert np.abs(pictures.read_rgb(path).astype(float) - CHART).mean() < 1
    assert "LAB, converted to sRGB" in oddities(path)
    assert pictures.read_grey(path).shape == CHART.shape[:2]


def test_alpha_is_not_a_colour(tmp_path: Path) -> None:
    space = icc.WIDE[0]
    alpha = np.linspace(0, 255, CHART.shape[0] * CHART.shape[1]).reshape(CHART.shape[:2])
    numbers = np.concatenate([space.numbers(CHART / 255), alpha[..., None] / 255], axis=2)
    path = save(tmp_path / "x.png", numbers, space.profile)
    rgba = pictures.read_rgba(path)
    np.testing.assert_array_equal(rgba[..., 3], np.round(alpha))
    np.testing.assert_array_equal(rgba[..., 3], pictures.read_alpha(path))
    assert np.abs(rgba[..., :3].astype(float) - CHART).max() <= 2
    assert pictures.read_rgb(path)[0, 0].tolist() == pytest.approx([128, 128, 128], abs=1)


@pytest.mark.parametrize("transparent", [False, True])
def test_a_palette_is_converted(tmp_path: Path, transparent: bool) -> None:
    space = icc.WIDE[0]
    numbers = np.round(space.numbers(CHART / 255) * 255).astype(np.uint8)
    flat = Image.fromarray(numbers).quantize(24)
    options = {"transparency": 255} if transparent else {}
    flat.save(tmp_path / "x.png", icc_profile=space.profile, **options)
    assert apart(tmp_path / "x.png") <= 2


def test_grey_with_alpha_is_converted(tmp_path: Path) -> None:
    grey = np.stack([np.full((4, 4), 100), np.full((4, 4), 200)], axis=2)
    Image.fromarray(grey.astype(np.uint8), "LA").save(
        tmp_path / "x.png", icc_profile=icc.grey_profile("Dot gain", 1.8)
    )
    expected = icc.encode_srgb(np.array(100 / 255) ** 1.8) * 255
    [[pixel]] = np.unique(pictures.read_rgba(tmp_path / "x.png"), axis=(0))[:1, :1].tolist()
    assert pixel == pytest.approx([*[expected] * 3, 200], abs=1)


def test_the_numbers_of_a_mask_are_data(tmp_path: Path) -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    path = save(tmp_path / "x.png", grey / 255, icc.grey_profile("Dot gain", 1.8))
    np.testing.assert_array_equal(pictures.read_grey(path), grey)
    assert np.abs(pictures.read_rgb(path)[..., 0].astype(int) - grey).max() > 10
