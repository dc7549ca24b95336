"""The commands import heavy libraries only when they need them."""

import subprocess
import sys
from pathlib import Path

import pytest

from sweep.study.file import write_saved
from tests.cli.invoke import TRAIN
from tests.sweep.made_study import add_checkpoint, add_trial, make_study

pytestmark = pytest.mark.usefixtures("in_tmp_path")


@pytest.mark.parametrize("module", ["uvtex.cli", "sweep.cli"])
def test_help_imports_nothing_heavy(module: str) -> None:
    code = (
        f"import sys\nfrom {module} import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'mlflow', 'optuna', 'mitsuba'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


def test_what_a_study_shows_and_is_asked_needs_no_optuna() -> None:
    code = (
        "import sys\nimport sweep.driving.mending, sweep.driving.session, sweep.report.summary\n"
        "heavy = {'torch', 'mlflow', 'optuna', 'scipy', 'sqlalchemy'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_status_of_a_study_that_has_ended_probes_builds_no_networks(tmp_path: Path) -> None:
    """To say what a full run takes on the disk, it measures the probes."""
    study = make_study(tmp_path)
    _, run_dir = add_trial(study, 0)
    add_checkpoint(study, run_dir)
    write_saved(study)
    code = (
        "import sys\nfrom sweep.cli import main\n"
        f"try: main(['status', {study.name!r}, '--store', {str(study.store)!r}])\n"
        "except SystemExit as e: code = e.code\n"
        "heavy = {'torch', 'mlflow', 'optuna', 'scipy', 'sqlalchemy'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "a full run about" in done.stdout


def test_uvtex_imports_neither_optuna_nor_mlflow(tiny_set: Path) -> None:
    code = (
        "import sys\nfrom uvtex.cli import main\n"
        f"try: main(['train', {str(tiny_set)!r}, *{TRAIN!r}])\n"
        "except SystemExit as e: code = e.code\n"
        "heavy = {'mlflow', 'optuna'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
