"""`uvtex showroom build --template`: the template covers procedural liveries."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from uvtex.cli import main
from uvtex.errors import DataError
from uvtex.showroom.liveries import template

QUICK = "--size 16 --cameras 1 --samples 1 --supersample 1 --no-views".split()
GLASS = (10, 60, 40)


def call(out: Path, *flags: object) -> Result:
    return CliRunner().invoke(main, ["showroom", "build", str(out), *map(str, flags), *QUICK])


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    """The atlas' left half is glass, the rest is paint."""
    picture = Image.new("RGBA", (64, 64), (255, 255, 255, 0))
    picture.paste((*GLASS, 255), (0, 0, 32, 64))
    path = tmp_path / "template.png"
    picture.save(path)
    return path


@pytest.fixture
def alike(tmp_path: Path) -> Path:
    """Liveries whose left half is equal, except for small differences as from compression."""
    folder = tmp_path / "fleet"
    folder.mkdir()
    for n, colour in enumerate([(200, 30, 30), (20, 40, 190), (250, 250, 10)]):
        picture = Image.new("RGB", (64, 64), colour)
        picture.paste(tuple(c + n for c in GLASS), (0, 0, 32, 64))
        picture.save(folder / f"{n}.png")
    return folder


def textures(folder: Path) -> np.ndarray:
    paths = sorted((folder / "textures").iterdir())
    return np.stack([np.asarray(Image.open(path)).astype(int) for path in paths])


@pytest.mark.parametrize("kind", ["layer", "alike"])
def test_the_template_covers_procedural_liveries(
    kind: str, request: pytest.FixtureRequest, car_file: Path, tmp_path: Path
) -> None:
    source = request.getfixturevalue(kind)
    done = call(tmp_path / "set", "--car", car_file, "--liveries", 4, "--template", source)
    assert done.exit_code == 0, done.output
    share = re.search(r"covers ([\d.]+) % of the atlas", done.output)
    assert share is not None
    assert float(share[1]) == pytest.approx(50, abs=4)
    assert call(tmp_path / "plain", "--car", car_file, "--liveries", 4).exit_code == 0
    with_it, without = textures(tmp_path / "set"), textures(tmp_path / "plain")
    assert np.abs(with_it[:, :, :7] - GLASS).max() <= 6
    assert np.array_equal(with_it[:, :, 11:], without[:, :, 11:])
    assert np.abs(without[:, :, :7] - GLASS).max() > 50
    saved = (tmp_path / "set" / "showroom.yaml").read_text()
    assert f"template: {source.name}" in saved
    assert str(tmp_path) not in saved


def test_half_opaque_texels_let_paint_through() -> None:
    half = template.Template(
        np.full((1, 1, 3), 200, np.float32), np.full((1, 1, 1), 0.5, np.float32)
    )
    assert half.over(np.zeros((1, 1, 3), np.uint8)).tolist() == [[[100, 100, 100]]]


def test_colours_of_transparent_texels_do_not_bleed(tmp_path: Path) -> None:
    picture = Image.new("RGBA", (64, 64), (255, 0, 255, 0))  # as editors save it
    picture.paste((*GLASS, 255), (0, 0, 29, 64))
    picture.save(tmp_path / "t.png")
    small = template.read(tmp_path / "t.png", 16)
    visible = small.share[..., 0] > 0.05
    assert np.abs(small.colour[visible] - GLASS).max() <= 3


def test_a_set_refuses_another_template(layer: Path, car_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    assert call(out, "--car", car_file, "--liveries", 2, "--template", layer).exit_code == 0
    moved = layer.rename(layer.with_name("moved.png"))
    again = call(out, "--car", car_file, "--liveries", 2, "--template", moved)
    assert again.exit_code == 0, again.output
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(moved)
    other = call(out, "--car", car_file, "--liveries", 2, "--template", moved)
    assert other.exit_code == 1
    assert "template_sha256" in other.output


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda p: Image.new("RGB", (32, 32)).save(p), "opaque everywhere"),
        (lambda p: Image.new("RGBA", (32, 32)).save(p), "transparent everywhere"),
        (lambda p: p.write_bytes(b"none"), "not a readable picture"),
        (lambda p: None, "no such file; give a picture, or a folder"),
        (lambda p: os.mkfifo(p), "no such file; give a picture, or a folder"),
        (lambda p: Image.new("RGBA", (1, 1), "#ff000080").save(p), "1x1 pixels; at least 16"),
        (lambda p: p.mkdir(), "holds no liveries"),
        (lambda p: _folder(p, "red"), "holds one livery"),
        (lambda p: _folder(p, "red", "blue"), "its 2 liveries have no texel in common"),
        (lambda p: _folder(p, "red", "#fe0000"), "its 2 liveries are identical"),
    ],
)
def test_an_unusable_template_is_refused(
    make: object, message: str, car_file: Path, tmp_path: Path
) -> None:
    path = tmp_path / "template.png"
    make(path)  # type: ignore[operator]
    out = tmp_path / "set"
    done = call(out, "--car", car_file, "--liveries", 2, "--template", path)
    assert done.exit_code == 1, done.output
    assert message in done.output
    assert not isinstance(done.exception, DataError), "a message, not a traceback"
    assert not out.exists()


def _folder(path: Path, *colours: str) -> None:
    path.mkdir()
    for n, colour in enumerate(colours):
        Image.new("RGB", (32, 32), colour).save(path / f"{n}.png")


def test_a_template_for_own_liveries_is_refused(
    layer: Path, car_file: Path, livery_folder: Path, tmp_path: Path
) -> None:
    done = call(
        tmp_path / "set", "--car", car_file, "--liveries", livery_folder, "--template", layer
    )
    assert done.exit_code == 2
    assert "is for procedural liveries" in done.output


def test_an_empty_template_name_is_refused(car_file: Path, tmp_path: Path) -> None:
    done = call(tmp_path / "set", "--car", car_file, "--liveries", 2, "--template", "")
    assert done.exit_code == 2
    assert "the path is empty" in done.output


def test_oddities_of_a_template_are_reported(alike: Path, car_file: Path, tmp_path: Path) -> None:
    Image.open(alike / "0.png").resize((64, 32)).save(alike / "0.png")
    done = call(tmp_path / "set", "--car", car_file, "--liveries", 2, "--template", alike)
    assert done.exit_code == 0, done.output
    assert "0.png: 64 x 32, stretched to a square" in done.output
    assert "only 3 liveries" in done.output
