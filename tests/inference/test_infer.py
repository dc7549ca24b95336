"""Inference: how a photo is prepared, which warnings it gets, and which input is refused."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from tests.inference.small_model import save_checkpoint
from uvtex.cli import main
from uvtex.config import resolve
from uvtex.errors import CheckpointError
from uvtex.imaging.framing import Framing, Range, box_of, framed, framing_of, padded
from uvtex.inference.infer import infer
from uvtex.inference.outputs import distinct_names
from uvtex.inference.photos import prepare
from uvtex.runs.header import read_header

GROUND, PAINT = (150, 152, 155), (200, 20, 30)
KNOWN = Framing(
    size=Range(least=0.7, usual=0.8, most=0.9),
    x=Range(least=0.5, usual=0.5, most=0.5),
    y=Range(least=0.5, usual=0.5, most=0.5),
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_checkpoint(tmp_path_factory.mktemp("model") / "best.safetensors", KNOWN)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def call(*args: Any) -> Result:
    return CliRunner().invoke(main, ["infer", *(str(arg) for arg in args)])


def inferred(*args: Any) -> list[dict[str, Any]]:
    result = call(*args, "--out", "o", "--json")
    assert result.exit_code == 0, result.output
    records: list[dict[str, Any]] = json.loads(result.stdout)
    return records


def photo(
    name: str, width: int, height: int, car: tuple[int, int, int, int], **options: Any
) -> Path:
    """Saves a grey picture with a red car in the box (left, top, right, bottom)."""
    picture = Image.new("RGB", (width, height), GROUND)
    picture.paste(PAINT, car)
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, **options)
    return path


def red(view: np.ndarray) -> tuple[int, int]:
    """Width and height of the red car in a view, in pixels."""
    box = box_of((view[..., 0] > 170) & (view[..., 1] < 90))
    assert box is not None
    return int(box.right - box.left), int(box.bottom - box.top)


# -- the view that is made of a photo


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


# -- masks


def test_transparency_is_the_mask(model: Path) -> None:
    with Image.open(photo("p.png", 100, 100, (10, 20, 90, 80))) as picture:
        cut = picture.convert("RGBA")
    alpha = Image.new("L", cut.size, 0)
    alpha.paste(255, (10, 20, 90, 80))
    cut.putalpha(alpha)
    cut.save("cut.png")
    mask = inferred(model, "cut.png")[0]["mask"]
    assert mask == {"source": "alpha", "guessed": False, "share": 0.48}


def test_a_guessed_mask_is_marked_as_guessed(model: Path) -> None:
    small, none = inferred(
        model, photo("small.png", 400, 400, (30, 30, 90, 70)), photo("none.png", 50, 50, (0,) * 4)
    )
    assert small["mask"]["source"] == "backdrop"
    assert small["mask"]["guessed"]
    assert small["cropped"]
    said = " ".join(small["warnings"])
    assert "the car fills" in said
    assert "guessed mask" in said
    assert none["mask"]["source"] == "everything"
    assert "no car was found" in none["warnings"][0]


def test_a_folder_of_masks_is_searched_by_name(model: Path) -> None:
    names = [photo(f"{folder}/x.png", 60, 60, (10, 10, 50, 50)) for folder in "ab"]
    Path("masks").mkdir()
    for name, share in (("a_x", 30), ("b_x", 60)):
        Image.new("L", (60, 60), 0).save(f"masks/{name}.png")
        with Image.open(f"masks/{name}.png") as mask:
            mask.paste(255, (0, 0, 60, share))
            mask.save(f"masks/{name}.png")
    records = inferred(model, *names, "--mask", "masks")
    assert [record["mask"]["share"] for record in records] == [0.5, 1.0]
    assert records[0]["mask"]["source"] == str(Path("masks/a_x.png"))


def test_a_mask_that_does_not_fit_is_refused(model: Path) -> None:
    path = photo("p.png", 90, 60, (10, 10, 80, 40))
    Image.new("L", (60, 90), 255).save("turned.png")
    Image.new("L", (90, 60), 0).save("empty.png")
    Image.new("L", (45, 30), 255).save("half.png")
    Path("masks").mkdir()
    for mask, says in (
        ("turned.png", "is 60x90, and p.png is 90x60"),
        ("empty.png", "marks no car"),
        ("masks", "no mask for p.png"),
    ):
        result = call(model, path, "--mask", mask, "--out", "o")
        assert result.exit_code == 1
        assert says in result.stderr
    assert call(model, path, "--mask", "half.png", "--out", "half").exit_code == 0
    two = call(
        model, path, photo("q.png", 90, 60, (1, 1, 9, 9)), "--mask", "half.png", "--out", "o"
    )
    assert two.exit_code == 2
    assert "folder of masks" in two.stderr
    assert not Path("o").exists()


# -- files and messages


def test_the_record_says_what_was_done(model: Path) -> None:
    path = photo("p.png", 90, 60, (10, 10, 80, 40))
    record = inferred(model, path, "--texture-size", "100")[0]
    assert record == json.loads(Path("o/p_infer.json").read_text())
    assert record["photo"] == str(path)
    assert record["checkpoint"]["metrics"] == {"ssim_uv": 0.25}
    assert record["texture"] == {"network_size": 32, "size": 100, "resampled": True}
    assert "upsampled from 32 to 100" in " ".join(record["warnings"])
    for kind, size in (("texture", 100), ("reprojection", 32), ("view", 32)):
        with Image.open(record["files"][kind]) as picture:
            assert picture.size == (size, size)
    assert "reduced from 32 to 16" in " ".join(
        inferred(model, path, "--texture-size", "16")[0]["warnings"]
    )


def test_the_terminal_shows_the_steps_and_warnings(model: Path) -> None:
    result = call(model, photo("p.png", 400, 200, (300, 100, 350, 130)), "--out", "o")
    assert result.exit_code == 0
    assert "p.png: 400x200; car 2% by backdrop" in result.stdout
    assert "shown: the square (" in result.stdout
    assert "warning: the car fills" in result.stderr


def test_a_checkpoint_without_framing_gives_a_warning(tmp_path: Path) -> None:
    old = save_checkpoint(tmp_path / "old.safetensors", None)
    record = inferred(old, photo("p.png", 400, 200, (300, 100, 350, 130)))[0]
    assert not record["cropped"]
    assert "does not say how training framed" in " ".join(record["warnings"])


def test_photos_with_the_same_stem_get_different_names(model: Path) -> None:
    paths = [photo(name, 60, 60, (9, 9, 50, 50)) for name in ("a/x.png", "b/x.png", "y.png")]
    records = inferred(model, *paths)
    assert [Path(r["files"]["texture"]).name for r in records] == [
        "a_x_uv.png",
        "b_x_uv.png",
        "y_uv.png",
    ]


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["d/x.png", "d/x.jpg"], ["d_x_png", "d_x_jpg"]),
        (["d/x.png", "e/X.png"], ["d_x", "e_X"]),
        (["d/x.png", "e/x.png", "e/d_x.png"], ["d_x_png", "e_x_png", "d_x"]),
    ],
)
def test_names_are_distinct_whatever_the_files_are_called(
    paths: list[str], names: list[str]
) -> None:
    assert distinct_names([Path(p) for p in paths]) == names


def test_no_photo_and_no_mask_is_overwritten(model: Path) -> None:
    one, two = (photo(n, 60, 60, (9, 9, 50, 50)) for n in ("d/x.png", "d/x_uv.png"))
    before = two.read_bytes()
    result = call(model, one, two, "--out", "d")
    assert result.exit_code == 2
    assert "x_uv.png: would be overwritten" in result.stderr
    assert two.read_bytes() == before
    mask = call(model, one, "--mask", two, "--out", "d")
    assert mask.exit_code == 2
    twice = call(model, one, Path("d/../d/x.png"), "--out", "o")
    assert twice.exit_code == 2
    assert "given twice" in twice.stderr
    assert sorted(p.name for p in Path("d").iterdir()) == ["x.png", "x_uv.png"]


# -- refused input


def bomb(path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 20000, 20000, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    )


def test_every_bad_photo_is_named_and_nothing_is_written(model: Path) -> None:
    good = photo("good.png", 60, 60, (9, 9, 50, 50))
    Path("truncated.png").write_bytes(good.read_bytes()[:100])
    Image.new("RGB", (1, 1)).save("dot.png")
    Path("zero.png").write_bytes(b"")
    Path("text.png").write_text("no picture")
    Path("folder").mkdir()
    bomb(Path("bomb.png"))
    names = "truncated.png dot.png zero.png text.png folder bomb.png missing.png".split()
    result = call(model, good, *names, "--out", "o")
    assert result.exit_code == 1
    for says in (
        "truncated.png: not a readable picture",
        "dot.png: 1x1 pixels",
        "zero.png: not a readable picture: the file is empty",
        "text.png: not a readable picture",
        "folder: is a folder",
        "bomb.png: more than",
        "missing.png: no such picture",
    ):
        assert says in result.stderr
    assert "Traceback" not in result.output
    assert not Path("o").exists()


def test_an_unreadable_mask_is_named(model: Path) -> None:
    path = photo("p.png", 60, 60, (9, 9, 50, 50))
    Path("m.png").write_bytes(b"")
    result = call(model, path, "--mask", "m.png", "--out", "o")
    assert result.exit_code == 1
    assert "m.png: not a readable picture: the file is empty" in result.stderr


@pytest.mark.parametrize("size", ["0", "15", "99999", "ten"])
def test_a_texture_size_out_of_range_is_a_usage_error(model: Path, size: str) -> None:
    path = photo("p.png", 60, 60, (9, 9, 50, 50))
    assert call(model, path, "--texture-size", size, "--out", "o").exit_code == 2


def test_an_invalid_framing_is_an_error_of_the_checkpoint(tmp_path: Path) -> None:
    broken = save_checkpoint(tmp_path / "broken.safetensors", {"size": {"least": "wide"}})
    with pytest.raises(CheckpointError, match=r"broken\.safetensors: .*size\.least"):
        infer(str(broken), [photo("p.png", 60, 60, (10, 10, 50, 50))], tmp_path / "out")
    assert not (tmp_path / "out").exists()
