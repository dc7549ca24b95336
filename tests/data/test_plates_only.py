"""Sets of plates without views: composed views, masks and builds."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from tests.data.plates_only import CONFIG, edit, files
from uvtex.cli import main
from uvtex.data import manifest, pictures
from uvtex.data.store import PairStore
from uvtex.data.view_files import ViewFile, ViewReader
from uvtex.inspection.report import inspect_set
from uvtex.intake import mask_drawing


def test_a_composed_view_equals_the_file_that_a_build_writes(
    full_set: Path, set_without_views: Path
) -> None:
    shots = ViewReader()
    for record in manifest.read(set_without_views).records:
        shot = ViewFile.of(set_without_views, record)
        assert shot.composed
        assert np.array_equal(shots.read(shot), pictures.read_rgb(full_set / record.view))
    assert not ViewFile.of(full_set, record).composed


def test_masks_are_drawn_from_composed_views(
    full_set: Path, set_without_views: Path, tmp_path: Path
) -> None:
    drawn = mask_drawing.write_masks(set_without_views, tmp_path / "a")
    assert {one.method for one in drawn} == {"variation"}
    mask_drawing.write_masks(full_set, tmp_path / "b")
    assert files(tmp_path / "a") == files(tmp_path / "b")


@pytest.mark.parametrize("form", ["absolute", "detour"])
def test_masks_stay_in_their_folder_for_any_path_of_a_view(
    full_set: Path, tmp_path: Path, form: str
) -> None:
    """A path is inside the folder if it leaves it and returns, or if it is absolute."""
    folder = Path(shutil.copytree(full_set, tmp_path / "deep/set"))
    before = {"absolute": f"{folder}/", "detour": "../../deep/set/"}[form]
    edit(folder, lambda record: record.update(view=before + record["view"]))
    kept = files(tmp_path)
    mask_drawing.write_masks(folder, tmp_path / "deep/looks")
    made = files(tmp_path).items() - kept.items()
    assert all(name.startswith("deep/looks/") for name, _ in made)
    assert (tmp_path / "deep/looks/masks/views/0_0.png").is_file()
    assert kept.items() <= files(tmp_path).items()


def test_a_set_built_without_views_has_all_other_files(tmp_path: Path) -> None:
    flags = "--size 16 --cameras 2 --liveries 3 --samples 1 --supersample 2".split()
    for name, more in (("full_set", []), ("set_without_views", ["--no-views"])):
        result = CliRunner().invoke(
            main, ["showroom", "build", str(tmp_path / name), *flags, *more]
        )
        assert result.exit_code == 0, result.output
    assert "composed when it is read" in result.output
    made, set_without_views = files(tmp_path / "full_set"), files(tmp_path / "set_without_views")
    settings = {made.pop("showroom.yaml"), set_without_views.pop("showroom.yaml")}
    assert set_without_views == {k: v for k, v in made.items() if not k.startswith("views/")}
    assert sorted(settings, key=len)[0] + b"views: false\n" == sorted(settings, key=len)[1]
    config = CONFIG.model_copy(update={"image_size": 16})
    stores = [PairStore.open(tmp_path / name, config) for name in ("full_set", "set_without_views")]
    assert stores[0].fingerprint() == stores[1].fingerprint()
    for folder in ("full_set", "set_without_views"):
        assert [p for p in inspect_set(tmp_path / folder).problems if p.kind == "broken"] == []
    again = CliRunner().invoke(
        main, ["showroom", "build", str(tmp_path / "set_without_views"), *flags]
    )
    assert "was built with other settings (views False, not unset)" in again.stderr
