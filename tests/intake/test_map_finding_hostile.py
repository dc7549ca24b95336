"""`uvtex data maps` on sets that are not as they should be."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from tests.imaging.map_estimation.made_camera import made_camera, true_map
from tests.intake.made_photos import photo_set
from tests.intake.sources import old_folder
from uvtex.cli.data import data
from uvtex.config import resolve
from uvtex.data import manifest
from uvtex.data.store import PairStore
from uvtex.imaging.camera_bank import painted
from uvtex.imaging.map_estimation.changing import changing_pixels
from uvtex.imaging.uv_maps import KNOWN, USED, read_uv_map
from uvtex.inspection.page import render
from uvtex.inspection.report import inspect_set
from uvtex.intake.importer import import_set
from uvtex.intake.map_finding.find import SplitChoice, find_maps
from uvtex.intake.map_finding.unexplained import unexplained_view


def maps(folder: Path, out: Path) -> Result:
    return CliRunner().invoke(data, ["maps", str(folder), str(out), "--all"])


def test_a_camera_with_one_view_is_left_out_and_told(tmp_path: Path) -> None:
    folder = photo_set(tmp_path / "set", liveries=8, cameras=("front", "rear"))
    records = manifest.read(folder).records
    kept = [r for r in records if r.camera == "front" or r.livery == "livery00"]
    manifest.write(folder, kept)
    done = maps(folder, tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "UV maps of 1 of 2 cameras" in done.output
    assert "rear: one livery tells nothing" in done.output
    assert {r.camera for r in manifest.read(tmp_path / "out").records} == {"front"}


def test_a_view_that_is_missing_or_broken_costs_only_itself(tmp_path: Path) -> None:
    folder = photo_set(tmp_path / "set", liveries=9)
    manifest.write(folder, manifest.read(folder).records[1:])
    (folder / "views/3-0.png").write_bytes(b"no picture")
    done = maps(folder, tmp_path / "out")
    assert done.exit_code == 0, done.output
    told = json.loads((tmp_path / "out/maps.json").read_text())
    assert told["cameras"][0]["liveries"] == 7
    assert "'livery03' was not used" in done.output


def test_the_ring_of_jpeg_files_is_no_paint(tmp_path: Path) -> None:
    folder = photo_set(tmp_path / "set", liveries=10, side=56)
    records = []
    for record in manifest.read(folder).records:
        name = record.view.replace(".png", ".jpg")
        Image.open(folder / record.view).save(folder / name, quality=90)
        records.append(record.model_copy(update={"view": name}))
    manifest.write(folder, records)
    done = maps(folder, tmp_path / "out")
    assert done.exit_code == 0, done.output
    (record, *_) = manifest.read(tmp_path / "out").records
    found = np.isfinite(read_uv_map(tmp_path / "out" / str(record.uv_map))[1::3, 1::3, 0])
    truth = np.isfinite(true_map(56).numpy()[..., 0])
    assert (found & ~truth).sum() < 0.01 * truth.sum()
    assert (found & truth).sum() > 0.9 * truth.sum()


def test_views_of_other_sizes_are_scaled_and_other_forms_left_out(tmp_path: Path) -> None:
    folder = photo_set(tmp_path / "set", liveries=10)
    for livery, size in ((1, (56, 56)), (2, (84, 84)), (3, (56, 28))):
        path = folder / f"views/{livery}-0.png"
        Image.open(path).resize(size, Image.Resampling.BICUBIC).save(path)
    done = maps(folder, tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "'livery03' was not used: it has another form" in done.output
    told = json.loads((tmp_path / "out/maps.json").read_text())["cameras"][0]
    assert told["liveries"] == 9


def test_one_livery_under_two_names_counts_once(tmp_path: Path) -> None:
    folder = photo_set(tmp_path / "set", liveries=8)
    first = manifest.read(folder).records
    manifest.write(folder, [*first, first[2].model_copy(update={"livery": "again"})])
    done = maps(folder, tmp_path / "out")
    assert "'again' has the paint of 'livery02' and counts once" in done.output
    assert json.loads((tmp_path / "out/maps.json").read_text())["cameras"][0]["liveries"] == 8


def test_grey_pictures_are_told_and_believed_less(tmp_path: Path) -> None:
    folder = photo_set(tmp_path / "set", liveries=8)
    coloured = photo_set(tmp_path / "coloured", liveries=8)
    for path in folder.glob("views/*.png"):
        Image.open(path).convert("L").save(path)
    done = maps(folder, tmp_path / "out")
    assert "8 of 8 views are grey" in done.output
    maps(coloured, tmp_path / "of_coloured")
    known = [
        json.loads((out / "maps.json").read_text())["cameras"][0]["known"]
        if (out / "maps.json").exists()
        else 0.0
        for out in (tmp_path / "out", tmp_path / "of_coloured")
    ]
    assert known[0] < known[1]


def test_a_picture_that_is_too_large_is_left_out(tmp_path: Path) -> None:
    """It is refused by its header: its pixels would take more than a gigabyte."""
    folder = photo_set(tmp_path / "set", liveries=8)
    path = folder / "views/5-0.png"
    Image.new("1", (20_000, 20_000)).save(path)
    done = maps(folder, tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "scale it down first" in done.output


def test_augmented_pictures_are_refused_with_the_way_out(tmp_path: Path) -> None:
    report = import_set(old_folder(tmp_path / "old"), tmp_path / "set")
    assert any("from before the augmentation" in note for note in report.notes)
    done = maps(tmp_path / "set", tmp_path / "out")
    assert done.exit_code == 1
    assert "from before the augmentation" in done.output
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", ["{", "[]", '{"used": 3}'])
def test_a_broken_record_of_the_maps_is_named(tmp_path: Path, content: str) -> None:
    folder = photo_set(tmp_path / "set", liveries=4)
    (folder / "maps.json").write_text(content)
    report = inspect_set(folder)
    assert any(problem.file == "maps.json" for problem in report.problems)


def test_the_report_shows_the_maps_and_what_is_missing(tmp_path: Path) -> None:
    folder = photo_set(tmp_path / "set", liveries=4)
    done = maps(folder, tmp_path / "out")
    assert done.exit_code == 0, done.output
    report = inspect_set(tmp_path / "out")
    assert report.found is not None
    page = render(report)
    assert "UV map of front" in page
    assert "The UV maps were found from 4 liveries." in page
    told = CliRunner().invoke(data, ["report", str(tmp_path / "out")])
    assert "from 4 liveries" in told.output


def test_what_is_not_known_is_not_written(tmp_path: Path) -> None:
    folder = photo_set(tmp_path / "set", liveries=3)
    done = maps(folder, tmp_path / "out")
    if done.exit_code:
        assert "no UV map could be found" in done.output
        return
    record = manifest.read(tmp_path / "out").records[0]
    uv = read_uv_map(tmp_path / "out" / str(record.uv_map))
    with np.load(tmp_path / "out" / str(record.uv_map)) as arrays:
        sure = arrays["confidence"] >= 0.5
    placed = np.isfinite(uv[..., 0]).reshape(len(sure), 3, -1, 3).any(axis=(1, 3))
    assert (placed == sure).all()


def test_an_unsure_place_is_used_by_its_confidence(tmp_path: Path) -> None:
    folder = photo_set(tmp_path / "set", liveries=6)
    split = {"val_split": 0.25, "test_split": 0.0}
    find_maps(folder, tmp_path / "out", split=SplitChoice(*split.values(), 0))
    values = {"preset": "atlas", "image_size": 32, "device": "cpu", **split}
    bank = PairStore.open(tmp_path / "out", resolve(values)).bank
    assert bank is not None
    assert bank.trust is not None
    placed = painted(bank.paint, 32) > 0
    assert bank.trust[placed].min() >= USED - 1e-4
    assert ((bank.trust > 0) & (bank.trust < KNOWN)).any()


def test_a_view_of_another_livery_than_its_texture_is_found(tmp_path: Path) -> None:
    """The view stands still as the others do, so that only its texture tells."""
    folder = photo_set(tmp_path / "set", liveries=7)
    (folder / "views/4-0.png").write_bytes((folder / "views/2-0.png").read_bytes())
    done = maps(folder, tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "'livery04' was not used: it does not fit its texture" in done.output
    assert json.loads((tmp_path / "out/maps.json").read_text())["cameras"][0]["liveries"] == 6


def test_views_that_fit_their_textures_are_kept() -> None:
    camera = made_camera(9)
    assert unexplained_view(*camera.pairs(), changing_pixels(camera.views)) is None
    wrong = camera.views.clone()
    wrong[4] = camera.views[7]
    mixed = camera._replace(views=wrong)
    assert unexplained_view(*mixed.pairs(), changing_pixels(mixed.views)) == 4
