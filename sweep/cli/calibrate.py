"""The command ``sweep calibrate``."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from uvtex.console import JSON, PATH, CleanErrorCommand, TypedPath, print_table
from uvtex.output import echo, stdout

if TYPE_CHECKING:
    from sweep.study.calibration import Calibration
    from sweep.study.config import StudyConfig


@click.command(cls=CleanErrorCommand)
@click.argument("config", type=PATH)
@click.option(
    "--seeds",
    type=click.IntRange(2),
    default=4,
    help="Number of seeds of each schedule, those of earlier calls included.",
)
@click.option("--schedules", help="Names with commas between them (default: all in search.queue).")
@click.option(
    "--store",
    type=TypedPath(file_okay=False),
    help="Folder that holds the studies (default: the study file's).",
)
@JSON
def calibrate(
    config: Path, seeds: int, schedules: str | None, store: Path | None, as_json: bool
) -> None:
    """Measure the noise of the study in the file CONFIG, before anything is searched.

    Runs named schedules over several seeds at both stages. Says how much the metrics differ by seed
    alone, and whether the thresholds can be told from that. Ctrl-C stops it after the epochs in
    progress. The same command resumes it.

    \b
    Example: sweep calibrate configs/quickstart.yaml --seeds 3 --schedules baseline,direct-first
    """
    from sweep.driving import session
    from sweep.study.file import load

    study = load(config, {"store": None if store is None else str(store)})
    names = list(study.named_schedules) if schedules is None else _names(schedules)
    out = sys.stderr if as_json else stdout()
    try:
        found = session.calibrate(study, names, seeds, out)
    except KeyboardInterrupt:  # before the first run
        found = None
    if found is None:
        given = ["--seeds", str(seeds)]
        given += [] if schedules is None else ["--schedules", schedules]
        given += [] if store is None else ["--store", str(store)]
        again = shlex.join(["sweep", "calibrate", str(config), *given])
        click.echo(f"Stopped. To resume: {again}", file=out)
        sys.exit(130)
    _print(study, found, as_json)


def _names(schedules: str) -> list[str]:
    names = [name.strip() for name in schedules.split(",")]
    return [name for name in names if name]


def _print(study: StudyConfig, found: Calibration, as_json: bool) -> None:
    from sweep.decisions.calibration_verdict import judge_calibration
    from sweep.decisions.relative_thresholds import resolve

    thresholds = resolve(study.asked_thresholds, found, "full")
    verdict = judge_calibration(found, thresholds, study.replicates)
    if as_json:
        values: dict[str, Any] = found.model_dump(mode="json")
        values["thresholds"] = [t.model_dump(exclude_none=True) for t in thresholds]
        values["verdict"] = {
            "told_apart": verdict.told_apart,
            "best": verdict.best.schedule,
            "admission": verdict.best.admission,
            "replicates": verdict.replicates,
            "needed": verdict.needed,
            "reason": verdict.reason,
        }
        echo(json.dumps(values, indent=1))
        return
    print_table(*_table(found, [threshold.metric for threshold in thresholds]))
    for problem in found.failed:
        echo(f"left out: {problem}")
    side = "test" if any(run.liveries for run in found.runs) else "validation"
    echo(f"Probes are measured on the validation side, full runs on the {side} side.")
    echo(f"All runs together took {found.cost / 3600:.2g} device-hours.")
    echo(verdict.reason)


def _table(found: Calibration, metrics: list[str]) -> tuple[list[str], list[list[str]]]:
    """Means over seeds, and below them the standard deviation over seeds of each stage."""
    header = ["stage", "schedule", "seeds", *metrics, "s / epoch"]
    rows = []
    for name, stage in found.stages.items():
        for schedule, means in stage.means.items():
            runs = [r for r in found.runs if (r.schedule, r.stage) == (schedule, name)]
            seconds = sum(run.seconds for run in runs) / len(runs)
            figures = [f"{means[metric]:.4f}" for metric in metrics]
            rows.append([name, schedule, str(len(runs)), *figures, f"{seconds:.2f}"])
        deviations = [f"{stage.noise[metric].seeds.deviation:.4f}" for metric in metrics]
        rows.append([name, "s.d. over seeds", "", *deviations, ""])
    return header, rows
