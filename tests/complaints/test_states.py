"""The state that is shown is the state: after kill -9, on another host, and where all failed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner

from sweep.cli import main
from sweep.driving.session import rehearse, saved
from sweep.report.build import write_report
from sweep.report.summary import summarise, verdict
from sweep.study.folder import read_record
from sweep.tracking import client
from sweep.tracking.sync import show_interrupted, sync
from tests.sweep.fakes import study_file
from tests.sweep.made_study import add_trial, empty_store, make_study


def shown_in_mlflow(uri: str, name: str) -> dict[str, tuple[str, str]]:
    """Stage -> status and ``sweep.state`` of each of the study's MLflow runs."""
    store = client.client(uri)
    experiment = store.get_experiment_by_name(name)
    runs = [] if experiment is None else store.search_runs([experiment.experiment_id])
    return {
        run.data.tags["sweep.stage"]: (run.info.status, run.data.tags["sweep.state"])
        for run in runs
    }


DRIVE = """
import sys
from pathlib import Path
from sweep.driving.display import PlainDisplay
from sweep.driving.driver import Driver
from sweep.study.file import load
from sweep.study.lease import lease
from sweep.driving.session import prepare
from sweep.tracking.mirror import MlflowMirror
from tests.sweep.fakes import InlineLauncher

study = load(Path(sys.argv[1]))
with lease(study.paths):
    prepare(study)
    display = PlainDisplay(study.thresholds, sys.stdout)
    mirror = MlflowMirror(study, print)
    Driver(study, InlineLauncher(), mirror, display).run()
"""


def test_a_killed_driver_leaves_nothing_that_is_shown_as_running(tmp_path: Path) -> None:
    path = study_file(tmp_path, stages={"probe": 60, "full": 60}, trials=1)
    (tmp_path / "store/studies/made-up").mkdir(parents=True)
    (tmp_path / "store/studies/made-up/faults.json").write_text('{"sleep": 0.5}')
    command = [sys.executable, "-u", "-c", DRIVE, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as driver:
        assert driver.stdout is not None
        for line in driver.stdout:
            study = saved(tmp_path / "store", "made-up")
            if "epoch 1" in line and shown_in_mlflow(study.tracking_uri, "made-up").get("probe"):
                break
        driver.send_signal(signal.SIGKILL)
    assert shown_in_mlflow(study.tracking_uri, "made-up")["probe"] == ("RUNNING", "running")
    show_interrupted(study)  # `sweep ui` does so first
    expected = {"study": ("KILLED", "interrupted"), "probe": ("KILLED", "interrupted")}
    assert shown_in_mlflow(study.tracking_uri, "made-up") == expected
    sync(study)
    assert shown_in_mlflow(study.tracking_uri, "made-up") == expected
    asked = CliRunner().invoke(main, ["status", "made-up", "--store", str(study.store), "--json"])
    status = json.loads(asked.stdout)
    assert status["driver"] == "no driver is running"
    assert [run["state"] for run in status["runs"]] == ["interrupted"]
    assert status["summary"]["probes"] == {"interrupted": 1}


def test_the_lock_decides_whether_a_driver_lives_and_not_a_host_name(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    study.paths.driver.write_text(json.dumps({"pid": 1, "host": "gone", "since": "2026-01-01"}))
    done = CliRunner().invoke(main, ["status", "made", "--store", str(tmp_path), "--json"])
    assert json.loads(done.stdout)["driver"] == "no driver is running"
    assert rehearse(study) is None


def test_a_study_whose_runs_all_failed_says_why(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    for number in range(2):
        add_trial(study, number, state="failed", made=0)
    text = verdict(summarise(study))
    assert text.startswith("All 2 runs failed. The last is 0001/probe (search): ")


def test_a_failed_run_is_never_the_nearest(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    add_trial(study, 0, state="failed", reach=0.9, made=3)
    add_trial(study, 1, state="complete", reach=0.4)
    nearest = summarise(study).nearest
    assert nearest is not None
    assert nearest.trial == 1


def test_a_study_whose_runs_all_fail_ends_with_exit_code_1(tiny_set: Path, tmp_path: Path) -> None:
    path = study_file(
        tmp_path,
        data={"path": str(tiny_set)},
        train={"preset": "poc05", "width": 0.1, "image_size": 32, "lr": 1e30, "val_split": 0.3,
               "device": "cpu"},
        stages={"probe": 3, "full": 3},
        trials=1,
        search={"queue": ["baseline"], "startup_trials": 1},
    )  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "sweep.cli", "run", str(path), "--json"],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert done.returncode == 1, done.stderr
    summary = json.loads(done.stdout)
    assert summary["probes"] == {"failed": 1}
    assert "is nan" in summary["failure"]
    assert "no checkpoint was made yet" in summary["failure"]
    log = Path(summary["failure"].rpartition("; see ")[2])
    assert log.is_file()
    record = read_record(tmp_path / "store/studies/made-up/trials/0000/probe")
    assert record.state == "failed"


def test_an_interrupted_study_is_resumed_under_the_same_mlflow_runs(tmp_path: Path) -> None:
    empty_store(tmp_path)
    study = make_study(tmp_path)
    add_trial(study, 0, state="running", made=2)
    sync(study)
    assert shown_in_mlflow(study.tracking_uri, "made")["probe"] == ("KILLED", "interrupted")
    assert "not ended yet" in write_report(study).read_text()
    add_trial(study, 0, state="complete")
    sync(study)
    found = shown_in_mlflow(study.tracking_uri, "made")
    assert found == {"study": ("FINISHED", "complete"), "probe": ("FINISHED", "complete")}
