"""URLs of SQLite databases: those of plain paths are the ones that SQLAlchemy writes."""

from pathlib import Path

import pytest
from sqlalchemy.engine import URL, make_url

from sweep.study.database import sqlite_file, sqlite_url


@pytest.mark.parametrize(
    "path",
    ["mlruns/optuna.db", "/store/a-b_c.d/optuna.db", "../x.db", "/a b/c.db", "/50%/x?y#z.db",
     "/é/x.db", "/a//b.db", "a+b=c&d.db"],
)  # fmt: skip
def test_a_path_is_written_as_sqlalchemy_writes_it_and_is_read_back(path: str) -> None:
    url = URL.create("sqlite", database=path).render_as_string(hide_password=False)
    found = sqlite_url(Path(path))
    assert make_url(found).database == Path(path).as_posix()
    assert sqlite_file(found) == Path(path)
    assert sqlite_file(url) == Path(path)


@pytest.mark.parametrize("url", ["postgresql://host/db", "sqlite://", "sqlite:///:memory:"])
def test_what_names_no_file_is_none_or_as_sqlalchemy_reads_it(url: str) -> None:
    database = make_url(url).database if url.startswith("sqlite") else None
    assert sqlite_file(url) == (None if database is None else Path(database))
