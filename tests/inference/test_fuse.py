"""`uvtex infer --fuse`: one texture of several photos."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.inference.made_photos import call, photo
from tests.inference.small_model import save_checkpoint
from tests.inference.trained_atlas import make, photos
from uvtex.errors import ConfigError, DataError
from uvtex.inference.liveries import liveries_of

pytestmark = pytest.mark.usefixtures("in_tmp_path")


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("fuse"))


def _error(made: Path, atlas: Path, livery: int) -> float:
    """Mean difference of a texture to the true one."""
    with Image.open(made) as one, Image.open(atlas.parent / f"set/textures/{livery}.png") as two:
        return float(np.abs(np.asarray(one, float) - np.asarray(two, float)).mean())


def test_several_photos_make_one_texture_that_is_nearer_the_truth(atlas: Path) -> None:
    four = photos(atlas.parent, 1, 0, 1, 2, 3)
    result = call(atlas, *four, "--fuse", "--out", "o", "--json")
    assert result.exit_code == 0, result.output
    (record,) = json.loads(result.stdout)
    assert record == json.loads(Path("o/fused_infer.json").read_text())
    assert record["photos"] == [str(path) for path in four]
    assert record["left_out"] == {}
    assert record["coverage"] > 0.5
    assert len(list(Path("o").glob("fused_*_view.png"))) == 4
    assert len(list(Path("o").glob("fused_*_reproj.png"))) == 4
    call(atlas, *four, "--out", "one")
    alone = [_error(Path(f"one/1_{camera}_uv.png"), atlas, 1) for camera in range(4)]
    assert _error(Path("o/fused_uv.png"), atlas, 1) < sum(alone) / 4


def test_a_photo_of_another_livery_is_named_and_left_out(atlas: Path) -> None:
    odd = photos(atlas.parent, 3, 3)[0]
    given = [*photos(atlas.parent, 1, 0, 1, 2), odd]
    result = call(atlas, *given, "--fuse", "--out", "o")
    assert result.exit_code == 0
    assert f"{odd}: contradicts the other photos" in result.stderr
    assert "3 of 4 photos" in result.stdout
    clean = call(atlas, *given[:3], "--fuse", "--out", "clean")
    assert clean.exit_code == 0
    assert Path("o/fused_uv.png").read_bytes() == Path("clean/fused_uv.png").read_bytes()
    assert not Path("o/fused_3_3_reproj.png").exists()
    kept = call(atlas, *given, "--fuse", "--keep-all", "--out", "all")
    assert "the photos contradict each other" in kept.stderr
    assert Path("all/fused_uv.png").read_bytes() != Path("clean/fused_uv.png").read_bytes()


def test_two_liveries_of_as_many_photos_are_refused_and_named(atlas: Path) -> None:
    one, two = photos(atlas.parent, 1, 0, 1), photos(atlas.parent, 3, 2, 3)
    result = call(atlas, *one, *two, "--fuse", "--out", "o")
    assert result.exit_code == 1
    assert f"{one[0]}, {one[1]} | {two[0]}, {two[1]}" in result.stderr
    assert "--keep-all" in result.stderr
    assert not Path("o").exists()


def test_a_copy_of_a_photo_counts_once(atlas: Path) -> None:
    first, second = photos(atlas.parent, 1, 0, 1)
    shutil.copy(first, "copy.png")
    result = call(atlas, first, second, "copy.png", "--fuse", "--out", "o")
    assert f"copy.png: is the same picture as {first}; left out" in result.stderr
    call(atlas, first, second, "--fuse", "--out", "two")
    assert Path("o/fused_uv.png").read_bytes() == Path("two/fused_uv.png").read_bytes()


def test_a_folder_is_a_livery_and_so_is_a_name_in_a_table(atlas: Path) -> None:
    for livery in (1, 3):
        Path(f"cars/{livery}").mkdir(parents=True)
        for path in photos(atlas.parent, livery, 0, 2):
            shutil.copy(path, f"cars/{livery}")
    folders = call(atlas, "cars/1", "cars/3", "--fuse", "--out", "f")
    assert folders.exit_code == 0, folders.output
    rows = [f"cars/{livery}/{livery}_{k}.png;{livery}" for livery in (1, 3) for k in (0, 2)]
    Path("t.csv").write_text("\n".join(["Photo;Livery", *rows, ""]))
    table = call(atlas, "t.csv", "--fuse", "--out", "t")
    assert table.exit_code == 0, table.output
    for name in ("1_uv.png", "3_uv.png"):
        assert Path("f", name).read_bytes() == Path("t", name).read_bytes()


def test_photos_of_other_sizes_and_grey_photos_are_taken(atlas: Path) -> None:
    first, second, third = photos(atlas.parent, 1, 0, 1, 2)
    with Image.open(second) as picture:
        picture.resize((100, 100)).save("large.png")
    with Image.open(third) as picture:
        picture.convert("L").save("grey.png")
    result = call(atlas, first, "large.png", "grey.png", "--fuse", "--keep-all", "--out", "o")
    assert result.exit_code == 0, result.output


def test_a_preset_without_maps_says_that_nothing_was_checked(tmp_path: Path) -> None:
    model = save_checkpoint(tmp_path / "poc05.safetensors", None)
    paths = [photo(f"{i}.png", 60, 50, (9, 9, 50 - 20 * i, 40)) for i in range(2)]
    result = call(model, *paths, "--fuse", "--out", "o")
    assert result.exit_code == 0, result.output
    assert "whether the photos show one livery was not checked" in result.stderr


def test_keep_all_alone_and_one_mask_are_usage_errors(atlas: Path) -> None:
    first, second = photos(atlas.parent, 1, 0, 1)
    alone = call(atlas, first, "--keep-all", "--out", "o")
    assert (alone.exit_code, "--keep-all needs --fuse" in alone.stderr) == (2, True)
    mask = call(atlas, first, second, "--fuse", "--mask", first, "--out", "o")
    assert (mask.exit_code, "give a folder of masks" in mask.stderr) == (2, True)


# -- what is one livery


def test_a_folder_without_pictures_names_what_it_holds() -> None:
    Path("cars/red").mkdir(parents=True)
    with pytest.raises(DataError, match=r"cars: holds no pictures; it holds folders.*cars/red"):
        liveries_of([Path("cars")])
    Path("cars/red/notes.txt").write_text("x")
    with pytest.raises(DataError, match=r"holds no pictures \(1 file skipped: notes.txt\)"):
        liveries_of([Path("cars/red")])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("view,team\na.png,red\n", "must name the columns view and livery, got view, team"),
        ("view,livery\n", "has no rows"),
        ("view,livery\nb.png,red\n", "line 2: view b.png is missing"),
        ("view,livery\na,red\n", "line 2: view a is missing; it is a folder"),
        ("view,livery\na.png,\n", "line 2: the row has no livery"),
        ("view,livery\n,red\n", "line 2: the row has no view"),
    ],
)
def test_a_table_that_cannot_be_used_says_why(text: str, message: str) -> None:
    photo("a.png", 40, 40, (5, 5, 30, 30))
    Path("a").mkdir()
    Path("t.tab").write_text(text)
    with pytest.raises(DataError, match=message):
        liveries_of([Path("t.tab")])


def test_a_photo_given_twice_and_two_liveries_of_one_name_are_refused() -> None:
    path = photo("a/red/x.png", 40, 40, (5, 5, 30, 30))
    photo("b/red/x.png", 40, 40, (5, 5, 30, 30))
    with pytest.raises(ConfigError, match="given twice for livery fused"):
        liveries_of([path, path])
    with pytest.raises(ConfigError, match="red: two liveries have this name"):
        liveries_of([Path("a/red"), Path("b/red")])


def test_a_liverys_name_becomes_a_file_name() -> None:
    photo("a.png", 40, 40, (5, 5, 30, 30))
    Path("t.csv").write_text("view,livery\na.png,../red: 1\n")
    assert [livery.name for livery in liveries_of([Path("t.csv")])] == ["_red_ 1"]
