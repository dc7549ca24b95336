"""Imports that are refused or fail: they leave a whole folder or none."""

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.intake.sources import picture, reasons, snapshot, table_of
from tests.sets import make_set
from uvtex.errors import DataError
from uvtex.files import whole_folder
from uvtex.intake.importer import import_set


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return table_of(tmp_path / "shots")


@pytest.mark.parametrize("path", ["../secret.png", "/etc/hostname", "views/../../secret.png"])
def test_a_path_out_of_the_folder_is_not_followed(tmp_path: Path, path: str) -> None:
    folder = make_set(tmp_path / "set", liveries=2, cameras=1)
    picture(tmp_path / "secret.png")
    values = json.loads((folder / "manifest.json").read_text())
    values["records"][0]["view"] = path
    (folder / "manifest.json").write_text(json.dumps(values))
    report = import_set(folder, tmp_path / "out")
    assert report.views == 1
    assert "leaves the data set's folder" in reasons(report)
    assert not any("secret" in name for name in snapshot(tmp_path / "out"))


def empty(folder: Path) -> Path:
    (folder / "nothing").mkdir()
    return folder / "nothing"


def file_with(name: str, text: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_text(text, encoding="latin-1")
        return folder / name

    return make


def two_formats(folder: Path) -> Path:
    for name in ("a.csv", "b.csv"):
        file_with(name, "")(folder)
    return folder


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda d: d / "none", "no such file or folder"),
        (empty, "the folder is empty; what can be imported is"),
        (lambda d: file_with("x.txt", "")(d).parent, "nothing to import there"),
        (file_with("x.txt", ""), "cannot be imported"),
        (two_formats, "holds a.csv, b.csv; name the one"),
        (file_with("x.csv", ""), "no column view, livery, texture"),
        (file_with("x.csv", "view,livery\n1,2"), "no column texture"),
        (file_with("x.csv", "view,livery,texture"), "it has no records"),
        (file_with("x.csv", "view,livery,texture\na.png,b,c.png"), "line 2: view a.png is missing"),
        (file_with("x.csv", 'view,livery,texture\n"a.png,b'), "cannot be read as CSV"),
        (file_with("x.csv", "view,livery,texture\n\xe9,b,c"), "as UTF-8"),
        (file_with("metadata.json", "{"), "as JSON"),
        (file_with("metadata.json", "[" * 100000), "as JSON"),
        (file_with("metadata.json", "[" + "9" * 5000 + "]"), "as JSON"),
        (file_with("metadata.json", "{}"), "must be a list of records"),
        (file_with("manifest.json", "{}"), "records: must be a list"),
        (file_with("manifest.json", '{"records": [{}]}'), "record 0: view: Field required"),
        (file_with("manifest.json", '{"version": 9, "records": []}'), "version 9"),
    ],
)
def test_an_unusable_source_is_refused(
    tmp_path: Path, make: Callable[[Path], Path], says: str
) -> None:
    (tmp_path / "in").mkdir()
    with pytest.raises(DataError, match=says):
        import_set(make(tmp_path / "in"), tmp_path / "new/out")
    assert not (tmp_path / "new").exists()


# All or nothing


@pytest.mark.parametrize("kind", ["folder", "empty folder", "file", "dangling link"])
def test_an_existing_target_is_refused(table: Path, tmp_path: Path, kind: str) -> None:
    out = tmp_path / "out"
    if kind == "file":
        out.write_text("mine")
    elif kind == "dangling link":
        out.symlink_to(tmp_path / "nowhere")
    else:
        out.mkdir()
        if kind == "folder":
            (out / "mine").write_text("mine")
    with pytest.raises(DataError, match="is there already"):
        import_set(table, out)
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize(
    ("where", "code"),
    [
        ("shutil.copyfile", errno.ENOSPC),
        ("PIL.Image.Image.save", errno.ENOSPC),
        ("tempfile.mkdtemp", errno.EROFS),
        ("os.replace", errno.ENOSPC),
        ("os.fsync", errno.EIO),
    ],
)
def test_a_full_or_read_only_disk_leaves_nothing(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, code: int
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(code, os.strerror(code))

    before = snapshot(tmp_path)
    monkeypatch.setattr(where, fail)
    with pytest.raises(Exception, match=f"cannot be written: {os.strerror(code)}"):
        import_set(table, tmp_path / "new/deep/out")
    assert snapshot(tmp_path) == before
    assert not (tmp_path / "new").exists()


def test_ctrl_c_leaves_nothing(table: Path, tmp_path: Path) -> None:
    def interrupt(stage: str, done: int, total: int, left: str = "") -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_set(table, tmp_path / "new/out", progress=interrupt)
    assert not (tmp_path / "new").exists()


def test_a_target_below_a_file_is_refused(table: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="Not a directory"):
        import_set(table, tmp_path / "file/out")


@pytest.mark.skipif(sys.platform == "win32", reason="needs resource limits")
def test_a_write_refused_by_the_file_system_leaves_nothing(table: Path, tmp_path: Path) -> None:
    """The kernel refuses a write in the middle of a file."""
    code = (
        "import resource, sys\n"
        "from uvtex.cli.data import data\n"
        "from uvtex.console import CleanErrorGroup\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (700, 700))\n"
        "group = CleanErrorGroup(commands={'data': data})\n"
        "group.main(['data', 'import', *sys.argv[1:]])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(table), str(tmp_path / "out")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "cannot be written: File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("*out*"))


def test_a_folder_that_appears_during_the_import_is_not_replaced(tmp_path: Path) -> None:
    def fill() -> None:
        with whole_folder(tmp_path / "out") as folder:
            (folder / "ours").touch()
            (tmp_path / "out").mkdir()

    with pytest.raises(DataError, match="is there already"):
        fill()
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert not list((tmp_path / "out").iterdir())
