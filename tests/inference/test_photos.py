"""The view that is prepared from a photo: padding, framing, rotation and bit depth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.inference.made_photos import GROUND, KNOWN, inferred, photo, red
from uvtex.config import resolve
from uvtex.imaging.framing import Box, Range, framed, framing_of, padded
from uvtex.inference.photos import cut, prepare
from uvtex.runs.header import read_header

pytestmark = pytest.mark.usefixtures("in_tmp_path")


@pytest.mark.parametrize(("width", "height"), [(300, 150), (150, 300), (200, 200)])
def test_a_photo_is_padded_never_stretched(width: int, height: int) -> None:
    middle = (width // 2, height // 2)
    path = photo("p.png", width, height, (*(m - 50 for m in middle), *(m + 50 for m in middle)))
    view = prepare(path, 60, None).view
    across, down = red(view)
    assert abs(across - down) <= 1
    assert across == pytest.approx(100 / max(width, height) * 60, abs=1.5)


def test_padding_has_the_colour_of_the_border_and_is_recorded(model: Path) -> None:
    record = inferred(model, photo("p.png", 200, 100, (20, 20, 180, 80)))[0]
    assert record["padding"] == {"share": 0.5, "colour": list(GROUND)}
    assert record["square"] == [0, -50, 200, 150]
    with Image.open(record["files"]["view"]) as view:
        assert view.getpixel((16, 1)) == GROUND


def test_a_car_framed_as_in_training_is_not_cropped(model: Path) -> None:
    record = inferred(model, photo("p.png", 100, 100, (10, 20, 90, 80)))[0]
    assert not record["cropped"]
    assert record["square"] == [0, 0, 100, 100]


@pytest.mark.parametrize(
    "car", [(300, 100, 400, 160), (0, 0, 60, 40), (2, 2, 398, 190)], ids=["small", "corner", "near"]
)
def test_a_car_framed_differently_is_cropped_to_the_size_and_place_of_training(
    car: tuple[int, int, int, int],
) -> None:
    path = photo("p.png", 400, 200, car)
    mask = np.zeros((200, 400), np.uint8)
    mask[car[1] : car[3], car[0] : car[2]] = 255
    Image.fromarray(mask).save("m.png")
    done = prepare(path, 100, KNOWN, Path("m.png"))
    across, down = red(done.view)
    width, height = car[2] - car[0], car[3] - car[1]
    assert done.cropped
    assert across == pytest.approx(80, abs=2)
    assert down == pytest.approx(80 * height / width, abs=2)
    rows, columns = np.nonzero(done.view[..., 1] < 90)
    assert (columns.mean(), rows.mean()) == pytest.approx((49.5, 49.5), abs=1)
    assert not prepare(path, 100, KNOWN, Path("m.png"), whole=True).cropped


def test_the_car_is_placed_where_training_had_it() -> None:
    low = KNOWN.model_copy(update={"y": Range(least=0.6, usual=0.7, most=0.7)})
    square = framed(1000, 1000, padded(100, 100), low)
    assert square.middle[1] < 50  # the car is below the middle


def test_the_framing_comes_from_masks_without_specks() -> None:
    mask = np.zeros((100, 100), bool)
    mask[20:60, 10:90] = True
    mask[99, 99] = True
    other = np.roll(mask, 4, axis=0)
    framing = framing_of([mask, other, np.zeros((100, 100), bool)])
    assert framing is not None
    assert (framing.size.least, framing.size.most) == (0.8, 0.8)
    assert (framing.y.least, framing.y.usual, framing.y.most) == pytest.approx((0.4, 0.42, 0.44))
    assert framing_of([np.zeros((8, 8), bool)]) is None


def test_training_saves_its_framing_in_the_checkpoint(tiny_set: Path, tmp_path: Path) -> None:
    from uvtex.data.store import PairStore
    from uvtex.training.trainer import Trainer

    config = resolve(
        {"image_size": 32, "width": 0.1, "epochs": 1, "val_split": 0.34, "device": "cpu"},
        {"thresholds": [{"metric": "ssim_uv", "at_least": 0.2}]},
    )
    store = PairStore.open(tiny_set, config)
    trainer = Trainer(config, store, tmp_path / "run")
    list(trainer.epochs())
    header = read_header(trainer.best_checkpoint)
    assert header.framing == framing_of(store.train_masks())
    assert len(store.train_masks()) == 3  # one a camera
    assert len(store.train_masks(most=2)) == 2


def test_a_photo_rotated_by_exif_gives_the_result_of_the_upright_photo(model: Path) -> None:
    upright = photo("upright.png", 90, 60, (10, 10, 80, 40))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    with Image.open(upright) as picture:
        picture.rotate(90, expand=True).save("turned.png", exif=exif)
    one, two = inferred(model, upright, "turned.png")
    assert (two["stored_size"], two["upright_size"], two["exif_orientation"]) == (
        [60, 90],
        [90, 60],
        6,
    )
    for kind in ("view", "texture", "reprojection"):
        assert Path(one["files"][kind]).read_bytes() == Path(two["files"][kind]).read_bytes()


def test_the_bit_depth_of_a_photo_changes_nothing(model: Path) -> None:
    with Image.open(photo("plain.png", 90, 60, (10, 10, 80, 40))) as picture:
        grey = picture.convert("L")
    grey.save("grey.png")
    Image.fromarray(np.asarray(grey).astype(np.uint16) * 257).save("deep.png")
    grey.convert("P").save("palette.png")
    grey.convert("CMYK").save("cmyk.tif")
    first, *others = inferred(model, "grey.png", "deep.png", "palette.png", "cmyk.tif")
    for other in others:
        assert other["oddities"]
        assert (
            Path(first["files"]["view"]).read_bytes() == Path(other["files"]["view"]).read_bytes()
        )


def test_a_very_long_strip_is_padded_without_much_memory(model: Path) -> None:
    record = inferred(model, photo("p.png", 20000, 16, (9000, 4, 11000, 12)), "--whole")[0]
    assert record["padding"]["share"] > 0.99


@pytest.mark.parametrize("side", [1000, 1021, 1229])
@pytest.mark.parametrize("turn", [0.0, 0.05])
def test_a_cut_shows_each_part_at_its_place(side: int, turn: float) -> None:
    """Also where a photo is reduced to a size that does not divide its own."""
    size, spots = 64, [(0.25, 0.3), (0.5, 0.5), (0.85, 0.8)]
    square = Box(0.25, 0.25, side - 0.5, side - 0.5)
    rows, columns = np.mgrid[:side, :side] + 0.5
    for across, down in spots:
        far = np.hypot(columns - across * side, rows - down * side)
        spot = 250 * np.exp(-((far / side * size / 2) ** 2))
        picture = spot.round().astype(np.uint8)[..., None].repeat(3, axis=2)
        view, _ = cut(picture, square, size, turn)
        light = view[..., 0].astype(float)
        middle = (np.indices(light.shape) * light).sum(axis=(1, 2)) / light.sum() + 0.5
        away = (np.array([across, down]) * side - square.middle) / square.side
        back = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) @ away
        assert np.abs(middle[::-1] - (back + 0.5) * size).max() < 0.02
