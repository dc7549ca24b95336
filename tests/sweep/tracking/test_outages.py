"""A study goes on while MLflow is away, and MLflow has everything afterwards.

What happens to the driver is counted in its events. No assertion depends on speed.
"""

from __future__ import annotations

import http.server
import signal
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import optuna
import pytest

from sweep.driving.sampling.optuna_storage import open_storage
from sweep.study.config import StudyConfig
from sweep.study.folder import records
from sweep.tracking.pages import HOST, free_port
from sweep.tracking.sync import sync
from tests.postgres import Postgres
from tests.sweep.made_study import empty_store
from tests.sweep.tracking.driven import content, drive, passing_study
from tests.sweep.tracking.mlflow_server import MlflowServer
from uvtex.runs.epochs import read_epochs

pytestmark = pytest.mark.usefixtures("exported_once")

SOON = 0.3
"""Seconds that a driver waits at its end, where the test wants it to give up."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MlflowServer]:
    uri = empty_store(tmp_path / "server")
    artifacts = ["--artifacts-destination", str(tmp_path / "server" / "artifacts")]
    made = MlflowServer(uri, artifacts)
    yield made
    made.stop()


def gates(config: StudyConfig) -> dict[int, tuple[bool, str | None, bool] | None]:
    """Trial -> what the record of its full run says of the registry's answer."""
    found = {}
    for record in records(config.paths.folder):
        if record.stage == "full":
            gate = record.gate
            found[record.trial] = gate and (gate.registered, gate.version, gate.champion)
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[StudyConfig, int]:
    """A study that was never disturbed, and the number of its events."""
    folder = tmp_path_factory.mktemp("undisturbed")
    config = passing_study(folder, empty_store(folder / "store"))
    driven = drive(config)
    assert not driven.behind, driven.notes
    return config, driven.events


Undisturbed = tuple[StudyConfig, int]


def test_a_server_that_comes_late_dies_and_comes_back_has_everything(
    tmp_path: Path, server: MlflowServer, undisturbed: Undisturbed
) -> None:
    config = passing_study(tmp_path, server.address)
    driven = drive(config, {4: server.start, 12: server.kill, 20: server.start})
    assert not driven.behind
    assert gates(config) == gates(undisturbed[0])
    assert content(config) == content(undisturbed[0])
    lost = [note for note in driven.notes if "MLflow is away" in note]
    assert 1 <= len(lost) <= 2
    assert len([note for note in driven.notes if "MLflow is back" in note]) == len(lost)


@pytest.mark.slow
def test_a_study_ends_while_its_server_is_frozen(
    tmp_path: Path,
    server: MlflowServer,
    undisturbed: Undisturbed,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    server.start()
    config = passing_study(tmp_path, server.address)
    frozen = drive(config, {3: server.freeze}, patience=SOON, end=server.thaw)
    assert frozen.events == undisturbed[1]
    assert gates(config) == dict.fromkeys(gates(undisturbed[0]))
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    assert not drive(config).behind  # it asks what was not answered, in order
    assert gates(config) == gates(undisturbed[0])
    assert content(config) == content(undisturbed[0])


def test_one_ctrl_c_ends_the_waits_for_a_server_that_is_away(
    tmp_path: Path, undisturbed: Undisturbed
) -> None:
    config = passing_study(tmp_path, f"http://{HOST}:{free_port(0)}")
    notes: list[str] = []

    def note(text: str) -> None:
        notes.append(text)
        if "Ctrl-C" in text:
            signal.raise_signal(signal.SIGINT)

    driven = drive(config, note=note)  # the study is done, and not interrupted
    assert driven.behind
    assert driven.events == undisturbed[1]
    assert len([text for text in notes if "Ctrl-C" in text]) == 1


class Broken(http.server.BaseHTTPRequestHandler):
    """Answers 500 to everything."""

    def do_GET(self) -> None:
        self.send_response(500)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


def test_a_server_that_answers_500_is_told_once(tmp_path: Path, undisturbed: Undisturbed) -> None:
    with http.server.ThreadingHTTPServer((HOST, 0), Broken) as broken:
        thread = threading.Thread(target=broken.serve_forever)
        thread.start()
        config = passing_study(tmp_path, f"http://{HOST}:{broken.server_port}")
        driven = drive(config, patience=SOON)
        broken.shutdown()
        thread.join()
    assert driven.behind
    assert driven.events == undisturbed[1]
    assert len([note for note in driven.notes if "MLflow is away" in note]) == 1
    assert len([note for note in driven.notes if "Ctrl-C ends the wait" in note]) >= 1
    assert gates(config) == dict.fromkeys(gates(undisturbed[0]))


def test_all_runs_are_trained_while_the_database_is_locked(
    tmp_path: Path, undisturbed: Undisturbed
) -> None:
    config = passing_study(tmp_path, empty_store(tmp_path / "store"))
    with closing(sqlite3.connect(tmp_path / "store/mlflow.db", isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        driven = drive(config, {undisturbed[1]: lambda: holder.execute("ROLLBACK")})
    assert not driven.behind
    assert gates(config) == gates(undisturbed[0])
    assert content(config) == content(undisturbed[0])


def test_an_epoch_that_its_driver_did_not_hear_of_is_told_by_the_next(
    tmp_path: Path, undisturbed: Undisturbed
) -> None:
    """The worker has written the epoch, and the driver dies before it takes the event."""

    def die() -> None:
        raise RuntimeError("the driver dies")

    config = passing_study(tmp_path, empty_store(tmp_path / "store"))
    with pytest.raises(RuntimeError, match="the driver dies"):
        drive(config, {3: die})
    assert len(read_epochs(config.paths.run_dir(0, "probe"))) == 3
    assert not drive(config).behind
    assert content(config) == content(undisturbed[0])
    assert values(config) == values(undisturbed[0])


def values(config: StudyConfig) -> list[dict[int, float]]:
    """What Optuna knows of each trial's epochs."""
    storage = open_storage(config.optuna_url)
    try:
        trials = optuna.load_study(study_name=config.name, storage=storage).get_trials()
        return [trial.intermediate_values for trial in trials]
    finally:
        storage.remove_session()
        storage.engine.dispose()


def test_a_database_that_was_deleted_is_made_again_with_its_registry(
    tmp_path: Path, undisturbed: Undisturbed
) -> None:
    config, _ = undisturbed
    before = content(config)
    empty_store(config.store)
    assert sync(config).versions == {(0, "full"): "1", (1, "full"): "2"}
    assert content(config) == before
    assert sync(config).versions == {}
    assert content(config) == before


@pytest.mark.slow
def test_a_server_on_postgresql_that_is_killed_and_restarted_has_everything(
    tmp_path: Path, postgres: Postgres, undisturbed: Undisturbed
) -> None:
    """The files go through the server's artifact proxy."""
    artifacts = ["--artifacts-destination", str(tmp_path / "artifacts")]
    server = MlflowServer(postgres.database("mlflow"), artifacts)
    server.start()
    try:
        config = passing_study(tmp_path, server.address)
        driven = drive(config, {6: postgres.kill, undisturbed[1] - 4: postgres.restart})
        assert not driven.behind
        assert gates(config) == gates(undisturbed[0])
        assert content(config) == content(undisturbed[0])
    finally:
        server.stop()
    assert list((tmp_path / "artifacts").rglob("best.safetensors"))
