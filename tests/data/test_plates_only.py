"""Sets of plates and textures without their views: reports, masks, imports, builds."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from tests.sets import make_showroom
from uvtex.cli import main
from uvtex.config import TrainConfig
from uvtex.data import manifest, pictures
from uvtex.data.store import PairStore
from uvtex.data.view_files import ViewFile, ViewReader
from uvtex.errors import DataError
from uvtex.inspection.page import render
from uvtex.inspection.report import SetReport, inspect_set
from uvtex.intake import mask_drawing
from uvtex.intake.importer import import_set

CONFIG = TrainConfig(image_size=32, val_split=0.3, device="cpu")


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def edit(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    path = folder / "manifest.json"
    values = json.loads(path.read_text())
    for record in values["records"]:
        change(record)
    path.write_text(json.dumps(values))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four liveries, three named cameras, textures larger than the views; read, never changed."""
    folder = make_showroom(tmp_path_factory.mktemp("whole") / "set", texels=48)
    edit(folder, lambda record: record.update(camera=Path(record["plate"]).stem))
    return folder


@pytest.fixture
def bare(whole: Path, tmp_path: Path) -> Path:
    """The same without the files of its views."""
    folder = Path(shutil.copytree(whole, tmp_path / "set"))
    shutil.rmtree(folder / "views")
    return folder


def test_a_composed_view_equals_the_file_that_a_build_writes(whole: Path, bare: Path) -> None:
    shots = ViewReader()
    for record in manifest.read(bare).records:
        shot = ViewFile.of(bare, record)
        assert shot.composed
        assert np.array_equal(shots.read(shot), pictures.read_rgb(whole / record.view))
    assert not ViewFile.of(whole, record).composed


# The report


def figures(report: SetReport) -> dict[str, Any]:
    return {k: v for k, v in report.to_dict().items() if k not in ("folder", "composed")}


def test_a_report_is_the_same_with_and_without_view_files(whole: Path, bare: Path) -> None:
    with_files, without = inspect_set(whole, fraction=0.3), inspect_set(bare, fraction=0.3)
    assert (with_files.composed, without.composed) == (0, 12)
    assert figures(with_files) == figures(without)
    assert (without.plates, without.sizes, without.problems) == (12, {"32x32": 12}, [])


def test_the_page_shows_composed_views(whole: Path, bare: Path) -> None:
    pages = [render(inspect_set(folder, fraction=0.3)) for folder in (whole, bare)]
    shown = [[part for part in page.split('"') if part.startswith("data:")] for page in pages]
    assert shown[0] == shown[1]
    assert len(shown[0]) == 1 + 3 + 4 * 4  # the atlas, the cameras, each livery's four
    assert "views composed from plates" in pages[1]
    assert "views composed from plates" not in pages[0]


def test_a_composed_view_that_occurs_twice_leaks(bare: Path) -> None:
    shutil.copy(bare / "textures/0.png", bare / "textures/1.png")
    report = inspect_set(bare, "livery", 0.5, next(s for s in range(9) if apart(bare, s)))
    assert len(report.leakage.view_matches) == 3
    assert report.leakage.leaked_views == 3


def apart(folder: Path, seed: int) -> bool:
    """Whether the split puts the first two liveries on two sides."""
    sides = {v.name: v.side for v in inspect_set(folder, "livery", 0.5, seed).liveries}
    return sides["livery0"] != sides["livery1"]


def plate(**values: np.ndarray) -> Callable[[Path], None]:
    return lambda folder: np.savez(folder / "plates/1.npz", **values)


@pytest.mark.parametrize(
    ("damage", "file", "says"),
    [
        (lambda d: (d / "plates/1.npz").write_bytes(b"PK"), "plates/1.npz", "not a readable plate"),
        (lambda d: (d / "plates/1.npz").write_bytes(b""), "plates/1.npz", "not a readable plate"),
        (plate(falling=np.zeros((32, 32, 3))), "plates/1.npz", "not a readable plate"),
        (
            plate(falling=np.zeros((9, 9)), reflected=np.zeros((9, 9))),
            "plates/1.npz",
            "must be [h, w, 3] both",
        ),
        (
            plate(falling=np.zeros((24, 24, 3)), reflected=np.zeros((24, 24, 3))),
            "plates/1.npz",
            "is for 24x24 pixels, of which its UV map's 64x64 samples are no multiple",
        ),
        (lambda d: (d / "uv_maps/1.npz").write_bytes(b""), "uv_maps/1.npz", "not a readable UV"),
        (lambda d: (d / "textures/1.png").write_bytes(b""), "textures/1.png", "the file is empty"),
    ],
)
def test_a_file_that_no_view_can_be_composed_from_is_reported_once(
    bare: Path, damage: Callable[[Path], None], file: str, says: str
) -> None:
    damage(bare)
    report = inspect_set(bare, fraction=0.3)
    (problem,) = report.problems
    assert (problem.kind, problem.file) == ("broken", file)
    assert says in problem.what
    assert sum(report.sizes.values()) == (9 if file.startswith("tex") else 8)
    assert "unreadable" in render(report)


def test_a_broken_plate_is_reported_although_its_views_are_readable(
    whole: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(whole, tmp_path / "set"))
    (folder / "plates/0.npz").write_bytes(b"PK")
    report = inspect_set(folder)
    assert [(p.kind, p.file) for p in report.problems] == [("broken", "plates/0.npz")]
    assert report.sizes == {"32x32": 12}


@pytest.mark.parametrize("lost", ["plate", "uv_map"])
def test_a_view_without_a_file_needs_a_plate_and_a_uv_map(bare: Path, lost: str) -> None:
    edit(bare, lambda record: record.pop(lost) if record["livery"] == "livery2" else None)
    report = inspect_set(bare)
    assert report.views == 9
    assert {p.what.split("/")[0] for p in report.problems} == {"view views"}


def test_a_plate_outside_the_folder_is_not_read(bare: Path, tmp_path: Path) -> None:
    shutil.copy(bare / "plates/0.npz", tmp_path / "outside.npz")
    edit(bare, lambda record: record.update(plate="../outside.npz"))
    with pytest.raises(DataError, match="leaves the data set's folder"):
        inspect_set(bare)


# Masks


def test_masks_are_drawn_from_composed_views(whole: Path, bare: Path, tmp_path: Path) -> None:
    drawn = mask_drawing.write_masks(bare, tmp_path / "a")
    assert {one.method for one in drawn} == {"variation"}
    mask_drawing.write_masks(whole, tmp_path / "b")
    assert files(tmp_path / "a") == files(tmp_path / "b")


@pytest.mark.parametrize("form", ["absolute", "detour"])
def test_masks_stay_in_their_folder_for_any_path_of_a_view(
    whole: Path, tmp_path: Path, form: str
) -> None:
    """A path that leaves the folder and comes back is inside it; so is an absolute one."""
    folder = Path(shutil.copytree(whole, tmp_path / "deep/set"))
    before = {"absolute": f"{folder}/", "detour": "../../deep/set/"}[form]
    edit(folder, lambda record: record.update(view=before + record["view"]))
    kept = files(tmp_path)
    mask_drawing.write_masks(folder, tmp_path / "deep/looks")
    made = files(tmp_path).items() - kept.items()
    assert all(name.startswith("deep/looks/") for name, _ in made)
    assert (tmp_path / "deep/looks/masks/views/0_0.png").is_file()
    assert kept.items() <= files(tmp_path).items()


# Import


def test_an_import_copies_plates_and_writes_no_views(
    whole: Path, bare: Path, tmp_path: Path
) -> None:
    report = import_set(bare, tmp_path / "out")
    assert (report.views, report.composed, report.unusable) == (12, 12, [])
    assert not (tmp_path / "out/views").exists()
    stores = [PairStore.open(folder, CONFIG) for folder in (whole, tmp_path / "out")]
    assert stores[0].fingerprint() == stores[1].fingerprint()
    assert figures(inspect_set(tmp_path / "out"))["problems"] == []
    import_set(tmp_path / "out", tmp_path / "again")
    assert len({r.view for r in manifest.read(tmp_path / "again").records}) == 12


def test_an_import_draws_masks_from_composed_views(bare: Path, tmp_path: Path) -> None:
    edit(bare, lambda record: record.pop("mask"))
    assert import_set(bare, tmp_path / "a").masks == {"variation": 12}
    assert import_set(bare, tmp_path / "b", method="colour").masks.keys() <= {
        "colour",
        "everything",
    }


@pytest.mark.parametrize("name", ["plates", "uv_maps"])
def test_a_broken_plate_loses_only_the_views_without_a_file(
    whole: Path, bare: Path, tmp_path: Path, name: str
) -> None:
    (bare / name / "1.npz").write_bytes(b"PK")
    lost = import_set(bare, tmp_path / "lost")
    assert lost.views == 8
    assert {f"{name}/1.npz" in item.reason for item in lost.unusable} == {True}
    shutil.copytree(whole / "views", bare / "views")
    kept = import_set(bare, tmp_path / "kept")
    assert kept.views == 12
    assert all("the record is used without it" in item.reason for item in kept.unusable)
    assert sum(r.plate is None for r in manifest.read(tmp_path / "kept").records) == 4


# Builds


def test_a_set_built_without_views_has_all_other_files(tmp_path: Path) -> None:
    flags = "--size 16 --cameras 2 --liveries 3 --samples 1 --supersample 2".split()
    for name, more in (("whole", []), ("bare", ["--no-views"])):
        result = CliRunner().invoke(
            main, ["showroom", "build", str(tmp_path / name), *flags, *more]
        )
        assert result.exit_code == 0, result.output
    assert "composed when it is read" in result.output
    made, bare = files(tmp_path / "whole"), files(tmp_path / "bare")
    settings = {made.pop("showroom.yaml"), bare.pop("showroom.yaml")}
    assert bare == {k: v for k, v in made.items() if not k.startswith("views/")}
    assert sorted(settings, key=len)[0] + b"views: false\n" == sorted(settings, key=len)[1]
    config = CONFIG.model_copy(update={"image_size": 16})
    stores = [PairStore.open(tmp_path / name, config) for name in ("whole", "bare")]
    assert stores[0].fingerprint() == stores[1].fingerprint()
    for folder in ("whole", "bare"):
        assert [p for p in inspect_set(tmp_path / folder).problems if p.kind == "broken"] == []
    again = CliRunner().invoke(main, ["showroom", "build", str(tmp_path / "bare"), *flags])
    assert "was built with other settings (views False, not unset)" in again.stderr


# The car


def test_the_report_shows_the_shared_part_of_the_atlas(bare: Path, tmp_path: Path) -> None:
    uv = {
        "covered_percent_of_atlas": 55.0,
        "shared_percent_of_covered": 9.94,
        "shared_texels": "shared_texels.png",
        "unseen_percent_of_covered": 7.9,
    }
    (bare / "car.json").write_text(json.dumps({"file": "x.obj", "uv": uv}))
    page = tmp_path / "r.html"
    result = CliRunner().invoke(main, ["data", "report", str(bare), "--html", str(page)])
    assert "55.0%; of that 9.9% used by two places of the car" in result.stdout
    assert "7.9% seen by no camera" in result.stdout
    text = page.read_text()
    assert "9.9% of that part" in text
    assert "shared_texels.png" in text
    assert json.loads(
        CliRunner().invoke(main, ["data", "report", str(bare), "--json"]).stdout
    )["car"] == uv  # fmt: skip


def car_file(folder: Path, marks: str) -> None:
    uv = {"covered_percent_of_atlas": 55, "shared_percent_of_covered": 9, "shared_texels": marks}
    (folder / "car.json").write_text(json.dumps({"uv": uv}))


def test_an_import_copies_the_facts_of_the_car(bare: Path, tmp_path: Path) -> None:
    car_file(bare, "shared_texels.png")
    Image.new("L", (8, 8), 255).save(bare / "shared_texels.png")
    import_set(bare, tmp_path / "out")
    for name in ("car.json", "shared_texels.png"):
        assert (tmp_path / "out" / name).read_bytes() == (bare / name).read_bytes()


@pytest.mark.parametrize("marks", ["../secret.png", "gone.png", "/etc/hostname", "link.png"])
def test_an_import_follows_no_car_file_out_of_the_folder(
    bare: Path, tmp_path: Path, marks: str
) -> None:
    (tmp_path / "secret.png").write_bytes(b"not for you")
    (bare / "link.png").symlink_to(tmp_path / "secret.png")
    car_file(bare, marks)
    report = import_set(bare, tmp_path / "out")
    assert [item.where for item in report.unusable] == ["car.json"]
    assert not any(b"not for you" in content for content in files(tmp_path / "out").values())
    assert report.views == 12


@pytest.mark.parametrize("text", ["", "{}", '{"uv": {"shared_percent_of_covered": 900}}'])
def test_a_broken_car_file_is_reported_as_odd(bare: Path, text: str) -> None:
    (bare / "car.json").write_text(text)
    report = inspect_set(bare)
    assert [(p.kind, p.file) for p in report.problems] == [("odd", "car.json")]
    assert report.car is None
    assert "shared by two places" not in render(report)


def test_odd_composed_views_are_reported(bare: Path) -> None:
    for k in range(3):
        dark = np.zeros((16, 16, 3), np.float16)
        np.savez(bare / f"plates/{k}.npz", falling=dark, reflected=dark)
        Image.new("L", (16, 16), 255).save(bare / f"masks/{k}.png")
    odd = {p.what for p in inspect_set(bare).problems if p.file.startswith("views")}
    assert odd == {"has only 16x16 pixels", "has one colour all over"}
