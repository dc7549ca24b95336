"""Imports of sets of plates without views."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from tests.data.plates_only import CONFIG, edit, figures, files
from uvtex.data import manifest
from uvtex.data.store import PairStore
from uvtex.inspection.report import inspect_set
from uvtex.intake.importer import import_set


def test_an_import_copies_plates_and_writes_no_views(
    full_set: Path, set_without_views: Path, tmp_path: Path
) -> None:
    report = import_set(set_without_views, tmp_path / "out")
    assert (report.views, report.composed, report.unusable) == (12, 12, [])
    assert not (tmp_path / "out/views").exists()
    stores = [PairStore.open(folder, CONFIG) for folder in (full_set, tmp_path / "out")]
    assert stores[0].fingerprint() == stores[1].fingerprint()
    assert figures(inspect_set(tmp_path / "out"))["problems"] == []
    import_set(tmp_path / "out", tmp_path / "again")
    assert len({r.view for r in manifest.read(tmp_path / "again").records}) == 12


def test_an_import_draws_masks_from_composed_views(set_without_views: Path, tmp_path: Path) -> None:
    edit(set_without_views, lambda record: record.pop("mask"))
    assert import_set(set_without_views, tmp_path / "a").masks == {"variation": 12}
    assert import_set(set_without_views, tmp_path / "b", method="colour").masks.keys() <= {
        "colour",
        "everything",
    }


@pytest.mark.parametrize("name", ["plates", "uv_maps"])
def test_a_broken_plate_loses_only_the_views_without_a_file(
    full_set: Path, set_without_views: Path, tmp_path: Path, name: str
) -> None:
    (set_without_views / name / "1.npz").write_bytes(b"PK")
    lost = import_set(set_without_views, tmp_path / "lost")
    assert lost.views == 8
    assert {f"{name}/1.npz" in item.reason for item in lost.unusable} == {True}
    shutil.copytree(full_set / "views", set_without_views / "views")
    kept = import_set(set_without_views, tmp_path / "kept")
    assert kept.views == 12
    assert all("the record is used without it" in item.reason for item in kept.unusable)
    assert sum(r.plate is None for r in manifest.read(tmp_path / "kept").records) == 4


def write_car_file(folder: Path, marks: str) -> None:
    uv = {"covered_percent_of_atlas": 55, "shared_percent_of_covered": 9, "shared_texels": marks}
    (folder / "car.json").write_text(json.dumps({"uv": uv}))


def test_an_import_copies_the_facts_of_the_car(set_without_views: Path, tmp_path: Path) -> None:
    write_car_file(set_without_views, "shared_texels.png")
    Image.new("L", (8, 8), 255).save(set_without_views / "shared_texels.png")
    import_set(set_without_views, tmp_path / "out")
    for name in ("car.json", "shared_texels.png"):
        assert (tmp_path / "out" / name).read_bytes() == (set_without_views / name).read_bytes()


@pytest.mark.parametrize("marks", ["../secret.png", "gone.png", "/etc/hostname", "link.png"])
def test_an_import_follows_no_car_file_out_of_the_folder(
    set_without_views: Path, tmp_path: Path, marks: str
) -> None:
    (tmp_path / "secret.png").write_bytes(b"not for you")
    (set_without_views / "link.png").symlink_to(tmp_path / "secret.png")
    write_car_file(set_without_views, marks)
    report = import_set(set_without_views, tmp_path / "out")
    assert [item.where for item in report.unusable] == ["car.json"]
    assert not any(b"not for you" in content for content in files(tmp_path / "out").values())
    assert report.views == 12
