"""The commands on the model registry: ``sweep promote``, ``champion`` and ``rollback``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sweep.cli.options import STORE
from sweep.study.folder import tracking_uri
from uvtex.console import JSON, CleanErrorCommand, print_table
from uvtex.errors import UvtexError
from uvtex.output import echo

if TYPE_CHECKING:
    from sweep.tracking.registry import Standing, VersionRecord

URI = click.option("--uri", help="MLflow's tracking URI (default: the store's).")
LONGEST_REASON = 1000


def _reason(_: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """A reason in one line; it is read in tables."""
    if value is None:
        return None
    text = " ".join(value.split())
    if not text or len(text) > LONGEST_REASON:
        raise click.BadParameter(
            f"must be a text of 1 to {LONGEST_REASON} characters, got {len(text)}", param=param
        )
    return text


@click.command(cls=CleanErrorCommand)
@click.argument("run")
@STORE
@click.option("--uri", help="MLflow's tracking URI (default: the study's).")
@click.option(
    "--override",
    metavar="REASON",
    callback=_reason,
    help="Register RUN and make it champion whatever the rule says. The reason is kept and shown.",
)
@JSON
def promote(run: str, store: Path, uri: str | None, override: str | None, as_json: bool) -> None:
    """Register the full run RUN, and make it champion if it is better.

    RUN is as in `sweep compare`. Its trial is judged as `sweep run` judges it: by all its full
    runs, against each threshold. The one that validation likes best is registered. It becomes
    champion by a comparison with the champion under the same seeds.

    \b
    Example: sweep promote quickstart/7
    """
    from sweep.driving import session
    from sweep.driving.admission import promote_by_hand
    from sweep.study.folder import read_record
    from sweep.tracking.run_lookup import find_run

    run_dir = find_run(run, uri or tracking_uri(store), store).resolve()
    folder = run_dir.parents[2]
    if folder.parent.name != "studies":
        raise UvtexError(f"{run}: lies in no study's folder, so its thresholds are not known")
    home = store if folder == (store / "studies" / folder.name).resolve() else folder.parents[1]
    study = session.saved(home, folder.name)
    key = read_record(run_dir).key
    record, gate = promote_by_hand(study, key, uri or study.tracking_uri, override)
    if as_json:
        name = f"{study.name}/{record.trial}/{record.name}"
        echo(json.dumps({"run": name, **gate.model_dump()}, indent=1))
        return
    role = "champion" if gate.champion else "not champion"
    echo(f"{record.label} is version {gate.version}, {role}: {gate.reason}")


@click.command(cls=CleanErrorCommand)
@STORE
@URI
@click.option("--history", "show_history", is_flag=True, help="List every change of the champion.")
@JSON
def champion(store: Path, uri: str | None, show_history: bool, as_json: bool) -> None:
    """Show the champion: its figures, when and why it became champion, and the challenger.

    \b
    Example: sweep champion --history
    """
    from sweep.tracking.registry import standing

    _print(standing(uri or tracking_uri(store)), show_history, as_json)


@click.command(cls=CleanErrorCommand)
@click.argument("version", required=False, type=click.IntRange(1))
@STORE
@URI
@click.option(
    "--reason", callback=_reason, default="no reason was given", help="Why, for the history."
)
@JSON
def rollback(version: int | None, store: Path, uri: str | None, reason: str, as_json: bool) -> None:
    """Make the version champion that was champion before, or VERSION.

    No version is removed, and the history keeps both changes. A second rollback goes further back.

    \b
    Example: sweep rollback --reason "seams on the roof"
    """
    from sweep.tracking.registry import rollback as roll_back

    target = None if version is None else str(version)
    _print(roll_back(uri or tracking_uri(store), target, reason, store), False, as_json)


def _print(found: Standing, show_history: bool, as_json: bool) -> None:
    if as_json:
        echo(json.dumps(_as_dict(found, show_history), indent=1))
        return
    if found.champion is None:
        echo(found.note or "There is no champion yet: no run was admitted.")
    else:
        _print_champion(found, found.champion)
    if found.challenger is not None:
        echo(f"challenger: {found.challenger.label}: {_why(found, found.challenger)}")
    if show_history:
        rows = [
            [event.at, event.kind, event.before or "-", event.version, event.reason]
            for event in found.events.values()
        ]
        print_table(["time", "event", "before", "champion", "reason"], rows)
        if not rows:
            echo("The history is empty.")


def _print_champion(found: Standing, version: VersionRecord) -> None:
    from sweep.tracking.registry.page import admission, figure_rows, told_sides

    schedule = f", schedule {version.schedule}" if version.schedule else ""
    echo(f"champion: {version.label}{schedule}")
    header, *rows = figure_rows(version)
    print_table(header, rows)
    echo(told_sides(version))
    if version.admission:
        echo(admission(version))
    if found.event is not None:
        echo(f"champion since {found.event.at}, by {found.event.kind}: {found.event.reason}")
    if found.note:
        echo(f"note: {found.note}")
    if version.override:
        echo(f"override: {version.override}")


def _why(found: Standing, version: VersionRecord) -> str:
    """Why the challenger is not champion."""
    if any(event.version == version.version for event in found.events.values()):
        return "was champion before"
    return version.answer or version.admission or "registered"


def _as_dict(found: Standing, show_history: bool) -> dict[str, Any]:
    values: dict[str, Any] = {
        "champion": None if found.champion is None else _facts(found.champion),
        "challenger": None if found.challenger is None else _facts(found.challenger),
        "event": None if found.event is None else found.event.model_dump(),
        "note": found.note,
    }
    if show_history:
        values["history"] = [event.model_dump() for event in found.events.values()]
    return values


def _facts(version: VersionRecord) -> Mapping[str, Any]:
    return {
        "version": version.version,
        "study": version.study,
        "trial": version.trial,
        "run": version.run,
        "run_id": version.run_id,
        "schedule": version.schedule,
        "epoch": version.epoch,
        "side": version.side,
        "metrics": dict(version.metrics),
        "validation": dict(version.validation),
        "thresholds": [threshold.model_dump(exclude_none=True) for threshold in version.thresholds],
        "admitted": version.admitted,
        "admission": version.admission,
        "tests": [test.model_dump() for test in version.tests],
        "replicates": {str(seed): dict(figures) for seed, figures in version.replicates.items()},
        "answer": version.answer,
        "override": version.override,
    }
