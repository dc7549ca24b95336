"""`uvtex showroom build` with own cars, liveries and cameras."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from tests.showroom.made_car import Faces, load, mirrored_flank, obj, small_car
from uvtex.cli import main
from uvtex.data import manifest
from uvtex.errors import ConfigError, DataError, UvtexError
from uvtex.showroom import CarSettings, Pose, ShowroomSettings
from uvtex.showroom.build import build
from uvtex.showroom.liveries.files import find
from uvtex.showroom.rendering import plates
from uvtex.showroom.settings import read_poses

QUICK = ("--size", 16, "--cameras", 2, "--samples", 4, "--supersample", 2)


def call(*args: object) -> Result:
    return CliRunner().invoke(main, ["showroom", "build", *(str(arg) for arg in args)])


def test_a_set_is_built_from_the_command_line(
    car_file: Path, livery_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "set"
    done = call(out, "--car", car_file, "--liveries", livery_folder, *QUICK)
    assert done.exit_code == 0, done.output
    assert "4 views of 2 liveries from 2 cameras" in done.output
    assert "small.obj: 24 faces, 1 materials; the paint is on 'paint'" in done.output
    assert {record.livery for record in manifest.read(out).records} == {"red", "blue one"}
    report = json.loads((out / "car.json").read_text())
    assert report["uv"]["shared_percent_of_covered"] == 0
    assert 0 < report["uv"]["unseen_percent_of_covered"] < 100
    with Image.open(out / "shared_texels.png") as marks:
        assert (marks.mode, marks.size) == ("L", (16, 16))
    saved = (out / "showroom.yaml").read_text()
    assert report["sha256"] in saved
    assert str(tmp_path) not in saved, "settings must hold the name of a file, not its path"


def test_a_build_continues_and_refuses_another_car_or_other_liveries(
    car_file: Path, livery_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wanted() -> ShowroomSettings:
        return ShowroomSettings(
            size=16, texture_size=16, cameras=2, samples=4, supersample=1,
            car=CarSettings(file=str(car_file)), livery_dir=str(livery_folder),
        )  # fmt: skip

    def files(folder: Path) -> dict[str, bytes]:
        paths = (path for path in folder.rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): path.read_bytes() for path in paths}

    whole, traced = plates.trace, []

    def failing(*args: object) -> plates.Plate:
        traced.append(args)
        if len(traced) == 2:
            raise KeyboardInterrupt
        return whole(*args)  # type: ignore[arg-type]

    build(wanted(), tmp_path / "at once")
    monkeypatch.setattr(plates, "trace", failing)
    out = tmp_path / "set"
    with pytest.raises(KeyboardInterrupt):
        build(wanted(), out)
    build(wanted(), out)
    assert len(traced) == 3
    assert files(out) == files(tmp_path / "at once")

    moved = car_file.rename(car_file.with_name("moved.obj"))
    build(wanted().model_copy(update={"car": CarSettings(file=str(moved))}), out)
    moved.rename(car_file)

    car_file.write_text(obj(mirrored_flank()))
    with pytest.raises(DataError, match=r"other settings \(car\.sha256 "):
        build(wanted(), out)
    car_file.write_text(obj(small_car()))
    Image.new("RGB", (8, 8)).save(livery_folder / "third.png")
    with pytest.raises(DataError, match="liveries 2, not 3; livery_sha256 "):
        build(wanted(), out)


def test_a_car_whose_hash_differs_from_the_settings_is_refused(
    car_file: Path, livery_folder: Path
) -> None:
    car = CarSettings(file=str(car_file), sha256="0" * 64)
    wanted = ShowroomSettings(car=car, livery_dir=str(livery_folder))
    with pytest.raises(DataError, match="the settings ask for 000"):
        build(wanted, car_file.with_name("set"))


def test_settings_of_the_built_in_car_have_the_keys_of_earlier_versions(tmp_path: Path) -> None:
    build(ShowroomSettings(size=16, texture_size=16, cameras=1, liveries=1, samples=1), tmp_path)
    keys = [line.split(":")[0] for line in (tmp_path / "showroom.yaml").read_text().splitlines()]
    assert " ".join(keys) == "size texture_size cameras liveries samples supersample seed"


def test_own_liveries_fit_the_built_in_car_too(livery_folder: Path, tmp_path: Path) -> None:
    done = call(tmp_path / "set", "--liveries", livery_folder, *QUICK)
    assert done.exit_code == 0, done.output
    assert not (tmp_path / "set" / "car.json").exists()


def test_large_and_transparent_liveries_are_resized(car_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "liveries"
    folder.mkdir()
    Image.new("RGBA", (4096, 4096), (255, 0, 0, 255)).save(folder / "large.png", compress_level=1)
    clear = Image.new("RGBA", (64, 32), (0, 0, 255, 0))
    clear.paste((0, 0, 255, 255), (0, 0, 32, 32))
    clear.save(folder / "clear.png")
    done = call(tmp_path / "set", "--car", car_file, "--liveries", folder, *QUICK)
    assert done.exit_code == 0, done.output
    assert "clear.png: alpha, 64 x 32, stretched to a square" in done.output
    with Image.open(tmp_path / "set" / "textures" / "clear.png") as texture:
        assert texture.getpixel((1, 8)) == (0, 0, 255)
        assert texture.getpixel((14, 8)) == (128, 128, 128)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--car", "gone.obj", "--liveries", "DIR"), "gone.obj: no such file"),
        (("--car", "CAR", "--liveries", "gone"), "gone: no such folder"),
        (("--liveries", "0"), "liveries: Input should be greater than or equal to 1, got 0"),
        (("--liveries", "-3"), "liveries: Input should be greater"),
        (("--paint-material", "x"), "--paint-material: needs --car"),
        (("--cameras", "2", "--camera-file", "x.json"), "--camera-file, not both"),
        (("--car", "CAR", "--liveries", "DIR", "--up", "z", "--nose", "z"), "when z is up"),
    ],
)
def test_conflicting_flags_are_refused_and_nothing_is_written(
    flags: tuple[str, ...], message: str, car_file: Path, livery_folder: Path, tmp_path: Path
) -> None:
    paths = {"CAR": car_file, "DIR": livery_folder}
    done = call(tmp_path / "set", *(paths.get(flag, flag) for flag in flags))
    assert done.exit_code in (1, 2)
    assert f"error: {message}" in done.output or message in done.output
    assert not (tmp_path / "set").exists()


def test_an_empty_folder_of_liveries_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".hidden.png").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(DataError, match="holds no liveries"):
        find(tmp_path)


@pytest.mark.parametrize("second", ["red.jpg", "Red.png"])
def test_two_liveries_of_one_name_are_refused(second: str, livery_folder: Path) -> None:
    Image.new("RGB", (8, 8)).save(livery_folder / second)
    with pytest.raises(DataError, match="two liveries of one name"):
        find(livery_folder)


def test_broken_liveries_are_all_named_before_anything_is_built(
    car_file: Path, livery_folder: Path, tmp_path: Path
) -> None:
    good = (livery_folder / "red.png").read_bytes()
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(livery_folder / "cut.png")
    cut = (livery_folder / "cut.png").read_bytes()
    (livery_folder / "cut.png").write_bytes(cut[: len(cut) // 2])
    (livery_folder / "zero.png").write_bytes(b"")
    done = call(tmp_path / "set", "--car", car_file, "--liveries", livery_folder, *QUICK)
    assert done.exit_code == 1
    assert "cut.png: not a readable picture" in done.output
    assert "zero.png: not a readable picture: the file is empty" in done.output
    assert not (tmp_path / "set").exists()
    for name in ("cut", "zero"):
        (livery_folder / f"{name}.png").write_bytes(good)
    done = call(tmp_path / "set", "--car", car_file, "--liveries", livery_folder, *QUICK)
    assert done.exit_code == 0, done.output


def test_a_camera_file_places_the_cameras(
    car_file: Path, livery_folder: Path, tmp_path: Path
) -> None:
    poses = [
        {"name": "above", "eye": [0, 0, 6], "target": [0, 0, 0], "fov": 50},
        {"eye": [7, 0, 1], "target": [0, 0, 0.5], "fov": 30},
        {"eye": [7, 0, 1], "target": [20, 0, 0.5], "fov": 30},
    ]
    (tmp_path / "poses.json").write_text(json.dumps(poses))
    out, quick = tmp_path / "set", ("--size", 16, "--samples", 4)
    flags = ("--car", car_file, "--liveries", livery_folder, *quick)
    done = call(out, *flags, "--camera-file", tmp_path / "poses.json")
    assert done.exit_code == 0, done.output
    assert "6 views of 2 liveries from 3 cameras" in done.output
    assert "1 cameras see no paint at all" in done.output
    assert sorted(path.name for path in (out / "views").iterdir()) == ["above", "cam01", "cam02"]
    mask = np.asarray(Image.open(out / "masks" / "above.png")) > 127
    assert mask.any(1).sum() > 1.5 * mask.any(0).sum(), (
        "from above, the front must point up in the picture"
    )
    refused = call(out, *flags, "--cameras", 3)
    assert "poses" in refused.output
    assert refused.exit_code == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read as JSON"),
        ("[" * 100_000, "cannot be read as JSON"),
        (f"[{'9' * 5000}]", "cannot be read as JSON"),
        ("{}", "must hold a list of poses"),
        ("[]", "poses: needs at least one entry"),
        ('[{"eye": [1, 2, 3], "target": [0, 0, 0]}]', r"poses\.0\.fov: is required"),
        ('[{"eye": [1, 2], "target": [0, 0, 0], "fov": 30}]', r"poses\.0\.eye\.2"),
        ('[{"eye": [1, 2, 3], "target": [0, 0, 0], "fov": 180}]', "less than or equal to 150"),
        ('[{"eye": [NaN, 2, 3], "target": [0, 0, 0], "fov": 30}]', "finite"),
        ('[{"eye": [1, 2, 3], "target": [1, 2, 3], "fov": 30}]', "the same place"),
        ('[{"eye": [1, 2, 0], "target": [0, 0, 0], "fov": 30}]', "must be > 0"),
        ('[{"eye": [1, 2, 3], "target": [0, 0, 0], "fov": 30, "up": 1}]', "unknown key"),
        ('[{"name": "../x", "eye": [1, 2, 3], "target": [0, 0, 0], "fov": 30}]', "pattern"),
        (
            json.dumps(
                [{"name": n, "eye": [1, 2, 3], "target": [0, 0, 0], "fov": 30} for n in "aA"]
            ),
            "give it another",
        ),
    ],
)
def test_an_invalid_camera_file_is_a_clear_error(
    content: str, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "poses.json"
    path.write_text(content)
    with pytest.raises(ConfigError, match=message) as refused:
        read_poses(path)
    assert str(path) in str(refused.value)


def test_poses_in_settings_are_checked_too(tmp_path: Path) -> None:
    invalid = (Pose(eye=(1, 2, 3), target=(1, 2, 3), fov=30),)
    with pytest.raises(ConfigError, match="the same place"):
        build(ShowroomSettings(poses=invalid), tmp_path / "set")


def test_a_missing_library_is_a_clear_error(
    car_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "xatlas", None)
    with pytest.raises(UvtexError, match=r"needs xatlas.*pip install 'uvtex-sweep\[showroom\]'"):
        load(car_file, unwrap=True)


def test_an_unwrapped_car_is_written_as_an_obj_file(tmp_path: Path, livery_folder: Path) -> None:
    without_uvs: Faces = [(quad, None) for quad, _ in small_car()]
    (tmp_path / "car.obj").write_text(obj(without_uvs))
    out = tmp_path / "set"
    done = call(out, "--car", tmp_path / "car.obj", "--liveries", livery_folder, "--unwrap", *QUICK)
    assert done.exit_code == 0, done.output
    back = load(out / "car_unwrapped.obj")
    first = load(tmp_path / "car.obj", unwrap=True)
    assert back.placement.size == pytest.approx(first.placement.size, abs=1e-3)
    assert back.uvs.covered_percent == pytest.approx(first.uvs.covered_percent, abs=0.2)
