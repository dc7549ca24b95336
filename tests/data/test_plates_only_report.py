"""Reports on sets of plates without views."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from tests.data.plates_only import edit, figures
from uvtex.cli import main
from uvtex.errors import DataError
from uvtex.inspection.page import render
from uvtex.inspection.report import inspect_set


def test_a_report_is_the_same_with_and_without_view_files(
    full_set: Path, set_without_views: Path
) -> None:
    with_files, without = (
        inspect_set(full_set, fraction=0.3),
        inspect_set(set_without_views, fraction=0.3),
    )
    assert (with_files.composed, without.composed) == (0, 12)
    assert figures(with_files) == figures(without)
    assert (without.plates, without.sizes, without.problems) == (12, {"32x32": 12}, [])


def test_the_page_shows_composed_views(full_set: Path, set_without_views: Path) -> None:
    pages = [render(inspect_set(folder, fraction=0.3)) for folder in (full_set, set_without_views)]
    shown = [[part for part in page.split('"') if part.startswith("data:")] for page in pages]
    assert shown[0] == shown[1]
    assert len(shown[0]) == 1 + 3 + 3 + 4 * 4  # atlas, cameras, their UV maps, each livery's four
    assert "views composed from plates" in pages[1]
    assert "views composed from plates" not in pages[0]


def test_a_composed_view_that_occurs_twice_leaks(set_without_views: Path) -> None:
    shutil.copy(set_without_views / "textures/0.png", set_without_views / "textures/1.png")
    report = inspect_set(
        set_without_views, "livery", 0.5, next(s for s in range(9) if apart(set_without_views, s))
    )
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
    set_without_views: Path, damage: Callable[[Path], None], file: str, says: str
) -> None:
    damage(set_without_views)
    report = inspect_set(set_without_views, fraction=0.3)
    (problem,) = report.problems
    assert (problem.kind, problem.file) == ("broken", file)
    assert says in problem.what
    assert sum(report.sizes.values()) == (9 if file.startswith("tex") else 8)
    assert "unreadable" in render(report)


def test_a_broken_plate_is_reported_although_its_views_are_readable(
    full_set: Path, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(full_set, tmp_path / "set"))
    (folder / "plates/0.npz").write_bytes(b"PK")
    report = inspect_set(folder)
    assert [(p.kind, p.file) for p in report.problems] == [("broken", "plates/0.npz")]
    assert report.sizes == {"32x32": 12}


@pytest.mark.parametrize("lost", ["plate", "uv_map"])
def test_a_view_without_a_file_needs_a_plate_and_a_uv_map(
    set_without_views: Path, lost: str
) -> None:
    edit(
        set_without_views,
        lambda record: record.pop(lost) if record["livery"] == "livery2" else None,
    )
    report = inspect_set(set_without_views)
    assert report.views == 9
    assert {p.what.split("/")[0] for p in report.problems} == {"view views"}


def test_a_plate_outside_the_folder_is_not_read(set_without_views: Path, tmp_path: Path) -> None:
    shutil.copy(set_without_views / "plates/0.npz", tmp_path / "outside.npz")
    edit(set_without_views, lambda record: record.update(plate="../outside.npz"))
    with pytest.raises(DataError, match="leaves the data set's folder"):
        inspect_set(set_without_views)


def test_the_report_shows_the_shared_part_of_the_atlas(
    set_without_views: Path, tmp_path: Path
) -> None:
    uv = {
        "covered_percent_of_atlas": 55.0,
        "shared_percent_of_covered": 9.94,
        "shared_texels": "shared_texels.png",
        "unseen_percent_of_covered": 7.9,
    }
    (set_without_views / "car.json").write_text(json.dumps({"file": "x.obj", "uv": uv}))
    page = tmp_path / "r.html"
    result = CliRunner().invoke(
        main, ["data", "report", str(set_without_views), "--html", str(page)]
    )
    assert "55.0%; of that 9.9% used by two places of the car" in result.stdout
    assert "7.9% seen by no camera" in result.stdout
    text = page.read_text()
    assert "9.9% of that part" in text
    assert "shared_texels.png" in text
    assert json.loads(
        CliRunner().invoke(main, ["data", "report", str(set_without_views), "--json"]).stdout
    )["car"] == uv  # fmt: skip


@pytest.mark.parametrize("text", ["", "{}", '{"uv": {"shared_percent_of_covered": 900}}'])
def test_a_broken_car_file_is_reported_as_odd(set_without_views: Path, text: str) -> None:
    (set_without_views / "car.json").write_text(text)
    report = inspect_set(set_without_views)
    assert [(p.kind, p.file) for p in report.problems] == [("odd", "car.json")]
    assert report.car is None
    assert "shared by two places" not in render(report)


def test_odd_composed_views_are_reported(set_without_views: Path) -> None:
    for k in range(3):
        dark = np.zeros((16, 16, 3), np.float16)
        np.savez(set_without_views / f"plates/{k}.npz", falling=dark, reflected=dark)
        Image.new("L", (16, 16), 255).save(set_without_views / f"masks/{k}.png")
    odd = {p.what for p in inspect_set(set_without_views).problems if p.file.startswith("views")}
    assert odd == {"has only 16x16 pixels", "has one colour all over"}
