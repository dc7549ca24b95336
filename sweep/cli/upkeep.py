"""The commands that look after a store: ``sweep doctor``."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sweep.cli.options import STORE
from uvtex.console import JSON, CleanErrorCommand
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
