"""The commands import heavy libraries only when they need them."""

import subprocess
import sys
from pathlib import Path

import pytest

from sweep.study.file import write_saved
from tests.cli.invoke import TRAIN
from tests.sweep.made_study import add_checkpoint, add_trial, make_study

pytestmark = pytest.mark.usefixtures("in_tmp_path")
READING = {"torch", "mlflow", "optuna", "scipy", "sqlalchemy"}
"""What a command that only reads a study does without."""


def printed(program: str, heavy: set[str]) -> str:
    """What a Python program prints that ends well and has imported none of ``heavy``.

    A call of a command in it ends with the command's exit code.
    """
    code = (
        f"import sys\ncode = 0\ntry: {program}\nexcept SystemExit as e: code = e.code\n"
        f"loaded = {heavy!r} & set(sys.modules)\n"
        "sys.exit(f'imported {loaded}' if loaded else code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("module", ["uvtex.cli", "sweep.cli"])
def test_help_imports_nothing_heavy(module: str) -> None:
    program = f"from {module} import main; main(['--help'])"
    assert "Usage" in printed(program, {"torch", "mlflow", "optuna", "mitsuba"})


def test_what_a_study_shows_and_is_asked_needs_no_optuna() -> None:
    modules = "sweep.driving.mending, sweep.driving.session, sweep.report.summary"
    assert printed(f"import {modules}; print('imported')", READING) == "imported\n"


def test_the_status_of_a_study_that_has_ended_probes_builds_no_networks(tmp_path: Path) -> None:
    """To say what a full run takes on the disk, it measures the probes."""
    study = make_study(tmp_path)
    _, run_dir = add_trial(study, 0)
    add_checkpoint(study, run_dir)
    write_saved(study)
    arguments = ["status", study.name, "--store", str(study.store)]
    told = printed(f"from sweep.cli import main; main({arguments!r})", READING)
    assert "a full run about" in told


def test_uvtex_imports_neither_optuna_nor_mlflow(tiny_set: Path) -> None:
    arguments = ["train", str(tiny_set), *TRAIN]
    told = printed(f"from uvtex.cli import main; main({arguments!r})", {"mlflow", "optuna"})
    assert "checkpoint" in told
