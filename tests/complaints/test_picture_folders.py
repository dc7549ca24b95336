"""Folders of pictures: no file is left out in silence, and each that fails is named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.complaints.device_files import OTHERS, scene
from tests.inference.small_model import save_checkpoint
from uvtex.cli import main
from uvtex.data import picture_formats
from uvtex.errors import DataError
from uvtex.inference.photos import find_mask
from uvtex.intake.importer import import_set
from uvtex.showroom.liveries import files as liveries


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "liveries"
    path.mkdir()
    for name in ("red.png", "BLUE.JPG", "green.jfif", "white.avif", "old.JPEG"):
        scene(32, 32).save(path / name, "AVIF" if name.endswith("avif") else "PNG")
    for name in ("car.psd", "notes.txt", "movie.mov"):
        (path / name).write_bytes(b"x")
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._red.png", ".hidden.png"):
        (path / name).write_bytes(b"x")
    (path / "more").mkdir()
    return path


def test_a_livery_folder_names_the_files_that_it_skips(folder: Path, tmp_path: Path) -> None:
    assert set(liveries.find(folder)) == {"red", "BLUE", "green", "white", "old"}
    assert liveries.skipped(folder) == "3 files skipped: car.psd, movie.mov, notes.txt"
    quick = "--size 16 --texture-size 32 --cameras 1 --samples 1 --supersample 1 --no-views"
    options = ["showroom", "build", str(tmp_path / "set"), "--liveries", str(folder)]
    result = CliRunner().invoke(main, [*options, *quick.split()])
    assert result.exit_code == 0, result.output
    assert "3 files skipped: car.psd, movie.mov, notes.txt" in result.output
    for name in (".DS_Store", "Thumbs", "desktop.ini", "._red"):
        assert name not in result.output


def test_a_folder_without_a_picture_says_what_it_holds(tmp_path: Path) -> None:
    for number in range(8):
        (tmp_path / f"IMG_{number}.cr2").write_bytes(b"x")
    with pytest.raises(DataError) as caught:
        liveries.find(tmp_path)
    assert "8 files skipped: IMG_0.cr2, " in str(caught.value)
    assert "and 2 more" in str(caught.value)


def test_system_files_are_not_named(tmp_path: Path) -> None:
    for name in (".DS_Store", "Thumbs.db", "DESKTOP.INI", ".localized", "Icon\r"):
        (tmp_path / name).write_bytes(b"")
    assert picture_formats.search(tmp_path) == ([], [])
    assert picture_formats.skipped([]) == ""


@pytest.mark.parametrize("ending", [".PNG", ".Jpg", ".jfif", ".tga", ".avif", ".gif"])
def test_a_mask_is_found_by_any_ending_of_a_picture(tmp_path: Path, ending: str) -> None:
    (tmp_path / f"car{ending}").write_bytes(b"x")
    assert find_mask(tmp_path, Path("car.jpg"), "car") == tmp_path / f"car{ending}"


def test_a_mask_in_a_format_that_is_not_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "car.xcf").write_bytes(b"x")
    (tmp_path / "other.xcf").write_bytes(b"x")
    with pytest.raises(DataError) as caught:
        find_mask(tmp_path, Path("car.jpg"), "car")
    assert "1 file skipped: car.xcf" in str(caught.value)


def test_the_command_names_each_photo_that_cannot_be_read(tmp_path: Path) -> None:
    model = save_checkpoint(tmp_path / "m.safetensors", None)
    names = ["page.jpg", "lfs.png", "x.jxl"]
    for name in names:
        (tmp_path / name).write_bytes(OTHERS[name][0])
    photos = [str(tmp_path / name) for name in names]
    result = CliRunner().invoke(main, ["infer", str(model), *photos, "--out", str(tmp_path / "o")])
    assert result.exit_code == 1
    for name in names:
        assert f"{tmp_path / name}: not a readable picture: it is " in result.stderr
    assert "Traceback" not in result.output
    assert not (tmp_path / "o").exists()


def test_a_phone_portrait_is_inferred_without_a_warning_of_its_format(tmp_path: Path) -> None:
    model = save_checkpoint(tmp_path / "m.safetensors", None)
    path = tmp_path / "IMG_0001.jpg"
    scene(64, 64).save(path, "MPO", save_all=True, append_images=[scene(8, 8)])
    out = ["--out", str(tmp_path / "o"), "--json"]
    result = CliRunner().invoke(main, ["infer", str(model), str(path), *out])
    assert result.exit_code == 0, result.output
    [record] = json.loads(result.stdout)
    assert record["oddities"] == []
    assert "animated" not in result.output


def test_an_import_names_the_photos_of_a_phone_that_its_table_leaves_out(tmp_path: Path) -> None:
    for name in ("a.png", "IMG_2.HEIC", "IMG_3.JPG", "._a.png", "notes.txt"):
        scene(32, 32).save(tmp_path / name, "PNG")
    (tmp_path / "t.csv").write_text("view,livery,texture\na.png,red,a.png\n")
    notes = "\n".join(import_set(tmp_path / "t.csv", tmp_path / "out").notes)
    assert "2 pictures beside those of the table are in no row that can be used" in notes
    assert "IMG_2.HEIC" in notes
    assert "IMG_3.JPG" in notes
