"""A study's lock where the file system cannot lock: its owner is a name in a file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sweep.study.lease import driver, lease
from tests.sweep.fakes import study

posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no flock")
WITHOUT_FLOCK = """
import errno, fcntl, os, sys, warnings

def no(*_):
    raise OSError(errno.ENOSYS, "Function not implemented")

fcntl.flock = no
warnings.simplefilter("ignore")
from pathlib import Path
from sweep.study.folder import StudyFolder
from sweep.study.lease import StudyTaken, driver, lease

paths = StudyFolder(Path(sys.argv[1]), "made-up")
try:
    with lease(paths):
        print("holds", flush=True)
        if sys.argv[2] == "die":
            os._exit(9)
        if sys.argv[2] == "wait":
            sys.stdin.readline()
except StudyTaken as taken:
    print(taken)
"""


def process(store: Path, how: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WITHOUT_FLOCK, str(store), how],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def said(store: Path, how: str = "end") -> str:
    with process(store, how) as one:
        return one.communicate(timeout=60)[0]


@posix
def test_without_flock_a_second_driver_is_refused_and_a_dead_owner_recognised(
    tmp_path: Path,
) -> None:
    with process(tmp_path, "wait") as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "holds\n"
        refused = said(tmp_path)
        assert f"is being driven by process {first.pid} on " in refused
        lock = tmp_path / "studies/made-up/driver.lock"
        assert f"if that process has ended, remove {lock}" in refused
        first.communicate("\n", timeout=60)
    assert said(tmp_path, "die") == "holds\n"
    assert said(tmp_path) == "holds\n"


@posix
def test_without_flock_an_owner_on_another_host_is_named_and_the_file_to_remove(
    tmp_path: Path,
) -> None:
    assert said(tmp_path) == "holds\n"
    lock = tmp_path / "studies/made-up/driver.lock"
    lock.write_text("4711\nanother-container\n")
    (lock.parent / "driver.json").write_text(
        '{"pid": 4711, "host": "another-container", "since": "2026-11-27T01:00:00+00:00"}'
    )
    refused = said(tmp_path)
    assert "process 4711 on another-container since 2026-11-27" in refused
    assert f"remove {lock}" in refused
    lock.unlink()
    assert said(tmp_path) == "holds\n"


def test_with_flock_nothing_is_to_be_removed(tmp_path: Path) -> None:
    paths = study(tmp_path).paths
    with lease(paths):
        assert driver(paths) is not None
        with pytest.raises(Exception, match="is being driven by process") as refused:
            lease(paths).__enter__()
    assert "remove" not in str(refused.value)
    assert "sweep stop made-up" in str(refused.value)
