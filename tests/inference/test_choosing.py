"""Photos that could not be registered, beside photos that could."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.inference.car_checkpoint import make
from tests.inference.car_checkpoint import photos as car_photos
from tests.inference.made_photos import call

pytestmark = pytest.mark.usefixtures("in_tmp_path")
FAR = (0.0, 0.0, 1.0, 8.0)
"""Turned by more than is sought."""
NEAR = ((3.0, -2.0, 1.02, 0.0), (-4.0, 1.0, 0.98, 1.5))


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    return make(tmp_path)


def photos(*moves: tuple[float, ...]) -> list[Path]:
    return car_photos(Path(), moves)


def texture(out: str) -> bytes:
    return Path(out, "fused_uv.png").read_bytes()


@pytest.mark.parametrize("size", [[], ["--texture-size", "128"]])
def test_the_texture_is_that_of_the_photos_that_lie_right(trained: Path, size: list[str]) -> None:
    far, one, two = photos(FAR, *NEAR)
    settings = ("--fuse", "--whole", *size, "--out")
    result = call(trained, far, one, two, *settings, "o")
    assert result.exit_code == 0, result.output
    assert "2 of 3 photos" in result.stdout
    assert f"{far}: could not be registered" in result.stderr
    assert "(--keep-all uses it as it lies); left out" in result.stderr
    call(trained, one, two, *settings, "clean")
    assert texture("o") == texture("clean")
    record = json.loads(Path("o/fused_infer.json").read_text())
    assert list(record["left_out"]) == [str(far)]
    assert not record["placements"][str(far)]["known"]
    assert not Path("o/fused_0_reproj.png").exists()


def test_one_photo_that_lies_right_is_enough(trained: Path) -> None:
    far, farther, one = photos(FAR, (30.0, 0.0, 1.0, -9.0), NEAR[0])
    result = call(trained, far, farther, one, "--fuse", "--whole", "--out", "o")
    assert result.exit_code == 0, result.output
    assert "1 of 3 photos" in result.stdout
    call(trained, one, "--fuse", "--whole", "--out", "clean")
    assert texture("o") == texture("clean")


def test_a_photo_of_another_car_is_named_and_left_out(trained: Path) -> None:
    """It has the livery's colours: only the shape of the car tells it."""
    own = photos(*NEAR)
    [other] = car_photos(Path("other"), NEAR[:1], another=True)
    result = call(trained, *own, other, "--fuse", "--whole", "--out", "o")
    assert result.exit_code == 0, result.output
    assert "2 of 3 photos" in result.stdout
    [line] = [line for line in result.stderr.splitlines() if str(other) in line]
    assert "could not be registered" in line
    assert "or shows another car" in line
    call(trained, *own, "--fuse", "--whole", "--out", "clean")
    assert texture("o") == texture("clean")


def test_an_only_photo_of_another_car_is_told(trained: Path) -> None:
    [other] = car_photos(Path("other"), NEAR[:1], another=True)
    result = call(trained, other, "--fuse", "--whole", "--out", "o")
    assert result.exit_code == 0, result.output
    assert "or shows another car" in result.stderr


def test_keep_all_uses_it_as_it_lies(trained: Path) -> None:
    far, one = photos(FAR, NEAR[0])
    settings = (trained, far, one, "--fuse", "--whole", "--out")
    kept = call(*settings, "all", "--keep-all")
    assert kept.exit_code == 0, kept.output
    assert "its paint may be displaced" in kept.stderr
    assert json.loads(Path("all/fused_infer.json").read_text())["left_out"] == {}
    call(*settings, "o")
    assert texture("all") != texture("o")


def test_if_no_photo_could_be_registered_all_are_used_and_told(trained: Path) -> None:
    given = photos(FAR, (30.0, 0.0, 1.0, -9.0))
    result = call(trained, *given, "--fuse", "--whole", "--keep-all", "--out", "all")
    plain = call(trained, *given, "--fuse", "--whole", "--out", "o")
    assert plain.exit_code == result.exit_code == 0, plain.output
    assert texture("o") == texture("all")
    for path in given:
        assert f"{path}: could not be registered" in plain.stderr
    assert plain.stderr.count("it is used as it lies") == 2
    assert "may be how they lie or another livery, and all are used" in plain.stderr


@pytest.mark.parametrize("fuse", [[], ["--fuse"]])
def test_an_only_photo_is_used_and_told(trained: Path, fuse: list[str]) -> None:
    [far] = photos(FAR)
    result = call(trained, far, *fuse, "--whole", "--out", "o", "--json")
    assert result.exit_code == 0, result.output
    [record] = json.loads(result.stdout)
    [warning] = [w for w in record["warnings"] if "could not be registered" in w]
    assert warning.endswith("it is used as it lies, so its paint may be displaced in the texture")
    assert Path(record["files"]["texture"]).is_file()
