"""The folder of a run: resumed, replaced or refused, and used by one process at a time."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from uvtex.cli import main
from uvtex.errors import UvtexError
from uvtex.runs.folder import RunFolder, claimed, clear, refuse_taken
from uvtex.runs.header import read_header

TRAIN = ["--image-size", "32", "--width", "0.1", "--val-split", "0.34", "--checkpoint-every", "1"]
FOLDER = Path("runs/best")


pytestmark = pytest.mark.usefixtures("in_tmp_path")


def train(data: Path, *args: Any) -> Result:
    return CliRunner().invoke(main, ["train", str(data), *TRAIN, *(str(arg) for arg in args)])


def files(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()} - {".lock"}


def test_force_replaces_the_run_of_that_name_and_nothing_else(tiny_set: Path) -> None:
    assert train(tiny_set, "--epochs", 3).exit_code == 0
    (FOLDER / "grids").mkdir()
    (FOLDER / "grids/sample_000.png").write_bytes(b"of the old run")
    (FOLDER / "notes.txt").write_text("mine")
    (FOLDER / "checkpoints/imported.safetensors").write_bytes(b"another's")

    refused = train(tiny_set, "--epochs", 1, "--seed", 7)
    assert refused.exit_code == 1
    assert "--force" in refused.stderr
    assert read_header(FOLDER / "checkpoints/best_last.safetensors").epoch == 3

    assert train(tiny_set, "--epochs", 1, "--seed", 7, "--force").exit_code == 0
    assert files(FOLDER) == {
        "config.yaml",
        "epochs.jsonl",
        "test.json",
        "notes.txt",
        "checkpoints/best.safetensors",
        "checkpoints/best_last.safetensors",
        "checkpoints/best_epoch001.safetensors",
        "checkpoints/imported.safetensors",
    }
    assert len((FOLDER / "epochs.jsonl").read_text().splitlines()) == 1
    header = read_header(FOLDER / "checkpoints/best.safetensors")
    assert header.config.seed == 7


def test_force_keeps_the_old_run_if_the_new_one_cannot_start(tiny_set: Path) -> None:
    assert train(tiny_set, "--epochs", 1).exit_code == 0
    before = {name: (FOLDER / name).read_bytes() for name in files(FOLDER)}
    for wrong in (["nowhere"], [tiny_set, "--lr", "-1"], [tiny_set, "--preset", "none"]):
        assert train(wrong[0], *wrong[1:], "--force").exit_code != 0
    assert {name: (FOLDER / name).read_bytes() for name in files(FOLDER)} == before


def test_force_and_resume_together_are_a_usage_error(tiny_set: Path) -> None:
    result = train(tiny_set, "--force", "--resume")
    assert result.exit_code == 2
    assert "--resume" in result.stderr


def test_a_half_removed_run_can_be_neither_resumed_nor_overwritten(tmp_path: Path) -> None:
    """Starting without --force is refused, at whatever file the removal stopped."""
    names = [f"checkpoints/x{s}.safetensors" for s in ("_last", "", "_epoch001")]
    (tmp_path / "checkpoints").mkdir()
    for name in (*names, "epochs.jsonl"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / names[2]).unlink()
    (tmp_path / names[2]).mkdir()  # cannot be unlinked: removing stops here
    with pytest.raises(OSError, match="x_epoch001"):
        clear(RunFolder(tmp_path), "x")
    for resume in (False, True):
        with pytest.raises(UvtexError, match="--force"):
            refuse_taken(RunFolder(tmp_path), "x", resume)


def test_a_run_killed_in_its_first_epoch_may_be_resumed_but_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints/x.safetensors").write_bytes(b"")
    refuse_taken(RunFolder(tmp_path), "x", resume=True)
    with pytest.raises(UvtexError, match="holds a run already"):
        refuse_taken(RunFolder(tmp_path), "x", resume=False)
    refuse_taken(RunFolder(tmp_path), "y", resume=False)


def test_two_processes_cannot_train_into_one_folder(tiny_set: Path, tmp_path: Path) -> None:
    code = (
        "import sys, pathlib\nfrom uvtex.runs.folder import claimed\n"
        f"with claimed(pathlib.Path({str(FOLDER)!r})):\n"
        "    print('mine', flush=True)\n    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"mine\n"
        result = train(tiny_set, "--epochs", 1, "--force")
        assert result.exit_code == 1
        assert "another process is training into it" in result.stderr
        assert files(FOLDER) == set()
        os.kill(other.pid, signal.SIGKILL)
    with claimed(FOLDER):  # the lock of a dead process is free
        pass
    assert train(tiny_set, "--epochs", 1).exit_code == 0


def test_resuming_removes_the_partial_files_of_killed_writers(tiny_set: Path) -> None:
    assert train(tiny_set, "--epochs", 1).exit_code == 0
    left = [
        FOLDER / ".epochs.jsonl.0a1b2c3d.part",
        FOLDER / "checkpoints/.x.safetensors.01234567.part",
    ]
    for path in left:
        path.write_bytes(b"half")
    mine = FOLDER / "checkpoints/.mine.part"
    mine.write_bytes(b"")
    result = train(tiny_set, "--epochs", 1, "--resume", "--json")
    assert result.exit_code == 0, result.output
    assert not any(path.exists() for path in left)
    assert mine.exists()
    assert json.loads(result.stdout)["best"]["epoch"] == 1
