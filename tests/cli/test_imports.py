"""The commands import heavy libraries only when they need them."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.invoke import TRAIN

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
        "heavy = {'torch', 'mlflow', 'optuna', 'scipy.stats'} & set(sys.modules)\n"
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


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
