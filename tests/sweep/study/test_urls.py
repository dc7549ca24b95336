"""Passwords in the URLs of databases and servers: filled in from the environment, never shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from sweep.study.file import changes, load, read_saved
from sweep.study.urls import login_problem, masked, resolved
from tests.sweep.fakes import study_file
from uvtex.errors import ConfigError
from uvtex.settings import dump_yaml

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://me:s3cr3t@host/db", "postgresql://me:***@host/db"),
        ("mysql+pymysql://me:s3/c?r#3t@host:33/db", "mysql+pymysql://me:***@host:33/db"),
        ("http://me:s3cr3t@p@host:5000", "http://me:***@host:5000"),
        ("http://:s3cr3t@host", "http://:***@host"),
        ("mysql://host/db?user=me&password=s3cr3t&x=1", "mysql://host/db?user=me&password=***&x=1"),
        ("mysql://host/db?Passwd=s3cr3t", "mysql://host/db?Passwd=***"),
        ("no 'mysql://me:s3cr3t@host/db': refused", "no 'mysql://me:***@host/db': refused"),
        ("a http://a:s3cr3t@b and http://c:s3cr3t@d", "a http://a:***@b and http://c:***@d"),
        ("postgresql://me:${PW}@host/db", "postgresql://me:${PW}@host/db"),
        ("postgresql://me:s3cr3t${PW}@host/db", "postgresql://me:***@host/db"),
        ("http://host:5000/#/models/uvtex@champion", "http://host:5000/#/models/uvtex@champion"),
        ("sqlite:////tmp/a:b@c/mlflow.db", "sqlite:////tmp/a:b@c/mlflow.db"),
        ("http://me@host:5000/", "http://me@host:5000/"),
    ],
)  # fmt: skip
def test_a_password_is_masked_and_all_else_stays(text: str, shown: str) -> None:
    assert masked(text) == shown
    assert masked(shown) == shown
    assert SECRET not in masked(text)


@pytest.mark.parametrize("password", ["simple", "a@b:c/d?e#f%g h", "ü$ü"])
def test_a_variable_may_hold_any_password(monkeypatch: pytest.MonkeyPatch, password: str) -> None:
    monkeypatch.setenv("DATABASE_PASSWORD", password)
    monkeypatch.setenv("DATABASE_HOST", "host:5432")
    url = make_url(resolved("postgresql://me:${DATABASE_PASSWORD}@${DATABASE_HOST}/db", "storage"))
    assert (url.username, url.password, url.host, url.port) == ("me", password, "host", 5432)


def test_a_variable_may_hold_a_whole_url(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:s3cr3t@host/db")
    assert resolved("${DATABASE_URL}", "storage") == "postgresql://me:s3cr3t@host/db"


def test_a_variable_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOT_SET", raising=False)
    with pytest.raises(ConfigError, match=r"storage: .* variable NOT_SET, which is not set"):
        resolved("postgresql://me:${NOT_SET}@host/db", "storage")


@pytest.mark.parametrize(
    ("uri", "advice"),
    [
        ("postgresql://me:s3cr3t@host/db", r"write \$\{NAME\}"),
        ("http://me:s3cr3t@host:5000", "MLFLOW_TRACKING_PASSWORD"),
        ("https://me:${PW}@host", "MLFLOW_TRACKING_PASSWORD"),
    ],
)
def test_a_study_file_with_a_password_is_refused_without_showing_it(
    tmp_path: Path, uri: str, advice: str
) -> None:
    with pytest.raises(ConfigError, match=advice) as found:
        load(study_file(tmp_path, tracking_uri=uri))
    assert "tracking_uri" in str(found.value)
    assert SECRET not in str(found.value)


def test_a_saved_study_keeps_the_reference_and_not_the_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_PASSWORD", SECRET)
    uri = "postgresql://me:${DATABASE_PASSWORD}@host/db"
    study = load(study_file(tmp_path, tracking_uri=uri))
    assert study.tracking_uri == uri
    assert SECRET not in dump_yaml(study)
    assert SECRET not in study.model_dump_json()


def test_a_password_that_an_earlier_version_saved_is_used_and_not_shown(tmp_path: Path) -> None:
    changed = {"train": {"test_split": 0}, "search": {}}
    uri = "postgresql://me:s3cr3t@host/db"
    old = read_saved(study_file(tmp_path, tracking_uri=uri, **changed))
    assert old.tracking_uri == "postgresql://me:s3cr3t@host/db"
    assert SECRET not in dump_yaml(old)
    uri = "postgresql://me:${PW}@host/db"
    assert not changes(old, load(study_file(tmp_path, tracking_uri=uri, **changed)))


def test_a_server_address_without_a_login_is_no_problem() -> None:
    assert login_problem("http://me@host:5000/x") is None
    assert login_problem("https://host/page:1@2") is None
