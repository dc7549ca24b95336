"""A study goes on over the data it began with, or not at all."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from PIL import Image

from sweep.cli import main
from sweep.driving.display import ProgressDisplay
from sweep.driving.driver import Driver
from sweep.launchers.base import Job
from sweep.study.config import StudyConfig
from sweep.study.data_identity import check_data, check_run, inventory
from sweep.study.file import load
from sweep.study.folder import records
from tests.sets import make_set
from tests.sweep.fakes import InlineLauncher, NoMirror, study_file
from tests.sweep.made_study import add_checkpoint, add_trial, make_study
from uvtex.errors import ConfigError
from uvtex.settings import dump_yaml


@pytest.fixture
def study(tmp_path: Path) -> StudyConfig:
    """A study with one trial, on a set of its own."""
    study = make_study(tmp_path / "store", data=make_set(tmp_path / "set"))
    check_data(study, trials=False)
    add_trial(study, 0)
    return study


def test_a_set_that_is_replaced_is_refused(study: StudyConfig, tmp_path: Path) -> None:
    check_data(study, trials=True)
    shutil.rmtree(study.data.path)
    make_set(tmp_path / "set", seed=9)
    with pytest.raises(ConfigError, match="the data set has changed"):
        check_data(study, trials=True)


@pytest.mark.parametrize("change", ["a file", "a record"])
def test_a_set_that_is_changed_in_place_is_refused(study: StudyConfig, change: str) -> None:
    folder = study.data.path
    manifest = json.loads((folder / "manifest.json").read_text())
    if change == "a file":
        view = folder / manifest["records"][0]["view"]
        Image.fromarray(np.zeros((7, 7, 3), np.uint8)).save(view)
    else:
        del manifest["records"][0]
        (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ConfigError, match="restore the data set"):
        check_data(study, trials=True)


def test_a_copy_of_the_set_is_the_same_set(study: StudyConfig, tmp_path: Path) -> None:
    shutil.copytree(study.data.path, tmp_path / "copy")
    assert inventory(tmp_path / "copy") == inventory(study.data.path)


def test_a_study_without_trials_may_change_its_set(study: StudyConfig) -> None:
    shutil.rmtree(study.data.path)
    make_set(study.data.path, seed=9)
    check_data(study, trials=False)
    check_data(study, trials=True)


def test_a_content_that_changed_at_equal_sizes_is_refused_at_the_first_epoch(
    study: StudyConfig,
) -> None:
    first, run_dir = add_trial(study, 1)
    add_checkpoint(study, run_dir, fingerprint="a" * 16)
    check_run(study, first, "best")
    second, run_dir = add_trial(study, 2)
    add_checkpoint(study, run_dir, fingerprint="b" * 16)
    with pytest.raises(ConfigError, match="the data set has changed"):
        check_run(study, second, "best")
    check_run(study, first, "best")


class Trained(InlineLauncher):
    """Leaves a checkpoint of each run, as a real trainer does."""

    def __init__(self, study: StudyConfig, fingerprint: str) -> None:
        super().__init__()
        self._study, self._fingerprint = study, fingerprint

    def start(self, slot: str, job: Job) -> None:
        super().start(slot, job)
        run_dir = Path(job.run_dir)
        (run_dir / "checkpoints").mkdir(parents=True, exist_ok=True)
        (run_dir / "config.yaml").write_text(yaml.safe_dump(job.config))
        add_checkpoint(self._study, run_dir, self._fingerprint)


def test_a_driver_stops_at_a_run_on_other_data(tmp_path: Path) -> None:
    study = load(study_file(tmp_path))
    study.paths.folder.mkdir(parents=True)
    study.paths.data.write_text(json.dumps({"data_fingerprint": "a" * 16}))
    driver = Driver(study, Trained(study, "b" * 16), NoMirror(study), ProgressDisplay())
    with pytest.raises(ConfigError, match="the data set has changed"):
        driver.run()
    assert [record.state for record in records(study.paths.folder)] == ["failed"]


def test_sweep_run_and_its_dry_run_refuse_a_replaced_set_with_exit_code_2(tmp_path: Path) -> None:
    make_set(tmp_path / "data")
    path = study_file(tmp_path)
    study = load(path)
    study.paths.folder.mkdir(parents=True)
    study.paths.settings.write_text(dump_yaml(study))
    check_data(study, trials=False)
    Driver(study, InlineLauncher(), NoMirror(study), ProgressDisplay()).run()
    shutil.rmtree(tmp_path / "data")
    make_set(tmp_path / "data", seed=9)
    for flags in ([], ["--dry-run"]):
        done = CliRunner().invoke(main, ["run", str(path), *flags])
        assert done.exit_code == 2
        assert "the data set has changed" in done.stderr
