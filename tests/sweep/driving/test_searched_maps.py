"""A real study that searches what belongs to photos: the maps' stiffness, views, the refiner."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from mlflow import MlflowClient

from sweep.cli import main
from sweep.study.folder import records
from tests.intake.made_photos import photo_set
from uvtex.intake.map_finding.find import SplitChoice, find_maps
from uvtex.runs.folder import RunFolder
from uvtex.runs.header import read_header

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow")
SPACE = {
    "map_stiffness": {"choices": [1, 8]},
    "views": {"low": 1, "high": 2},
    "refiner_depth": {"choices": [1, 2]},
}
FUSED = ("ssim_uv", "ssim_uv_visible", "coverage")


@pytest.fixture(scope="module")
def mapped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos of two cameras, whose maps were found for two values of stiffness."""
    folder = tmp_path_factory.mktemp("mapped")
    photos = photo_set(folder / "photos", liveries=8, cameras=("front", "side"))
    find_maps(photos, folder / "set", 28, split=SplitChoice(0.2, 0.0, 0), stiffness=(1, 8))
    return folder / "set"


@pytest.fixture
def study_file(mapped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study of the photos."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    values = {
        "name": "photos",
        "data": {"path": str(mapped)},
        "train": {
            "preset": "atlas",
            "image_size": 32,
            "width": 0.1,
            "val_split": 0.2,
            "test_split": 0,
            "device": "cpu",
        },
        "stages": {"probe": 1, "full": 1},
        "thresholds": [{"metric": "ssim_uv", "at_least": 0.99}],
        "trials": 2,
        "replicates": 1,
        "workers": 1,
        "search": {"sampler": "random", "seed": 8, "space": SPACE},
        "grids": 0,
    }
    path = tmp_path / "photos.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def test_stiffness_views_and_depth_are_searched_and_are_of_one_data_set(study_file: Path) -> None:
    done = CliRunner().invoke(main, ["run", str(study_file)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    folder = Path("mlruns/studies/photos")
    found = records(folder)
    assert len(found) == 2
    shown = set()
    data = set()
    for record in found:
        run = RunFolder(folder / "trials" / f"{record.trial:04d}" / record.stage)
        header = read_header(run.best("best"))
        assert header.config.map_stiffness == record.params["map_stiffness"]
        assert header.config.views == record.params["views"]
        assert header.config.refiner_depth == record.params["refiner_depth"]
        assert "ssim_uv" in header.metrics
        shown.add((header.config.map_stiffness, header.config.views, header.config.refiner_depth))
        data.add(tuple(header.fingerprints.values()))
    assert shown == {(1.0, 1, 2), (8.0, 2, 1)}  # by the seed of the search
    assert len(data) == 1
    client = MlflowClient(f"sqlite:///{Path('mlruns/mlflow.db').resolve()}")
    experiment = client.get_experiment_by_name("photos")
    runs = client.search_runs([experiment.experiment_id])
    trained = {
        float(r.data.params["map_stiffness"]): r.data for r in runs if "views" in r.data.params
    }
    assert set(trained) == {1.0, 8.0}
    of_two = {f"{of}/{name}_views2" for of in ("val", "best") for name in FUSED}
    assert not of_two & set(trained[1.0].metrics)  # trained on single views
    assert of_two <= set(trained[8.0].metrics)
    assert 0 < trained[8.0].metrics["val/ssim_uv_views2"] < 1


def test_a_study_is_told_at_once_which_maps_there_are(study_file: Path) -> None:
    values = yaml.safe_load(study_file.read_text())
    values["search"]["space"]["map_stiffness"] = {"choices": [1, 4]}
    study_file.write_text(yaml.safe_dump(values))
    done = CliRunner().invoke(main, ["run", str(study_file), "--dry-run"])
    assert done.exit_code == 1
    (line,) = done.stderr.splitlines()
    assert "has no UV maps of stiffness 4, but of 1, 8; give map_stiffness one of these" in line


def test_a_set_to_render_is_refused_before_it_is_rendered(study_file: Path) -> None:
    values = yaml.safe_load(study_file.read_text())
    values["data"] = {"path": "rendered", "showroom": {"size": 32, "liveries": 10}}
    study_file.write_text(yaml.safe_dump(values))
    done = CliRunner().invoke(main, ["run", str(study_file)])
    assert done.exit_code == 2
    (line,) = done.stderr.splitlines()
    assert "map_stiffness: a set of data.showroom has no found UV maps to choose from" in line
    assert not Path("rendered").exists()
    assert not Path("mlruns/studies/photos/trials").exists()
