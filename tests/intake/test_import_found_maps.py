"""Imports of a set whose UV maps were found: its record comes along as far as it holds."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.intake.made_photos import photo_set
from uvtex.config import TrainConfig, resolve
from uvtex.data import manifest, splits
from uvtex.data.found_maps import MAPS, read_found_maps
from uvtex.data.store import PairStore
from uvtex.errors import DataError
from uvtex.intake.importer import ImportReport, import_set
from uvtex.intake.map_finding.find import SplitChoice, find_maps

SPLIT = {"val_split": 0.1, "test_split": 0.1}


def settings(**changes: Any) -> TrainConfig:
    values = {"preset": "atlas", "image_size": 32, "width": 0.1, "device": "cpu"}
    return resolve(values, SPLIT, changes)


@pytest.fixture(scope="module")
def mapped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve liveries from two cameras, with maps of two stiffness. No test may change it."""
    folder = tmp_path_factory.mktemp("mapped")
    photos = photo_set(folder / "photos", cameras=("front", "rear"))
    choice = SplitChoice(split_seed=0, **SPLIT)
    find_maps(photos, folder / "set", split=choice, stiffness=(1.0, 8.0))
    return folder / "set"


@pytest.fixture
def source(mapped: Path, tmp_path: Path) -> Path:
    return shutil.copytree(mapped, tmp_path / "source")


def said(report: ImportReport) -> str:
    return " ".join(note for note in report.notes if MAPS in note)


def test_the_record_is_that_of_the_source(mapped: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    report = import_set(mapped, out)
    assert said(report) == ""
    before, after = (json.loads((folder / MAPS).read_text()) for folder in (mapped, out))
    assert after == before | {"out": str(out), "cameras": after["cameras"]}
    for line, was in zip(after["cameras"], before["cameras"], strict=True):
        assert line == was | {"uv_map": line["uv_map"]}
        assert (out / line["uv_map"]).read_bytes() == (mapped / was["uv_map"]).read_bytes()
    one, other = (PairStore.open(folder, settings()) for folder in (mapped, out))
    assert other.taught_by(8.0).fingerprints() == one.taught_by(8.0).fingerprints()
    with pytest.raises(DataError, match="liveries that would now validate or test"):
        PairStore.open(out, settings(val_split=0.3))


def test_liveries_that_are_missing_are_told_where_the_split_breaks(
    source: Path, tmp_path: Path
) -> None:
    records = manifest.read(source).records
    held_out = splits.split([r.livery for r in records], "livery", 0.1, 0, 0.1)
    gone = {records[number].livery for number in [*held_out.val, *held_out.test]}
    manifest.write(source, [record for record in records if record.livery not in gone])
    report = import_set(source, tmp_path / "out")
    assert "the split of the maps (val_split 0.1, test_split 0.1, split_seed 0)" in said(report)
    with pytest.raises(DataError, match="liveries that would now validate or test"):
        PairStore.open(tmp_path / "out", settings())


def test_a_map_that_was_not_imported_has_no_line(source: Path, tmp_path: Path) -> None:
    (front, rear) = read_found_maps(source).cameras  # type: ignore[union-attr]
    (source / str(rear.uv_map)).write_bytes(b"broken")
    report = import_set(source, tmp_path / "out")
    assert f"were not imported: {rear.camera}" in said(report)
    lines = json.loads((tmp_path / "out" / MAPS).read_text())["cameras"]
    assert [line["camera"] for line in lines] == [front.camera]
    assert lines[0]["views"] == 12


def test_without_its_maps_the_record_stays_behind(source: Path, tmp_path: Path) -> None:
    records = manifest.read(source).records
    manifest.write(source, [record.model_copy(update={"uv_map": None}) for record in records])
    report = import_set(source, tmp_path / "out")
    assert "was not imported" in said(report)
    assert not (tmp_path / "out" / MAPS).exists()


def test_maps_that_the_record_does_not_name_are_told(source: Path, tmp_path: Path) -> None:
    records = manifest.read(source).records
    shutil.copyfile(source / str(records[0].uv_map), source / "uv_maps/own.npz")
    own = {"uv_map": "uv_maps/own.npz"}
    manifest.write(source, [records[0].model_copy(update=own), *records[1:]])
    report = import_set(source, tmp_path / "out")
    assert "which it did not name: uv_maps/own.npz" in said(report)
    assert (tmp_path / "out" / MAPS).exists()


def test_a_record_that_cannot_be_read_is_named(source: Path, tmp_path: Path) -> None:
    (source / MAPS).write_text('{"used": 3}')
    report = import_set(source, tmp_path / "out")
    (problem,) = report.unusable
    assert problem.where == MAPS
    assert "training cannot tell" in problem.reason
    assert not (tmp_path / "out" / MAPS).exists()
