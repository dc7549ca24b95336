"""A colour chart in the colour spaces that cameras, phones and programs save, with the profile."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from tests.complaints import icc_profiles as icc
from tests.inference.small_model import save_checkpoint
from tests.intake.sources import png16
from uvtex.cli import main
from uvtex.data import manifest, pictures
from uvtex.inference.photos import prepare
from uvtex.intake.importer import import_set

SIDE = 8
"""Pixels along a patch's side."""
PATCHES = np.array(
    [
        *[(30, 160, 60), (150, 150, 150), (220, 40, 30), (115, 82, 68), (194, 150, 130)],
        *[(98, 122, 157), (87, 108, 67), (133, 128, 177), (103, 189, 170), (214, 126, 44)],
        *[(80, 91, 166), (193, 90, 99), (94, 60, 108), (157, 188, 64), (224, 163, 46)],
        *[(56, 61, 150), (70, 148, 73), (175, 54, 60), (231, 199, 31), (187, 86, 149)],
        *[(243, 243, 242), (200, 200, 200), (122, 122, 121), (52, 52, 52)],
    ]
)
"""Twenty-four sRGB colours: paints, and the greys of a scale."""


def spread(patches: np.ndarray) -> np.ndarray:
    """Patches [24, C] as a picture [4 SIDE, 6 SIDE, C]."""
    return patches.reshape(4, 6, -1).repeat(SIDE, axis=0).repeat(SIDE, axis=1)


P3 = icc.WIDE[0].profile
CHART = spread(PATCHES.astype(np.uint8))


def save(path: Path, numbers: np.ndarray, profile: bytes | None, **options: object) -> Path:
    """Numbers in [0, 1] as a picture of 8 bits."""
    pixels = np.round(numbers * 255).astype(np.uint8)
    Image.fromarray(pixels).save(path, icc_profile=profile, **options)
    return path


def with_chunks(path: Path, **chunks: bytes) -> Path:
    """Adds chunks to a PNG, before its pixels."""
    content = path.read_bytes()
    added = b""
    for name, data in chunks.items():
        kind = name.encode()
        added += struct.pack(">I", len(data)) + kind + data
        added += struct.pack(">I", zlib.crc32(kind + data))
    path.write_bytes(content[:33] + added + content[33:])
    return path


def iccp(profile: bytes) -> bytes:
    return b"profile\0\0" + zlib.compress(profile)


def apart(path: Path, expected: np.ndarray = CHART) -> float:
    """The largest difference of a read picture, in levels of 255."""
    return float(np.abs(pictures.read_rgb(path).astype(float) - expected).max())


def oddities(path: Path) -> str:
    return "; ".join(pictures.describe(path).oddities)


SAVED: dict[str, tuple[dict[str, object], float]] = {
    "png": ({}, 0),
    "tif": ({"compression": "tiff_lzw"}, 0),
    "webp": ({"lossless": True, "exact": True}, 0),
    "jpg": ({"quality": 100, "subsampling": 0}, 2),
    "avif": ({"quality": 100, "subsampling": "4:4:4"}, 3),
}
"""Ending -> options, and levels that the format itself loses."""


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


# -- what cannot be converted is named, and keeps its numbers

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


# -- the people who wait for the texture


@pytest.fixture
def shots(tmp_path: Path) -> Callable[[str, icc.Wide | None], Path]:
    """A table of two views and their texture, in a colour space."""

    def make(name: str, space: icc.Wide | None) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        for number in range(3):
            colours = np.roll(CHART, number, axis=1)[: 4 * SIDE, : 4 * SIDE] / 255
            numbers = colours if space is None else space.numbers(colours)
            save(folder / f"{number}.png", numbers, space and space.profile)
        (folder / "t.csv").write_text("view,livery,texture\n0.png,a,2.png\n1.png,a,2.png\n")
        return folder / "t.csv"

    return make


def test_a_set_of_display_p3_photos_trains_as_the_srgb_set(
    tmp_path: Path, shots: Callable[[str, icc.Wide | None], Path]
) -> None:
    report = import_set(shots("p3", icc.WIDE[0]), tmp_path / "wide")
    import_set(shots("srgb", None), tmp_path / "plain")
    assert report.notes == ["0.png and 2 more pictures: Display P3 profile, converted to sRGB"]
    for kind in ("view", "texture"):
        files = [
            folder / getattr(record, kind)
            for folder in (tmp_path / "wide", tmp_path / "plain")
            for record in manifest.read(folder).records[:1]
        ]
        wide, plain = (pictures.read_rgb(path).astype(int) for path in files)
        assert np.abs(wide - plain).max() <= 2
    result = CliRunner().invoke(main, ["data", "report", str(tmp_path / "wide"), "--json"])
    assert "Display P3 profile, converted to sRGB" in result.output


def test_a_photo_that_cannot_be_converted_gives_a_warning(tmp_path: Path) -> None:
    model = save_checkpoint(tmp_path / "m.safetensors", None)
    path = tmp_path / "x.tif"
    Image.fromarray(CHART).convert("CMYK").save(path)
    result = CliRunner().invoke(
        main, ["infer", str(model), str(path), "--out", str(tmp_path / "o")]
    )
    assert result.exit_code == 0
    assert "CMYK without a profile, converted by a formula" in result.stderr
    record = json.loads((tmp_path / "o" / "x_infer.json").read_text())
    assert any("CMYK without a profile" in warning for warning in record["warnings"])


def test_a_converted_photo_gives_no_warning_but_is_recorded(tmp_path: Path) -> None:
    path = save(tmp_path / "x.png", icc.WIDE[0].numbers(CHART / 255), P3)
    photo = prepare(path, 32, None)
    assert not [warning for warning in photo.warnings if "unusual" in warning]
    assert "Display P3 profile, converted to sRGB" in photo.facts.oddities


def test_liveries_of_another_space_are_named_and_converted(tmp_path: Path) -> None:
    (tmp_path / "liveries").mkdir()
    square = np.full((32, 32, 3), (30, 160, 60)) / 255
    save(tmp_path / "liveries/green.png", icc.WIDE[2].numbers(square), icc.WIDE[2].profile)
    quick = "--size 16 --texture-size 32 --cameras 1 --samples 1 --supersample 1 --no-views"
    options = ["showroom", "build", str(tmp_path / "set"), "--liveries", str(tmp_path / "liveries")]
    result = CliRunner().invoke(main, [*options, *quick.split()])
    assert result.exit_code == 0, result.output
    assert "green.png: ProPhoto RGB profile, converted to sRGB" in result.output
    with Image.open(tmp_path / "set/textures/green.png") as texture:
        assert texture.getpixel((5, 5)) == pytest.approx((30, 160, 60), abs=4)
        assert "icc_profile" not in texture.info
