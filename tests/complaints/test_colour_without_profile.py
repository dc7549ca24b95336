"""Colours that a picture tells without a profile, and profiles that cannot be used."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.complaints import icc_profiles as icc
from tests.complaints.colour_chart import (
    CHART,
    P3,
    SAVED,
    apart,
    iccp,
    oddities,
    save,
    with_chunks,
)
from tests.intake.sources import png16
from uvtex.data import pictures

BROKEN = {
    "cut off": P3[:200],
    "no profile": b"no profile at all" * 20,
    "empty": b"",
    "a curve that is none": P3.replace(b"curv", b"vruc"),
    "a device link": icc.profile(b"link", b"RGB ", b"RGB ", []),
    "an abstract profile": icc.profile(b"abst", b"Lab ", b"Lab ", []),
    "for grey": icc.grey_profile("Dot gain", 1.8),
    "for print": icc.cmyk_profile("Our press"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_profile_that_cannot_be_used_is_named_and_ignored(tmp_path: Path, fault: str) -> None:
    path = save(tmp_path / "x.png", CHART / 255, None)
    with_chunks(path, iCCP=iccp(BROKEN[fault]))
    assert apart(path) == 0
    [doubt] = pictures.describe(path).doubts
    assert "profile" in doubt
    assert "ignored" in doubt
    assert doubt in oddities(path)


def test_a_profile_that_was_not_packed_well_is_named(tmp_path: Path) -> None:
    path = save(tmp_path / "x.png", CHART / 255, None)
    with_chunks(path, iCCP=b"profile\0\0no zlib")
    assert apart(path) == 0
    assert pictures.describe(path).doubts == ("damaged colour profile, ignored",)


@settings(max_examples=60)
@given(at=st.integers(0, len(P3) - 1), content=st.binary(min_size=1, max_size=8), cut=st.booleans())
def test_no_damage_of_a_profile_makes_a_picture_unreadable(
    tmp_path_factory: pytest.TempPathFactory, at: int, content: bytes, cut: bool
) -> None:
    damaged = P3[:at] + content + (b"" if cut else P3[at + len(content) :])
    path = save(tmp_path_factory.mktemp("damaged") / "x.png", CHART / 255, damaged)
    assert pictures.read_rgb(path).shape == CHART.shape
    assert all("profile" in note for note in pictures.describe(path).oddities)


# -- spaces that are told without a profile


def gamma(value: float) -> bytes:
    return struct.pack(">I", round(value * 100000))


def points(space: icc.Space) -> bytes:
    (red, green, blue), white = space
    return struct.pack(">8I", *(round(v * 100000) for xy in (white, red, green, blue) for v in xy))


def test_the_chunks_of_a_png_are_converted(tmp_path: Path) -> None:
    adobe = icc.WIDE[1]
    path = save(tmp_path / "x.png", adobe.numbers(CHART / 255), None)
    with_chunks(path, gAMA=gamma(256 / 563), cHRM=points(icc.ADOBE))
    assert apart(path) <= 3
    assert "gAMA and cHRM chunks, converted to sRGB" in oddities(path)


def test_a_linear_png_is_converted(tmp_path: Path) -> None:
    linear = np.round(icc.decode_srgb(CHART / 255) * 65535).astype(np.uint16)
    path = with_chunks(png16(tmp_path / "x.png", linear, 2), gAMA=gamma(1))
    assert apart(path) <= 2


@pytest.mark.parametrize(
    "chunks",
    [
        {"gAMA": gamma(1 / 2.2)},
        {"gAMA": gamma(1 / 2.2), "cHRM": points(icc.SRGB)},
        {"sRGB": b"\0", "gAMA": gamma(1), "cHRM": points(icc.ADOBE)},
        {"cICP": bytes([1, 13, 0, 1]), "iCCP": iccp(icc.WIDE[1].profile)},
    ],
    ids=["gAMA", "gAMA and cHRM", "sRGB before others", "cICP before a profile"],
)
def test_chunks_that_say_srgb_change_nothing(tmp_path: Path, chunks: dict[str, bytes]) -> None:
    path = with_chunks(save(tmp_path / "x.png", CHART / 255, None), **chunks)
    assert apart(path) == 0
    assert not pictures.describe(path).oddities


@pytest.mark.parametrize(
    "chunks",
    [{"gAMA": gamma(0)}, {"gAMA": gamma(300)}, {"cHRM": bytes(32)}],
    ids=["gamma 0", "gamma 300", "no colours"],
)
def test_chunks_that_no_space_has_are_named(tmp_path: Path, chunks: dict[str, bytes]) -> None:
    path = with_chunks(save(tmp_path / "x.png", CHART / 255, None), **chunks)
    assert apart(path) == 0
    [doubt] = pictures.describe(path).doubts
    assert "chunk, ignored" in doubt


def test_a_colour_code_of_a_png_is_converted(tmp_path: Path) -> None:
    path = save(tmp_path / "x.png", icc.WIDE[0].numbers(CHART / 255), None)
    with_chunks(path, cICP=bytes([12, 13, 0, 1]))
    assert apart(path) <= 2
    assert "Display P3 by its colour code, converted to sRGB" in oddities(path)


@pytest.mark.parametrize(("code", "named"), [((9, 16), "PQ"), ((9, 18), "HLG"), ((9, 99), "9/99")])
def test_hdr_colours_are_named(tmp_path: Path, code: tuple[int, int], named: str) -> None:
    path = with_chunks(save(tmp_path / "x.png", CHART / 255, None), cICP=bytes([*code, 0, 1]))
    assert apart(path) == 0
    [doubt] = pictures.describe(path).doubts
    assert named in doubt


def exif(colour_space: int | None, interop: str | None) -> Image.Exif:
    data = Image.Exif()
    data[0x010F] = "Maker"
    details = data.get_ifd(0x8769)
    if colour_space is not None:
        details[0xA001] = colour_space
    if interop is not None:
        details[0xA005] = {1: interop}
    return data


@pytest.mark.parametrize("ending", ["jpg", "png", "webp"])
@pytest.mark.parametrize(("space", "interop"), [(0xFFFF, "R03"), (2, None)])
def test_adobe_rgb_of_a_camera_is_converted_without_a_profile(
    tmp_path: Path, ending: str, space: int, interop: str | None
) -> None:
    options, loss = SAVED[ending]
    numbers = icc.WIDE[1].numbers(CHART / 255)
    path = save(tmp_path / f"x.{ending}", numbers, None, exif=exif(space, interop), **options)
    assert apart(path) <= 3 + 2 * loss
    assert "Adobe RGB by its EXIF data, converted to sRGB" in oddities(path)


def test_an_unknown_space_of_a_camera_is_named(tmp_path: Path) -> None:
    path = save(tmp_path / "x.png", CHART / 255, None, exif=exif(0xFFFF, None))
    assert apart(path) == 0
    assert "read as sRGB" in pictures.describe(path).doubts[0]
    save(path, CHART / 255, None, exif=exif(1, "R98"))
    assert not pictures.describe(path).oddities
