"""Stores: moved, copied, named from elsewhere, opened twice at once, locked, or with odd names."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from mlflow import MlflowClient
from sqlalchemy import event

from sweep.cli import main
from sweep.driving.sampling import optuna_storage, storage_calls
from sweep.driving.sampling.optuna_storage import StorageError, open_storage
from sweep.driving.sampling.optuna_study import OptunaStudy
from sweep.driving.session import saved
from sweep.study.config import StudyConfig
from sweep.study.database import sqlite_file, sqlite_url
from sweep.study.folder import tracking_uri
from sweep.tracking.client import TrackingError
from sweep.tracking.registry import fetch_checkpoint
from sweep.tracking.sync import sync
from sweep.tracking.tracker import Tracker
from tests.sweep.fakes import study as fake_study
from tests.sweep.made_study import add_checkpoint, add_trial, empty_store, make_study
from tests.sweep.tracking.tracked_runs import promote_run

ODD = "stüdies 100% #1 of a?b"


def study_with_champion(store: Path) -> StudyConfig:
    empty_store(store)
    study = make_study(store)
    _, run_dir = add_trial(study, 0, stage="full", reach=0.66)
    add_checkpoint(study, run_dir)
    sync(study)
    assert promote_run(study, run_dir).champion
    return study


def addresses(uri: str) -> list[str]:
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("made")
    runs = client.search_runs([experiment.experiment_id])
    versions = client.search_model_versions("name = 'uvtex'")
    return [
        experiment.artifact_location,
        *(run.info.artifact_uri for run in runs),
        *(version.source for version in versions),
        *(client.get_model_version_download_uri("uvtex", v.version) for v in versions),
    ]


def test_a_moved_store_finds_its_files_and_does_not_make_the_old_folder_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study_with_champion(tmp_path / "old")
    new = tmp_path / "new place" / ODD
    new.parent.mkdir()
    (tmp_path / "old").rename(new)
    uri = tracking_uri(new)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert fetch_checkpoint("models:/uvtex@champion").is_relative_to(new)
    # In a process of its own: MLflow remembers where a run's artifacts were.
    sweep = [sys.executable, "-m", "sweep.cli"]
    subprocess.run([*sweep, "sync", "made", "--store", str(new)], check=True, capture_output=True)
    inside = (new / "artifacts/made").as_uri()
    found = addresses(uri)
    assert len(found) == 5
    assert all(address.startswith(inside) for address in found)
    names = {e.name for e in MlflowClient(uri).search_experiments()}
    assert names == {"Default", "made"}
    assert not (tmp_path / "old").exists()


def test_a_copied_store_reads_its_own_files_and_leaves_the_original_alone(tmp_path: Path) -> None:
    empty_store(tmp_path / "old")
    add_trial(study := make_study(tmp_path / "old"), 0)
    sync(study)
    before = addresses(study.tracking_uri)
    shutil.copytree(tmp_path / "old", tmp_path / "copy")
    sync(saved(tmp_path / "copy", "made"))
    inside = (tmp_path / "copy/artifacts/made").as_uri()
    assert all(a.startswith(inside) for a in addresses(tracking_uri(tmp_path / "copy")))
    assert addresses(study.tracking_uri) == before


def test_a_store_that_lost_its_mlflow_database_is_synced_anew(tmp_path: Path) -> None:
    empty_store(tmp_path / "old")
    add_trial(make_study(tmp_path / "old"), 0)
    (tmp_path / "old/mlflow.db").unlink()
    (tmp_path / "old").rename(tmp_path / "new")
    assert sync(saved(tmp_path / "new", "made")).runs == 1


@pytest.mark.parametrize("command", ["status", "report", "sync"])
def test_every_command_uses_the_store_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    (tmp_path / "project").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    empty_store(Path("mlruns"))
    add_trial(make_study(Path("mlruns")), 0)
    monkeypatch.chdir(tmp_path / "elsewhere")
    done = CliRunner().invoke(main, [command, "made", "--store", "../project/mlruns"])
    assert done.exit_code == 0, done.output
    assert list(Path.cwd().iterdir()) == []


def test_two_drivers_may_make_one_store_at_once(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from sweep.driving.sampling.optuna_study import OptunaStudy
from sweep.tracking.tracker import Tracker
from tests.sweep.fakes import study

config = study(Path(sys.argv[1]) / sys.argv[2], name=sys.argv[2], store=sys.argv[1] + "/store")
sys.stdin.readline()
OptunaStudy(config).close()
Tracker(config.tracking_uri, config.paths.artifacts, config.name)
"""
    drivers = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path), name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for name in ("one", "two")
    ]
    time.sleep(4)  # both have imported what they need, so that they open at the same moment
    for driver in drivers:
        assert driver.stdin is not None
        driver.stdin.write("\n")
        driver.stdin.flush()
    for driver in drivers:
        output, _ = driver.communicate(timeout=120)
        assert driver.returncode == 0, output


def hold(database: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(database, isolation_level=None, check_same_thread=False)
    connection.execute("BEGIN EXCLUSIVE")
    return connection


def test_a_locked_optuna_database_is_waited_for(tmp_path: Path) -> None:
    import threading

    config = fake_study(tmp_path)
    study = OptunaStudy(config)
    holder = hold(config.paths.optuna)
    threading.Timer(6.0, lambda: holder.execute("COMMIT")).start()  # SQLite's own wait is 5 s
    assert study.ask().number == 0
    study.close()


def test_a_database_that_stays_locked_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optuna_storage, "BUSY_SECONDS", 0.2)
    monkeypatch.setattr(storage_calls, "PATIENCE_SECONDS", 0.5)
    config = fake_study(tmp_path)
    study = OptunaStudy(config)
    holder = hold(config.paths.optuna)
    with pytest.raises(StorageError, match=r"optuna\.db: cannot ask for a trial: .*locked.*end it"):
        study.ask()
    holder.close()
    study.close()


def test_a_damaged_optuna_database_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "optuna.db").write_bytes(b"not a database" * 100)
    with pytest.raises(StorageError, match="restore the file"):
        open_storage(sqlite_url(tmp_path / "optuna.db"))


def test_a_full_disk_under_optunas_database_is_one_clear_error(tmp_path: Path) -> None:
    study = OptunaStudy(fake_study(tmp_path))
    engine = study._stored._storage.engine
    with engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()

    @event.listens_for(engine, "checkout")
    def fill(connection: sqlite3.Connection, *_: object) -> None:  # the limit is a connection's own
        connection.execute(f"PRAGMA max_page_count = {pages}")

    with pytest.raises(StorageError, match="full; free space"):
        ask_often(study)


def ask_often(study: OptunaStudy) -> None:
    for _ in range(200):
        study.ask()


def test_the_advice_for_a_deleted_experiment_works_as_it_is_printed(tmp_path: Path) -> None:
    store = tmp_path / ODD
    empty_store(store)
    study = make_study(store).model_copy(update={"tracking_uri": tracking_uri(store)})
    sync(study)
    client = MlflowClient(study.tracking_uri)
    client.delete_experiment(client.get_experiment_by_name("made").experiment_id)
    with pytest.raises(TrackingError) as raised:
        Tracker(study.tracking_uri, study.paths.artifacts, "made")
    advice = str(raised.value).split("`")[1]
    subprocess.run(advice, shell=True, check=True, capture_output=True)
    Tracker(study.tracking_uri, study.paths.artifacts, "made")


@given(st.text(st.characters(exclude_characters="\0/\\", exclude_categories=["Cs"]), min_size=1))
def test_any_folder_name_survives_a_database_url(name: str) -> None:
    path = Path("a") / name / "optuna.db"
    assert sqlite_file(sqlite_url(path)) == path
    assert sqlite_file(sqlite_url(Path("/") / path)) == Path("/") / path


def test_a_store_with_an_odd_name_works_whole(tmp_path: Path) -> None:
    store = tmp_path / ODD
    OptunaStudy(fake_study(tmp_path, store=str(store))).close()
    Tracker(tracking_uri(store), store / "artifacts", "made")
    assert {"optuna.db", "mlflow.db"} <= {path.name for path in store.iterdir()}
