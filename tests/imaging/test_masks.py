import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hn
from PIL import Image

from tests.sets import make_set
from uvtex.cli import main
from uvtex.cli.data import data
from uvtex.data import manifest, pictures
from uvtex.data.view_files import ViewFile, ViewReader
from uvtex.errors import DataError
from uvtex.imaging import masks
from uvtex.intake import mask_drawing
from uvtex.intake.importer import import_set

RED, WHITE, BLACK, GREY = (200, 20, 20), (250, 250, 250), (12, 12, 12), (150, 150, 150)


def scene(
    colour: tuple[int, int, int], size: int = 64, specks: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """A block of one colour with a grey window on a floor that darkens to the front."""
    picture = np.repeat(np.linspace(190, 130, size)[:, None, None], size, 1).repeat(3, 2)
    mask = np.zeros((size, size), bool)
    mask[size // 4 : size * 3 // 4, size // 6 : size * 5 // 6] = True
    picture[mask] = colour
    at = size // 2
    picture[at - 2 : at + 2, at - 2 : at + 2] = GREY
    for row, column in ((0, 0), (2, size // 2), (5, 4), (size - 1, 7), (size - 4, size - 1)):
        picture[row, column] = RED if specks else picture[row, column]
    return picture.astype(np.uint8), mask


@pytest.mark.parametrize("colour", [RED, BLACK])
def test_saturated_and_dark_cars_are_found_by_colour(colour: tuple[int, int, int]) -> None:
    picture, mask = scene(colour, specks=True)
    assert masks.iou(masks.by_colour(picture), mask) > 0.97


def test_white_cars_are_found_only_by_their_backdrop() -> None:
    picture, mask = scene(WHITE)
    assert not masks.by_colour(picture).any()
    assert masks.iou(masks.by_backdrop(picture), mask) > 0.97


@pytest.mark.parametrize("colour", [RED, WHITE, BLACK])
@pytest.mark.parametrize("size", [32, 64, 200])
def test_a_backdrop_that_darkens_and_specks_do_not_matter(
    colour: tuple[int, int, int], size: int
) -> None:
    picture, mask = scene(colour, size, specks=True)
    assert masks.iou(masks.by_backdrop(picture), mask) > 0.95


@pytest.mark.parametrize("colour", [RED, WHITE])
@pytest.mark.parametrize("angle", [-8, 5])
def test_black_corners_of_a_rotated_picture_are_not_the_car(
    colour: tuple[int, int, int], angle: int
) -> None:
    picture, mask = scene(colour, 96)
    turned = np.asarray(Image.fromarray(picture).rotate(angle, Image.Resampling.BICUBIC))
    exact = np.asarray(Image.fromarray(mask.astype(np.uint8)).rotate(angle)) > 0
    assert masks.iou(masks.by_backdrop(turned), exact) > 0.9


def test_a_car_in_a_black_studio_is_found() -> None:
    picture, mask = scene(RED)
    picture[~mask] = 4
    assert masks.iou(masks.by_backdrop(picture), mask) > 0.97


def test_pixels_that_differ_between_liveries_are_the_paint() -> None:
    views, mask = zip(*(scene(colour) for colour in (RED, WHITE, BLACK)), strict=True)
    paint = mask[0].copy()
    paint[30:34, 30:34] = False  # the window looks the same in all views
    rng = np.random.default_rng(0)
    noisy = [np.clip(v + rng.normal(0, 4, v.shape), 0, 255).astype(np.uint8) for v in views]
    assert masks.iou(masks.by_variation(noisy), paint) > 0.99


def test_by_variation_needs_two_views_of_one_size() -> None:
    small, large = np.zeros((8, 8, 3), np.uint8), np.zeros((9, 9, 3), np.uint8)
    for views in ([], [small], [small, large]):
        with pytest.raises(ValueError, match="at least two views of one size"):
            masks.by_variation(views)


@given(hn.arrays(bool, hn.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24)))
def test_iou_is_symmetric_and_bounded(a: np.ndarray) -> None:
    b = np.roll(a, 1, axis=0)
    assert masks.iou(a, a) == 1
    assert masks.iou(a, b) == masks.iou(b, a)
    assert 0 <= masks.iou(a, b) <= 1
    if a.any():
        assert masks.iou(a, np.zeros_like(a)) == 0


@given(
    hn.arrays(np.uint8, st.tuples(st.integers(1, 20), st.integers(1, 20), st.just(3))),
    st.sampled_from(["backdrop", "colour", "auto"]),
)
def test_any_picture_gets_a_mask_of_its_size(rgb: np.ndarray, method: mask_drawing.Method) -> None:
    name, mask = mask_drawing.draw(rgb, method)
    assert mask.shape == rgb.shape[:2]
    assert mask.dtype == bool
    assert mask.any()
    assert name in ("backdrop", "colour", "everything")
    assert masks.overlay(rgb, mask).shape == rgb.shape


def unmasked(folder: Path, cameras: bool = True, liveries: int = 4) -> Path:
    """A set whose records have no masks, and no cameras either unless ``cameras`` is true."""
    make_set(folder, liveries=liveries)
    lost = {"mask": None} if cameras else {"mask": None, "camera": None}
    records = [r.model_copy(update=lost) for r in manifest.read(folder).records]
    manifest.write(folder, records)
    return folder


@pytest.mark.parametrize(
    ("cameras", "liveries", "method", "best"),
    [(True, 6, "variation", 0.9), (False, 4, "backdrop", 0.6), (True, 2, "backdrop", 0.6)],
)
def test_import_draws_the_masks_that_are_missing(
    tmp_path: Path, cameras: bool, liveries: int, method: str, best: float
) -> None:
    source = unmasked(tmp_path / "set", cameras, liveries)
    report = import_set(source, tmp_path / "out")
    assert set(report.masks) == {method}
    records = manifest.read(tmp_path / "out").records
    exact = [pictures.read_grey(source / f"masks/{n % 3}.png") > 127 for n in range(len(records))]
    drawn = [pictures.read_grey(tmp_path / "out" / str(r.mask)) > 127 for r in records]
    assert np.mean([masks.iou(a, b) for a, b in zip(drawn, exact, strict=True)]) > best
    assert len({r.mask for r in records}) == (3 if method == "variation" else len(records))


def test_a_picture_without_a_car_gets_a_full_mask_and_a_note(tmp_path: Path) -> None:
    source = unmasked(tmp_path / "set", cameras=False)
    Image.new("RGB", (32, 32), GREY).save(source / "views/0_0.png")
    report = import_set(source, tmp_path / "out")
    assert report.masks == {"backdrop": 11, "everything": 1}
    assert any("no car was found in 0_0.png" in note for note in report.notes)


def draw_file(path: Path, method: mask_drawing.Method) -> tuple[str, np.ndarray]:
    return mask_drawing.draw_shot(ViewReader(), ViewFile(path, path), method)


def test_the_alpha_channel_of_a_picture_is_its_mask(tmp_path: Path) -> None:
    picture, mask = scene(RED)
    cut = np.dstack([picture, (mask * 255).astype(np.uint8)])
    Image.fromarray(cut).save(tmp_path / "x.png")
    name, found = draw_file(tmp_path / "x.png", "auto")
    assert (name, np.array_equal(found, mask)) == ("alpha", True)
    assert draw_file(tmp_path / "x.png", "backdrop")[0] == "backdrop"
    cut[..., 3] = 255
    Image.fromarray(cut).save(tmp_path / "opaque.png")
    assert draw_file(tmp_path / "opaque.png", "auto")[0] == "backdrop"


def test_a_camera_that_moved_is_not_compared(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    paths = []
    for n in range(4):
        Image.fromarray(rng.integers(0, 256, (32, 32, 3), np.uint8)).save(tmp_path / f"{n}.png")
        paths.append(tmp_path / f"{n}.png")
    files = [ViewFile(path, path) for path in paths]
    assert mask_drawing.of_camera(ViewReader(), files) is None
    Image.new("RGB", (40, 32)).save(paths[0])
    assert mask_drawing.of_camera(ViewReader(), files) is None
    assert mask_drawing.of_camera(ViewReader(), files[1:3]) is None


def test_the_masks_command_writes_masks_overlays_and_a_sheet(
    tiny_set: Path, tmp_path: Path
) -> None:
    result = CliRunner().invoke(data, ["masks", str(tiny_set), str(tmp_path / "looks")])
    assert result.exit_code == 0, result.output
    assert "variation: 18 views" in result.output
    assert "IoU with the set's own 1.000" in result.output
    assert pictures.read_rgb(tmp_path / "looks/sheet.png").shape[1] > 1000
    for kind in ("masks", "overlays"):
        assert len(list((tmp_path / "looks" / kind).rglob("*.png"))) == 18


def test_the_masks_command_takes_a_method_and_prints_json(tiny_set: Path, tmp_path: Path) -> None:
    out = tmp_path / "looks"
    result = CliRunner().invoke(
        data, ["masks", str(tiny_set), str(out), "--masks", "colour", "--json"]
    )
    drawn = json.loads(result.output)
    assert len(drawn) == 18
    assert {one["method"] for one in drawn} <= {"colour", "everything"}
    assert all((out / one["mask"]).is_file() and 0 <= one["iou"] <= 1 for one in drawn)


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda p: p.write_bytes(p.read_bytes()[:-60]), "not a readable picture"),
        (lambda p: p.write_bytes(b""), "the file is empty"),
        (lambda p: Image.new("1", (20000, 20000)).save(p), "scale it down first"),
    ],
    ids=["truncated", "zero bytes", "bomb"],
)
def test_a_broken_view_is_named_and_no_mask_is_written(
    tmp_path: Path, spoil: Callable[[Path], None], says: str
) -> None:
    folder = make_set(tmp_path / "set", liveries=2, cameras=2)
    spoil(folder / "views/1_1.png")
    result = CliRunner().invoke(main, ["data", "masks", str(folder), str(tmp_path / "looks")])
    assert result.exit_code == 1
    assert f"{folder}/views/1_1.png: " in result.stderr
    assert says in result.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["set"]


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "1", "I;16", "1x1", "lying"])
def test_any_kind_of_view_gets_a_mask_of_its_shape(tmp_path: Path, mode: str) -> None:
    folder = make_set(tmp_path / "set", liveries=2, cameras=1)
    view = folder / "views/0_0.png"
    picture = Image.open(view)
    exif = Image.Exif()
    exif[0x0112] = 6
    if mode == "1x1":
        picture.resize((1, 1)).save(view)
    elif mode == "lying":
        picture.resize((32, 20)).save(view, exif=exif)
    elif mode == "I;16":
        Image.fromarray(np.asarray(picture.convert("L"), np.uint16) * 257).save(view)
    else:
        picture.convert(mode).save(view, "TIFF" if mode == "CMYK" else "PNG")
    mask_drawing.write_masks(folder, tmp_path / "looks")
    shape = {"1x1": (1, 1), "lying": (32, 20)}.get(mode, (32, 32))
    assert pictures.read_grey(tmp_path / "looks/masks/views/0_0.png").shape == shape


def test_the_masks_command_refuses_an_existing_folder(tiny_set: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is there already"):
        mask_drawing.write_masks(tiny_set, tmp_path)
