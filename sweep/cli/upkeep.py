"""The commands that look after a store: ``sweep doctor`` and ``sweep clean``."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sweep.cli.options import STORE
from uvtex.console import JSON, CleanErrorCommand, print_table
from uvtex.output import echo

if TYPE_CHECKING:
    from sweep.upkeep.doctor import Diagnosis
    from sweep.upkeep.finding import Finding


@click.command(cls=CleanErrorCommand)
@click.argument("study", required=False)
@STORE
@click.option("--fix", is_flag=True, help="Mend what can be mended without losing anything.")
@JSON
def doctor(study: str | None, store: Path, fix: bool, as_json: bool) -> None:
    """List what is inconsistent in STUDY, or in the whole store: what, where, and how to mend it.

    Compares the trial directories with Optuna, with MLflow and with the registry, and looks for
    damaged files and orphans. No result is ever deleted. The exit code is 1 if something is wrong
    and was not mended.

    \b
    Example: sweep doctor quickstart --fix
    """
    from sweep.upkeep.doctor import diagnose, mend

    done: list[str] = []

    def say(line: str) -> None:
        done.append(line)
        if not as_json:
            echo(line)

    found = mend(store, study, say) if fix else diagnose(store, study)
    if as_json:
        findings = [_as_dict(finding) for finding in found.findings]
        echo(json.dumps({"done": done, "findings": findings, "driven": found.driven}, indent=1))
    else:
        _print(found, study, store, fix)
    if found.findings:
        sys.exit(1)


@click.command(cls=CleanErrorCommand)
@click.argument("study")
@STORE
@click.option("--yes", is_flag=True, help="Remove it. Without this, it is only listed.")
@JSON
def clean(study: str, store: Path, yes: bool, as_json: bool) -> None:
    """List what STUDY can do without, by the verdict on its trials, or remove it.

    Of a pruned probe the record and one grid stay. Of another run that ended, the best checkpoint
    stays too, and all its grids. Unfinished and failed runs, trials that are still being decided
    on, and those that the registry has a version of are not touched. MLflow's copies go as well.

    \b
    Example: sweep clean quickstart --yes
    """
    from sweep.driving import session
    from sweep.upkeep.clean import clean as remove
    from sweep.upkeep.clean import superfluous

    found = session.saved(store, study)
    rows = remove(found) if yes else superfluous(found)
    if as_json:
        echo(json.dumps({"removed": yes, "rows": [asdict(row) for row in rows]}, indent=1))
        return
    header = ["verdict", "runs", "files", "bytes", "bytes in MLflow"]
    cells = [[r.verdict, r.runs, r.files, f"{r.bytes:,}", f"{r.in_mlflow:,}"] for r in rows]
    if not rows:
        echo(f"study {study}: every file is needed")
        return
    print_table(header, [[str(cell) for cell in row] for row in cells])
    total = sum(row.bytes + row.in_mlflow for row in rows)
    if yes:
        echo(f"removed {total:,} bytes")
    else:
        command = found.paths.command("clean")
        echo(f"{total:,} bytes can go; to remove them: {command} --yes")


def _print(found: Diagnosis, study: str | None, store: Path, fixed: bool) -> None:
    for finding in found.findings:
        size = f" ({finding.bytes:,} bytes)" if finding.bytes else ""
        echo(f"{finding.kind}: {finding.where}: {finding.what}{size}; {finding.mend}")
    for name in found.driven:
        echo(f"study {name} was not looked at: a driver runs it")
    number = len(found.findings)
    what = f"study {study}" if study else str(store)
    if not number:
        echo(f"{what}: nothing is inconsistent")
    elif fixed:
        echo(f"{what}: {_problems(number)} left, which no command can mend")
    else:
        mendable = sum(finding.remedy is not None for finding in found.findings)
        echo(f"{what}: {_problems(number)}; `sweep doctor --fix` mends {mendable} of them")


def _problems(number: int) -> str:
    return "1 problem" if number == 1 else f"{number} problems"


def _as_dict(finding: Finding) -> dict[str, Any]:
    values = {key: value for key, value in asdict(finding).items() if key != "remedy"}
    return {**values, "mendable": finding.remedy is not None}
