"""A real PostgreSQL server, from Debian's programs, that tests may kill and start again."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import psutil
import psycopg2
from sqlalchemy.engine import URL

USER = "postgres"
"""The server's superuser. Where the tests run as root, the server's processes belong to the account
of this name, because PostgreSQL refuses to run as root."""

PATIENCE = 60.0
"""Seconds that the server gets to answer after its start."""


def programs() -> Path | None:
    """Folder of ``initdb`` and ``postgres``; None if PostgreSQL is not installed."""
    folders = []
    if (config := shutil.which("pg_config")) is not None:
        told = subprocess.run([config, "--bindir"], capture_output=True, text=True, check=True)
        folders.append(Path(told.stdout.strip()))
    versions = Path("/usr/lib/postgresql").glob("*/bin")
    folders.extend(sorted(versions, key=lambda path: path.parent.name, reverse=True))
    if (on_path := shutil.which("initdb")) is not None:
        folders.append(Path(on_path).resolve().parent)
    whole = (f for f in folders if (f / "initdb").is_file() and (f / "postgres").is_file())
    return next(whole, None)


class Postgres:
    """A server on a Unix socket. It belongs to one test, which may kill and restart it."""

    def __init__(self, bin_dir: Path, folder: Path) -> None:
        """Creates an empty cluster in ``folder``, which the server's account must be able to use.

        The path must be short: a Unix socket's has at most 107 characters.
        """
        self._bin, self._folder = bin_dir, folder
        self._account: Mapping[str, Any] = {}
        if os.geteuid() == 0:
            shutil.chown(folder, USER)
            self._account = {"user": USER, "group": USER, "extra_groups": []}
        self._log: IO[bytes] = (folder / "server.log").open("wb")
        self._process: subprocess.Popen[bytes] | None = None
        self._run("initdb", "-D", "data", "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync")

    def database(self, name: str, password: str | None = None) -> str:
        """The URL of the database ``name``, which is created if it is missing.

        The server asks nobody for a password, so any will do.
        """
        connection = psycopg2.connect(host=str(self._folder), user=USER, dbname="postgres")
        connection.autocommit = True  # a database cannot be created inside a transaction
        with closing(connection), connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,))
            if cursor.fetchone() is None:
                cursor.execute(f'CREATE DATABASE "{name}"')
        url = URL.create(
            "postgresql+psycopg2",
            username=USER,
            password=password,
            database=name,
            query={"host": str(self._folder)},
        )
        return url.render_as_string(hide_password=False)

    def start(self) -> None:
        """Starts the server, and returns once it answers."""
        assert self._process is None, "the server is running"
        options = ("-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=200")
        command = [str(self._bin / "postgres"), "-D", "data", "-k", str(self._folder), *options]
        self._process = subprocess.Popen(
            command, cwd=self._folder, stdout=self._log, stderr=self._log, **self._account
        )
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until and self._process.poll() is None:
            try:
                psycopg2.connect(host=str(self._folder), user=USER, dbname="postgres").close()
                return
            except psycopg2.OperationalError:
                time.sleep(0.05)  # it recovers its log, and tells nobody when it is done
        raise RuntimeError((self._folder / "server.log").read_text())

    def kill(self) -> None:
        """Kills all processes of the server at once, as a machine that loses its power does."""
        if self._process is None:
            return
        server = psutil.Process(self._process.pid)
        server.suspend()  # a process that it starts now would outlive it, and keep a client waiting
        processes = [server, *server.children(recursive=True)]
        for process in processes:
            with suppress(psutil.NoSuchProcess):  # a closed connection's process ends by itself
                process.kill()
        self._process.wait()
        while not all(map(_has_ended, processes)):
            time.sleep(0.01)  # nobody tells of the end of a process that is not one's child
        self._process = None

    def restart(self) -> None:
        """Kills the server, if it runs, and starts it again on the same data."""
        self.kill()
        self.start()

    def close(self) -> None:
        """Stops the server for good."""
        self.kill()
        self._log.close()

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self._bin / program), *arguments],
            cwd=self._folder,
            stdout=self._log,
            stderr=self._log,
            check=True,
            **self._account,
        )


def _has_ended(process: psutil.Process) -> bool:
    try:
        # In a container, the process with number 1 may take seconds to remove a dead process.
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@contextmanager
def running_postgres(bin_dir: Path) -> Iterator[Postgres]:
    """A running server in a temporary folder. Both are gone after the block."""
    # Not below pytest's folder: only root may enter that, and its path is too long for a socket.
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    try:
        server = Postgres(bin_dir, folder)
        try:
            server.start()
            yield server
        finally:
            server.close()
    finally:
        shutil.rmtree(folder)
