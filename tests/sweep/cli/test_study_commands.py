"""The ``sweep`` command as people use it, with real training on a tiny set."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from sweep.cli import main
from sweep.driving import session
from sweep.study.folder import TrialRecord, records, write_record
from sweep.study.lease import lease
from uvtex.errors import UvtexError
from uvtex.runs.epochs import read_epochs

ROOT = Path(__file__).parents[3]
COMMANDS = list(main.commands)
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to run commands in, where ``mlruns`` goes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    return tmp_path


def tiny_study(here: Path, data: Path, **changes: Any) -> Path:
    values: dict[str, Any] = {
        "name": "tiny",
        "data": {"path": str(data)},
        "train": {"image_size": 32, "width": 0.1, "val_split": 0.34, "device": "cpu"},
        "stages": {"probe": 2, "full": 3},
        "thresholds": [{"metric": "ssim_uv", "at_least": -0.9, "scale": 1}],
        "trials": 2,
        "replicates": 1,
        "search": {"queue": ["baseline"]},
        "grids": 1,
    }
    values.update(changes)
    schedules = ROOT / "configs" / "schedules.yaml"
    (here / "schedules.yaml").write_text(schedules.read_text())
    path = here / "tiny.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def call(*arguments: str) -> Result:
    # standalone_mode turns errors into exit codes, so it stays on.
    return CliRunner().invoke(main, list(arguments), catch_exceptions=False)


@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_every_command_has_help_with_an_example(command: str | None) -> None:
    for flag in ("-h", "--help"):
        result = call(*([command] if command else []), flag)
        assert result.exit_code == 0
        assert "Example: sweep " in result.output


def test_dry_run_prints_and_saves_the_resolved_settings_and_stops_there(
    here: Path, tiny_set: Path
) -> None:
    path = tiny_study(here, tiny_set)
    result = call("run", str(path), "--dry-run", "--trials", "7")
    assert result.exit_code == 0
    assert "disk: a probe takes about" in result.stderr
    printed = yaml.safe_load(result.stdout)
    assert printed["trials"] == 7
    assert printed["train"]["batch_size"] == 6
    saved = here / "mlruns/studies/tiny/study.yaml"
    assert yaml.safe_load(saved.read_text()) == printed
    assert not (here / "mlruns/optuna.db").exists()
    assert json.loads(call("run", str(path), "--dry-run", "--json").stdout)["trials"] == 2


def test_dry_run_beside_a_driver_checks_the_settings_and_does_not_save_them(
    here: Path, tiny_set: Path
) -> None:
    call("run", str(tiny_study(here, tiny_set)), "--dry-run")
    study = session.saved(Path("mlruns"), "tiny")
    record = TrialRecord(trial=0, stage="probe", schedule="baseline", params={}, epochs=2)
    write_record(study.paths.run_dir(0, "probe"), record)
    before = study.paths.settings.read_bytes()
    with lease(study.paths):
        result = call("run", str(tiny_study(here, tiny_set, trials=5)), "--dry-run")
        assert result.exit_code == 0
        assert yaml.safe_load(result.stdout)["trials"] == 5
        assert "not saved: study 'tiny' is being driven by process" in result.stderr
        wrong = call("run", str(tiny_study(here, tiny_set, grids=3)), "--dry-run")
    assert wrong.exit_code == 2
    assert "other settings" in wrong.output
    assert "grids: 1 -> 3" in wrong.output
    assert study.paths.settings.read_bytes() == before


def test_dry_run_trusts_the_lock_and_not_the_note_of_a_dead_driver(
    here: Path, tiny_set: Path
) -> None:
    call("run", str(tiny_study(here, tiny_set)), "--dry-run")
    study = session.saved(Path("mlruns"), "tiny")
    note = {"pid": 1, "host": "another-container", "since": "2020-01-01T00:00:00+00:00"}
    study.paths.driver.write_text(json.dumps(note))
    call("run", str(tiny_study(here, tiny_set, trials=5)), "--dry-run")
    assert session.saved(Path("mlruns"), "tiny").trials == 5
    study.paths.driver.write_text(json.dumps(note))
    assert "no driver is running" in call("status", "tiny").output


def test_wrong_settings_are_all_listed_and_the_exit_code_is_2(here: Path, tiny_set: Path) -> None:
    path = tiny_study(here, tiny_set, trails=3, stages={"probe": 0})
    result = call("run", str(path))
    assert result.exit_code == 2
    assert "did you mean 'trials'?" in result.output
    assert "stages.probe: " in result.output
    assert not (here / "mlruns").exists()


@pytest.mark.parametrize("option", ["--hours", "--device-hours", "--trials", "--workers"])
def test_an_option_out_of_range_is_named_and_not_the_file(
    here: Path, tiny_set: Path, option: str
) -> None:
    result = call("run", str(tiny_study(here, tiny_set)), f"{option}=-1")
    assert result.exit_code == 2
    assert f"Invalid value for '{option}'" in result.output
    assert "tiny.yaml" not in result.output


def test_missing_study_file_is_a_one_line_error(here: Path) -> None:
    result = call("run", "nowhere.yaml")
    assert result.exit_code == 2
    assert result.output.startswith("error: nowhere.yaml: no such file")


def test_missing_data_is_reported_before_anything_runs(here: Path) -> None:
    path = tiny_study(here, here / "nothing")
    result = call("run", str(path))
    assert result.exit_code == 2
    assert "holds no manifest.json" in result.output
    assert not (here / "mlruns/optuna.db").exists()


def test_lpips_threshold_without_a_backbone_is_refused_at_once(here: Path, tiny_set: Path) -> None:
    path = tiny_study(here, tiny_set, thresholds=[{"metric": "lpips_view", "at_most": 0.5}])
    result = call("run", str(path))
    assert result.exit_code == 1
    assert "LPIPS needs AlexNet's ImageNet weights" in result.output
    assert not (here / "mlruns/optuna.db").exists()


def test_ctrl_c_before_the_first_run_says_how_to_resume(
    here: Path, tiny_set: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sweep.driving.session.build_data", interrupted)
    result = call("run", str(tiny_study(here, tiny_set)))
    assert result.exit_code == 130
    assert "To resume: sweep run " in result.output


def test_the_error_for_an_unknown_study_lists_the_existing_ones(here: Path, tiny_set: Path) -> None:
    call("run", str(tiny_study(here, tiny_set)), "--dry-run")
    result = call("status", "tinny")
    assert result.exit_code == 1
    assert "studies there: tiny" in result.output


def test_calibration_is_printed_saved_and_resolves_relative_thresholds(
    here: Path, tiny_set: Path
) -> None:
    relative = [{"metric": "ssim_uv", "above": "baseline", "by": -3}]
    path = tiny_study(here, tiny_set, thresholds=relative, stages={"probe": 1, "full": 2})
    result = call("calibrate", str(path), "--seeds", "2")
    assert result.exit_code == 0, result.output
    assert "4/4 baseline, seed 1, full" in result.output
    assert "s.d. over seeds" in result.output
    assert "passes ssim_uv >= " in result.output
    folder = here / "mlruns/studies/tiny"
    assert [e.epoch for e in read_epochs(folder / "calibration/baseline/1/full")] == [1, 2]

    again = call("calibrate", str(path), "--seeds", "2", "--json")
    assert "0 of 4 runs to make" in again.stderr
    values = json.loads(again.stdout)
    assert values["stages"]["full"]["noise"]["ssim_uv"]["seeds"]["degrees"] == 1
    (threshold,) = session.saved(Path("mlruns"), "tiny").thresholds
    assert threshold.at_least == values["thresholds"][0]["at_least"]
    assert not (here / "mlruns/optuna.db").exists()

    unknown = call("calibrate", str(path), "--schedules", "baseline,nobody")
    assert unknown.exit_code == 2
    assert "'nobody' not in search.queue" in unknown.output


def test_study_with_relative_thresholds_makes_the_least_calibration_itself(
    here: Path, tiny_set: Path
) -> None:
    relative = [{"metric": "ssim_uv", "above": "baseline", "by": 1000}]
    stages = {"probe": 1, "full": 1}
    # MLflow keeps connections by URI: a store of its own, by its full path
    store = str(here / "mlruns")
    more: dict[str, Any] = {"stages": stages, "trials": 1, "grids": 0, "store": store}
    path = tiny_study(here, tiny_set, thresholds=relative, **more)
    result = call("run", str(path))
    assert result.exit_code == 0, result.output
    assert "calibration: 6 of 6 runs to make, 6 epochs" in result.output
    assert records(here / "mlruns/studies/tiny")[0].state == "complete"


def test_study_runs_from_probe_to_champion_and_can_be_run_again(here: Path, tiny_set: Path) -> None:
    path = tiny_study(here, tiny_set, trials=1)
    result = call("run", str(path))
    assert result.exit_code == 0, result.output
    assert "passed: " in result.output
    assert "mean colour" in result.output
    assert "report: mlruns" in result.output.replace("\n", "")
    assert "sweep ui" in result.output
    folder = here / "mlruns/studies/tiny"
    found = records(folder)
    assert [(r.trial, r.stage, r.state) for r in found] == [
        (0, "probe", "promoted"),
        (0, "full", "complete"),
    ]  # fmt: skip
    assert all(r.gate and r.gate.registered for r in found if r.stage == "full")
    assert [made.epoch for made in read_epochs(folder / "trials/0000/full")] == [1, 2, 3]
    assert list((folder / "trials/0000/probe/grids").glob("*.png"))

    again = call("run", str(path), "--json")
    assert again.exit_code == 0
    summary = json.loads(again.stdout)
    assert summary["passed"]
    assert summary["champion"]["epochs"] == 3
    assert records(folder) == found

    status = json.loads(call("status", "tiny", "--json").stdout)
    assert [run["state"] for run in status["runs"]] == ["promoted", "complete"]
    assert call("status").output == "tiny\n"
    assert call("sync", "tiny").exit_code == 0
    assert call("report", "tiny").exit_code == 0

    changed = call("run", str(tiny_study(here, tiny_set, trials=1, grids=2)))
    assert changed.exit_code == 2
    assert "grids: 1 -> 2" in changed.output


def test_a_study_in_which_nothing_passed_says_why(here: Path, tiny_set: Path) -> None:
    path = tiny_study(
        here, tiny_set, trials=1, thresholds=[{"metric": "ssim_uv", "at_least": 0.999}]
    )
    result = call("run", str(path))
    assert result.exit_code == 0
    assert "No run passed ssim_uv >= 0.999. The nearest is 0000/probe (baseline)" in result.output


def test_study_continues_without_mlflow_and_says_so_once(
    here: Path, tiny_set: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sweep.tracking.tracker import Tracker

    def away(*_: object, **__: object) -> None:
        raise UvtexError("MLflow is away")

    for name in ("study_started", "list_all", "show", "study_ended"):
        monkeypatch.setattr(Tracker, name, away)
    result = call("run", str(tiny_study(here, tiny_set, trials=1)))
    assert result.exit_code == 0
    assert result.output.count("MLflow is away") == 1
    assert "`sweep sync tiny`" in result.output
    assert records(here / "mlruns/studies/tiny")[0].state == "promoted"


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_study_stopped_by_ctrl_c_says_how_to_resume_and_resumes(
    here: Path, tiny_set: Path
) -> None:
    path = tiny_study(here, tiny_set, stages={"probe": 15, "full": 1}, trials=1, grids=0)
    command = [sys.executable, "-m", "sweep.cli", "run", path.name]
    first = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=os.environ
    )
    run_dir = here / "mlruns/studies/tiny/trials/0000/probe"
    deadline = time.monotonic() + 90
    while len(read_epochs(run_dir)) < 2:
        assert time.monotonic() < deadline
        assert first.poll() is None
        time.sleep(0.05)
    first.send_signal(signal.SIGINT)
    output, _ = first.communicate(timeout=60)
    assert first.returncode == 130, output
    assert "Stopped. To resume: sweep run tiny.yaml" in output
    assert "Traceback" not in output
    done = len(read_epochs(run_dir))
    assert done < 15
    status = json.loads(call("status", "tiny", "--json").stdout)
    assert status["runs"][0]["state"] == "interrupted"
    result = call("run", str(path))
    assert result.exit_code == 0
    assert f"continues after epoch {done}" in result.output
    assert len(read_epochs(run_dir)) == 15
