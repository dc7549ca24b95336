"""Judges pruners on recorded learning curves, without training.

    python -m benchmarks.promotion replay FILE... --policy ours --pass-rate 0.1 --json
    python -m benchmarks.promotion replay FILE... --policy ours --policy none --append RESULTS
    python -m benchmarks.promotion table benchmarks/promotion/results.jsonl.gz --figure OUT.svg
    python -m benchmarks.promotion simulate --studies 2000
    python -m benchmarks.promotion record benchmarks/promotion/curves.yaml FOLDER
    python -m benchmarks.promotion pack benchmarks/promotion/curves.yaml FOLDER OUT

README.md beside this file describes the file format, the policies and the figures.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from benchmarks.promotion import policies, simulation, table
from benchmarks.promotion.cells import Cell, key_of, measured, read, resume
from benchmarks.promotion.figure import figure as drawn
from benchmarks.promotion.task import PASS_RATE
from sweep.study.file import load as load_study
from uvtex.console import CleanErrorGroup
from uvtex.output import echo

FILES = click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
RISK = click.option(
    "--risk",
    default=0.05,
    type=click.FloatRange(0, 1),
    help="Share of good trials to lose at most.",
)
REPLAYS = click.option(
    "--replays", default=500, type=click.IntRange(1), help="Simulated studies a file and policy."
)
SEED = click.option(
    "--seed", default=0, type=click.IntRange(0), help="Of the draws: the same for every policy."
)
STUDY = click.argument("study_file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
FOLDER = click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
SCHEDULES = click.option(
    "--schedules", default=240, type=click.IntRange(1), help="Schedules that are drawn."
)
REPEAT_EVERY = click.option(
    "--repeat-every",
    default=8,
    type=click.IntRange(1),
    help="Every so many schedules, one is run under several seeds.",
)
SEEDS = click.option(
    "--seeds", default=3, type=click.IntRange(1), help="Seeds of a schedule that is repeated."
)
JOBS = click.option("--jobs", default=1, type=click.IntRange(1), help="Processes.")


@click.group(cls=CleanErrorGroup)
def main() -> None:
    """Judges pruners on recorded learning curves."""


@main.command("replay")
@FILES
@click.option(
    "--policy",
    "names",
    multiple=True,
    default=("ours",),
    type=click.Choice(policies.names()),
    help="May be repeated.",
)
@click.option(
    "--pass-rate",
    "rates",
    multiple=True,
    default=(0.1,),
    type=PASS_RATE,
    help="Share of the runs that pass the thresholds. May be repeated.",
)
@click.option("--earlier", multiple=True, type=click.Path(path_type=Path), help="Prior curves.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--append",
    type=click.Path(path_type=Path),
    help="Append each result to this file as a line of JSON; compute only those that it lacks.",
)
@RISK
@REPLAYS
@SEED
@JOBS
def replay_command(
    files: Sequence[Path],
    names: Sequence[str],
    rates: Sequence[float],
    earlier: Sequence[Path],
    as_json: bool,
    append: Path | None,
    risk: float,
    replays: int,
    seed: int,
    jobs: int,
) -> None:
    """Simulates studies over FILES and prints what each policy loses and saves.

    With one file, policy and pass rate, JSON is an object; with several, a list of objects.
    """
    cells = [
        Cell(path, rate, name, risk, replays, seed, tuple(earlier))
        for path in files
        for rate in rates
        for name in names
    ]
    results = {key_of(result): result for result in (resume(append) if append else [])}
    for result in measured([cell for cell in cells if cell.key not in results], jobs):
        results[key_of(result)] = result
        if append:
            with append.open("a", encoding="utf-8") as file:
                file.write(json.dumps(result, separators=(",", ":")) + "\n")
        if not as_json:
            echo(line(result))
    if as_json:
        asked = [results[cell.key] for cell in cells]
        echo(json.dumps(asked[0] if len(asked) == 1 else asked, indent=2))


@main.command("table")
@click.argument("results", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--figure", type=click.Path(path_type=Path), help="Write the figure, an SVG, here.")
def table_command(results: Sequence[Path], figure: Path | None) -> None:
    """Prints RESULTS, made by `replay --append`, as Markdown tables; they may be gzipped."""
    told = [one for path in results for one in read(path)]
    for own in (False, True):
        part = [one for one in told if (one["file"] in table.OWN) is own]
        if not part:
            continue
        echo(("Our own curves:" if own else "Public files:") + "\n")
        echo(table.by_policy(part) + "\n")
        if any(one["policy"] == "ours" for one in part):
            for made in (table.by_file, table.by_passers):
                echo(made(part, "ours") + "\n")
            echo(table.by_rival(part) + "\n")
    if figure:
        figure.write_text(drawn(told), encoding="utf-8")


@main.command("simulate")
@click.option("--studies", default=2000, type=click.IntRange(1), help="Simulated studies a row.")
@SEED
def simulate_command(studies: int, seed: int) -> None:
    """Simulates ledger and audit under forecasts whose errors are known."""
    for text in simulation.rows(studies, seed):
        echo(text)


@main.command("record")
@STUDY
@FOLDER
@SCHEDULES
@REPEAT_EVERY
@SEEDS
def record_command(study_file: Path, folder: Path, **drawn: int) -> None:
    """Trains schedules drawn over the search space of STUDY_FILE, at both stages, into FOLDER.

    The same command goes on where it was cut.
    """
    from benchmarks.promotion import record
    from sweep.driving.data_set import build_data

    study = load_study(study_file)
    build_data(study, sys.stdout)
    runs = record.plan(study, folder, **drawn)
    for run in record.record(study, folder, runs):
        done = sum(one.done for one in runs)
        echo(f"schedule {run.number}, seed {run.seed}, {run.stage}: {done} of {len(runs)} runs")


@main.command("pack")
@STUDY
@FOLDER
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@SCHEDULES
@REPEAT_EVERY
@SEEDS
def pack_command(study_file: Path, folder: Path, out: Path, **drawn: int) -> None:
    """Writes the runs of FOLDER that are done as OUT/probe.npz and OUT/full.npz.

    The options must be those of `record`.
    """
    from benchmarks.promotion import record

    runs = record.plan(load_study(study_file), folder, **drawn)
    out.mkdir(parents=True, exist_ok=True)
    for stage in record.STAGES:
        path = out / f"{stage}.npz"
        count = record.pack([run for run in runs if run.stage == stage], path)
        echo(f"{path}: {count} runs")


def line(result: dict[str, Any]) -> str:
    """The main figures in a line."""
    cells = [f"{result['file']} {result['pass_rate']:g} {result['policy']}:"]
    for key in ("false_prune_rate", "epochs_saved", "oracle_saving_reached"):
        cells.append(f"{key} {interval(result[key])}")
    cells.append(f"epochs_to_champion/none {interval(result['epochs_to_champion_over_none'])}")
    return " ".join(cells)


def interval(figure: dict[str, float | None]) -> str:
    """``mean (low to high)``."""
    if figure["mean"] is None:
        return "-"
    return "{mean:.3f} ({low:.3f} to {high:.3f})".format(**figure)


if __name__ == "__main__":
    main()
