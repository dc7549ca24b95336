"""The PostgreSQL server of the tests."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg2
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from tests.postgres import Postgres


def _values(url: str) -> list[int]:
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            return [row[0] for row in connection.execute(text("SELECT value FROM kept"))]
    finally:
        engine.dispose()


def test_what_was_committed_is_there_after_a_kill_and_a_restart(postgres: Postgres) -> None:
    url = postgres.database("one", password="s3cret")
    assert make_url(url).password == "s3cret"
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE kept (value integer)"))
        connection.execute(text("INSERT INTO kept VALUES (7)"))
    engine.dispose()
    postgres.kill()
    with pytest.raises(OperationalError):
        _values(url)
    postgres.restart()
    assert _values(postgres.database("one")) == [7]


def test_a_kill_survives_connections_that_close_meanwhile(postgres: Postgres) -> None:
    url = make_url(postgres.database("one"))
    done = threading.Event()

    def open_and_close() -> None:
        while not done.is_set():
            with suppress(psycopg2.OperationalError):  # the server is away between the kills
                psycopg2.connect(host=url.query["host"], user=url.username, dbname="one").close()

    clients = [threading.Thread(target=open_and_close) for _ in range(4)]
    for client in clients:
        client.start()
    try:
        for _ in range(6):
            postgres.restart()
    finally:
        done.set()
        for client in clients:
            client.join()
    assert make_url(postgres.database("one")) == url  # it answers


def test_a_closed_server_leaves_no_process(postgres: Postgres) -> None:
    folder = str(make_url(postgres.database("one")).query["host"])
    assert Path(folder).is_dir()
    assert _processes_with(folder)
    postgres.close()
    assert not _processes_with(folder)


def _processes_with(text: str) -> list[int]:
    found = psutil.process_iter(["cmdline"])
    return [p.pid for p in found if any(text in part for part in p.info["cmdline"] or ())]
