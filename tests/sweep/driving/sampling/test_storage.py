"""Optuna's storage in PostgreSQL, and storages that are locked or restarted while they are used."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from sqlalchemy.exc import OperationalError

from sweep.driving.sampling import storage_calls
from sweep.driving.sampling.optuna_storage import StorageError, open_storage
from sweep.driving.sampling.optuna_study import OptunaStudy
from sweep.study.config import StudyConfig
from sweep.study.folder import records
from tests.postgres import Postgres
from tests.sweep.driving.sampling.asking import end, opened, told
from tests.sweep.driving.test_driver import drive
from tests.sweep.fakes import study

PASSWORD = "DATABASE_PASSWORD"


@pytest.fixture(autouse=True)
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage_calls, "LONGEST_PAUSE", 0.25)


def on_postgres(
    postgres: Postgres, folder: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any
) -> StudyConfig:
    """A study whose storage asks for a password, which is in the environment."""
    monkeypatch.setenv(PASSWORD, "a@b:c/d")
    url = postgres.database("optuna", password="secret").replace("secret", f"${{{PASSWORD}}}")
    return study(folder, storage=url, **changes)


def outcome(config: StudyConfig) -> tuple[Any, ...]:
    """The records without their times, and what Optuna holds of each trial."""
    kept = {"started", "ended", "gate"}
    trials, _ = told(config)
    return (
        [record.model_dump(exclude=kept) for record in records(config.paths.folder)],
        [(t.number, t.state, t.params, t.values, t.intermediate_values) for t in trials],
        [t.constraints for t in trials],
    )


def test_a_study_on_postgresql_ends_as_on_sqlite_although_the_server_was_killed_meanwhile(
    postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = study(tmp_path / "sqlite")
    drive(undisturbed)
    config = on_postgres(postgres, tmp_path / "postgres", monkeypatch)
    epochs = 0

    class Disturbed(OptunaStudy):
        def report(self, *arguments: Any) -> None:
            nonlocal epochs
            epochs += 1
            if epochs in (3, 9, 14):
                self.flush()
                postgres.kill()
                threading.Timer(0.5, postgres.start).start()
            super().report(*arguments)

    monkeypatch.setattr("sweep.driving.driver.OptunaStudy", Disturbed)
    assert drive(config)[0] == "done"
    assert epochs > 14
    assert outcome(config) == outcome(undisturbed)


def test_nothing_on_disk_holds_the_password_of_the_storage(
    postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sweep.driving.session import prepare

    config = on_postgres(postgres, tmp_path, monkeypatch, trials=2)
    (tmp_path / "data").mkdir()
    prepare(config)
    drive(config)
    saved = config.paths.settings.read_text()
    assert f"${{{PASSWORD}}}" in saved
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert b"a@b:c/d" not in path.read_bytes(), path
            assert b"a%40b" not in path.read_bytes(), path


def test_a_server_that_refuses_is_one_clear_error_without_the_password(
    postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = on_postgres(postgres, tmp_path, monkeypatch)
    postgres.kill()
    monkeypatch.setattr(storage_calls, "PATIENCE_SECONDS", 0.6)
    said: list[str] = []
    with pytest.raises(StorageError, match=r"cannot open it: .*resume the study.*tried for") as e:
        OptunaStudy(config, said.append)
    assert "trying again" in said[0]
    for text in (str(e.value), *said):
        assert "postgres:***@" in text
        assert "a@b" not in text
        assert "a%40b" not in text


def test_a_missing_database_is_an_error_at_once(
    postgres: Postgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres.database("optuna").replace("/optuna", "/nowhere")
    said: list[str] = []
    with pytest.raises(StorageError, match='"nowhere" does not exist'):
        OptunaStudy(study(tmp_path, storage=url), said.append)
    assert not said


def test_a_url_that_is_none_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"is no URL of a database"):
        open_storage("my database")


def test_workers_get_their_answers_while_the_database_is_locked(tmp_path: Path) -> None:
    config = study(tmp_path)
    trials = OptunaStudy(config)
    trials.enqueue()
    asked = trials.ask()
    assert asked is not None
    holder = sqlite3.connect(config.paths.optuna, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    end(trials, config, asked, "complete")  # returns, although nothing can be stored
    assert trials.ask(seconds=0.05) is None
    assert trials.waiting
    assert trials.exhausted is None
    holder.execute("COMMIT")
    holder.close()
    following = trials.ask()
    assert following is not None
    assert following.number == 1
    assert not trials.waiting
    trials.close()
    (first, second, _) = told(config)[0]
    assert (first.state, second.state) == (TrialState.COMPLETE, TrialState.RUNNING)
    assert list(first.intermediate_values) == [1, 2]


WRITES = [
    "_create_new_trial", "_set_trial_param", "set_trial_state_values",
    "set_trial_intermediate_value", "set_trial_user_attr", "set_trial_system_attr",
]  # fmt: skip


@pytest.mark.parametrize("stored", [False, True], ids=["not stored", "stored, answer lost"])
@pytest.mark.parametrize("method", WRITES)
def test_a_write_that_fails_is_made_again_and_leaves_nothing_twice(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    undisturbed: tuple[Any, ...],
    method: str,
    stored: bool,
) -> None:
    config = study(tmp_path)
    fail_every_third(monkeypatch, method, stored)
    monkeypatch.setattr(storage_calls, "FIRST_PAUSE", 0.01)
    few(config)
    assert outcome(config) == undisturbed


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, ...]:
    config = study(tmp_path_factory.mktemp("undisturbed"))
    few(config)
    return outcome(config)


def few(config: StudyConfig) -> None:
    """The queued trials, some random ones and some of the sampler's, and one that is running."""
    trials = opened(config)
    trials.enqueue()
    for number in range(7):
        asked = trials.ask()
        assert asked is not None
        assert asked.number == number
        if number < 6:
            end(trials, config, asked, "pruned" if number == 4 else "complete")
    trials.close()


def fail_every_third(monkeypatch: pytest.MonkeyPatch, method: str, stored: bool) -> None:
    real: Callable[..., Any] = getattr(RDBStorage, method)
    calls = 0

    def failing(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        result = real(*arguments, **options) if stored or calls % 3 else None
        if calls % 3 == 0:
            cause = OperationalError("INSERT", {}, Exception("server closed the connection"))
            raise optuna.exceptions.StorageInternalError("failed") from cause
        return result

    monkeypatch.setattr(RDBStorage, method, failing)
