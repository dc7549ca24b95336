"""Imports of pairs from each kind of source, and the output of the command."""

import errno
import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tests.intake.sources import (
    SIZE,
    old_folder,
    picture,
    reasons,
    rewrite,
    snapshot,
    table_of,
    texture,
)
from tests.sets import paint
from uvtex.cli.data import data
from uvtex.config import TrainConfig
from uvtex.data import manifest, pictures
from uvtex.data.store import PairStore
from uvtex.imaging import seams
from uvtex.intake import importer
from uvtex.intake.importer import import_set
from uvtex.intake.sources.metadata_json import distance, transform_names


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return table_of(tmp_path / "shots")


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return old_folder(tmp_path / "old")


def test_an_imported_set_can_be_trained_on(table: Path, tmp_path: Path) -> None:
    report = import_set(table, tmp_path / "out")
    assert (report.views, report.liveries, report.unusable) == (4, 2, [])
    config = TrainConfig(image_size=SIZE, val_split=0.5, device="cpu")
    store = PairStore.open(tmp_path / "out", config)
    assert len(store.train) == len(store.val) == 2


def test_a_set_of_this_project_is_imported_unchanged(tiny_set: Path, tmp_path: Path) -> None:
    before = snapshot(tiny_set)
    report = import_set(tiny_set, tmp_path / "out")
    assert report.masks == {"given": 18}
    assert snapshot(tiny_set) == before
    config = TrainConfig(image_size=SIZE, val_split=0.34, device="cpu")
    stores = [PairStore.open(folder, config) for folder in (tiny_set, tmp_path / "out")]
    assert stores[0].fingerprint() == stores[1].fingerprint()
    assert stores[1].bank is not None


def test_the_seams_of_a_built_set_are_imported(tiny_set: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_set, tmp_path / "set")
    (tmp_path / "set" / seams.SEAMS).write_bytes(b"seams")
    import_set(tmp_path / "set", tmp_path / "out")
    assert (tmp_path / "out" / seams.SEAMS).read_bytes() == b"seams"


def test_files_are_copied_and_the_source_is_unchanged(table: Path, tmp_path: Path) -> None:
    before = snapshot(table.parent)
    report = import_set(table, tmp_path / "out")
    assert snapshot(table.parent) == before
    assert (report.copied, report.linked) == (6, 0)
    for one in manifest.read(tmp_path / "out").records:
        copied = tmp_path / "out" / one.view
        original = table.parent / copied.name
        assert copied.read_bytes() == original.read_bytes()
        assert not copied.samefile(original)


def test_links_share_the_file_and_fall_back_to_copies(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = import_set(table, tmp_path / "linked", link=True)
    assert (report.copied, report.linked) == (0, 6)
    view = manifest.read(tmp_path / "linked").records[0].view
    assert (tmp_path / "linked" / view).samefile(table.parent / "0_0.png")

    def refuse(*_: Any) -> None:
        raise OSError(errno.EXDEV, "other file system")

    monkeypatch.setattr(os, "link", refuse)
    report = import_set(table, tmp_path / "copied", link=True)
    assert (report.copied, report.linked) == (6, 0)


def test_files_with_the_same_name_do_not_overwrite_each_other(tmp_path: Path) -> None:
    lines = ["view,livery,texture"]
    for livery, folder in enumerate(("a", "b", "A b", "a_b")):
        picture(tmp_path / f"{folder}/front.png", livery)
        texture(tmp_path / f"{folder}/skin.png", livery)
        lines.append(f"{folder}/front.png,{folder.replace(' ', '/')},{folder}/skin.png")
    (tmp_path / "x.csv").write_text("\n".join(lines))
    import_set(tmp_path / "x.csv", tmp_path / "out")
    records = manifest.read(tmp_path / "out").records
    for field in ("view", "texture", "mask"):
        assert len({getattr(r, field).lower() for r in records}) == 4
    for livery, one in enumerate(records):
        got = pictures.read_rgb(tmp_path / "out" / one.texture)
        assert np.array_equal(got, paint(np.random.default_rng(livery), SIZE))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.text(min_size=1, max_size=40), min_size=1, max_size=6, unique=True))
def test_files_of_a_livery_with_any_name_stay_in_the_folder(names: list[str]) -> None:
    report = importer.ImportReport("csv", "", "")
    folder = Path("set")
    builder = importer._Builder(folder, False, "auto", report, lambda done, total: None)
    places = [
        builder._free(f"views/{importer._file_name(name)}/{importer._file_name(name)}", ".png")
        for name in names
    ]
    assert len({place.lower() for place in places}) == len(names)
    for place in places:
        assert Path(os.path.normpath(folder / place)).parts[:2] == ("set", "views")
        assert len(place.encode()) < 1000


def test_a_view_used_twice_is_imported_once(table: Path, tmp_path: Path) -> None:
    table.write_text(table.read_text() + "\n0_0.png,car 1,tex/1.png")
    report = import_set(table, tmp_path / "out")
    assert report.views == 4
    assert "line 6: its view is that of line 2" in reasons(report)


# CSV


@pytest.mark.parametrize("form", ["semicolon", "bom", "spaces and case", "backslashes"])
def test_a_csv_file_of_any_spreadsheet_is_read(table: Path, tmp_path: Path, form: str) -> None:
    text = table.read_text()
    changed = {
        "semicolon": text.replace(",", ";"),
        "bom": "\ufeff" + text,
        "spaces and case": text.replace("view,livery,texture", " View, LIVERY ,Texture"),
        "backslashes": text.replace("tex/", "tex\\"),
    }[form]
    table.write_text(changed, encoding="utf-8")
    assert import_set(table, tmp_path / "out").views == 4


def test_masks_and_cameras_of_a_csv_file_are_read(table: Path, tmp_path: Path) -> None:
    Image.new("L", (SIZE, SIZE), 255).save(table.parent / "m.png")
    lines = table.read_text().splitlines()
    rows = [f"{line},{'m.png' if n == 0 else ''},front" for n, line in enumerate(lines[1:])]
    table.write_text("\n".join([f"{lines[0]},mask,camera", *rows]))
    report = import_set(table, tmp_path / "out")
    assert report.masks["given"] == 1
    assert {r.camera for r in manifest.read(tmp_path / "out").records} == {"front"}


# The earlier script's folder


def test_an_earlier_scripts_folder_is_found_by_file_names(old: Path, tmp_path: Path) -> None:
    report = import_set(old, tmp_path / "out")
    assert (report.views, report.liveries, report.unusable) == (6, 2, [])
    records = manifest.read(tmp_path / "out").records
    assert {r.livery for r in records} == {"red", "blue"}
    textures = {r.livery: tmp_path / "out" / r.texture for r in records}
    assert textures["red"].read_bytes() == (old / "uv/red.png").read_bytes()
    assert {Path(r.view).name for r in records} == {p.name for p in (old / "views").iterdir()}


def test_the_least_transformed_texture_replaces_a_missing_one_and_is_named(
    old: Path, tmp_path: Path
) -> None:
    report = import_set(old, tmp_path / "out")
    (stand_in,) = report.stand_ins
    assert (stand_in.livery, stand_in.missing) == ("blue", "blue.png")
    assert stand_in.texture.name == "blue_uv_1.png"
    assert stand_in.transforms == ("noise", "hsv_jitter")
    blue = next(r for r in manifest.read(tmp_path / "out").records if r.livery == "blue")
    assert (tmp_path / "out" / blue.texture).read_bytes() == (
        old / "aug/blue_uv_1.png"
    ).read_bytes()
    saved = json.loads((tmp_path / "out/import.json").read_text())
    assert saved["stand_ins"][0]["livery"] == "blue"


@pytest.mark.parametrize(
    ("best", "others"),
    [
        ([], [["noise"], ["hsv_jitter"]]),
        (["hsv_jitter", "noise", "filter"], [["affine"], ["perspective"]]),
        (["affine", "noise"], [["perspective"], ["affine", "perspective"]]),
        (["filter"], [["noise", "filter"], ["warp_by_other_script"]]),
    ],
)
def test_geometric_transforms_count_as_the_worst(best: list[str], others: list[list[str]]) -> None:
    assert all(distance(best) < distance(other) for other in others)


@pytest.mark.parametrize(
    "written",
    [
        ["noise", "affine"],
        "noise, affine",
        [{"name": "noise", "sigma": 3}, {"type": "affine"}],
        {"noise": {"sigma": 3}, "affine": True, "filter": False, "perspective": None},
    ],
)
def test_transforms_are_read_in_every_notation(written: Any) -> None:
    assert transform_names(written) == ("noise", "affine")


def test_an_ambiguous_name_is_reported_unless_its_folder_decides(old: Path, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        picture(old / folder / "red_view_0.png", 90 + ord(folder))
    (old / "views/red_view_0.png").unlink()
    report = import_set(old, tmp_path / "one")
    assert report.views == 5
    assert "red_view_0.png is ambiguous: a/red_view_0.png, b/red_view_0.png" in reasons(report)

    def name_folder(records: list[dict[str, Any]]) -> None:
        records[0]["view_aug"] = "D:\\x\\B\\red_view_0.png"

    rewrite(old, name_folder)
    assert import_set(old, tmp_path / "two").views == 6


def test_equal_copies_are_not_ambiguous(old: Path, tmp_path: Path) -> None:
    (old / "backup").mkdir()
    shutil.copy(old / "views/red_view_0.png", old / "backup")
    assert import_set(old, tmp_path / "out").views == 6


def test_two_liveries_with_the_same_name_are_both_refused(old: Path, tmp_path: Path) -> None:
    texture(old / "b/red.png", 77)
    (old / "a").mkdir()
    (old / "uv/red.png").rename(old / "a/red.png")

    def part(records: list[dict[str, Any]]) -> None:
        for n, one in enumerate(records[:3]):
            one["source_uv"] = f"C:\\{'a' if n else 'b'}\\red.png"

    rewrite(old, part)
    report = import_set(old, tmp_path / "out")
    assert report.liveries == 1
    assert len(report.unusable) == 3
    assert "two liveries are named 'red'" in reasons(report)


def test_unusable_records_are_listed_with_their_reason(old: Path, tmp_path: Path) -> None:
    (old / "views/red_view_1.png").unlink()
    (old / "views/red_view_2.png").write_bytes(b"")
    rewrite(old, lambda records: records.append({"view_aug": "x.png"}))
    rewrite(old, lambda records: records.append("nonsense"))  # type: ignore[arg-type]
    report = import_set(old, tmp_path / "out")
    assert report.views == 4
    text = reasons(report)
    assert "record 1: view_aug red_view_1.png is not beside the metadata" in text
    assert "record 2: view" in text
    assert "the file is empty" in text
    assert "record 6: source_uv" in text
    assert "record 7: " in text


def test_a_livery_without_any_texture_is_not_used(old: Path, tmp_path: Path) -> None:
    for path in (old / "aug").glob("blue*"):
        path.unlink()
    report = import_set(old, tmp_path / "out")
    assert report.liveries == 1
    assert "blue.png is not beside the metadata, nor is any uv_aug of it" in reasons(report)
    assert not report.stand_ins


def test_the_command_prints_what_it_did(old: Path, tmp_path: Path) -> None:
    (old / "views/red_view_1.png").unlink()
    result = CliRunner().invoke(data, ["import", str(old), str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    assert "5 views of 2 liveries" in result.output
    assert "blue: blue_uv_1.png (noise, hsv_jitter) for blue.png" in result.output
    assert "not used (1):\n  record 1: view_aug red_view_1.png is not beside" in result.output


def test_the_commands_json_lists_everything(old: Path, tmp_path: Path) -> None:
    (old / "views/red_view_1.png").unlink()
    result = CliRunner().invoke(data, ["import", str(old), str(tmp_path / "out"), "--json"])
    values = json.loads(result.output)
    assert (values["kind"], values["views"], values["liveries"]) == ("metadata", 5, 2)
    assert values["unusable"][0]["where"] == "record 1"
    assert values["stand_ins"][0]["texture"].endswith("blue_uv_1.png")
    assert sum(values["masks"].values()) == 5
    assert values == json.loads((tmp_path / "out/import.json").read_text())
