"""``uvtex evaluate``."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from uvtex.console import DEVICE, JSON
from uvtex.metric_catalogue import EVALUATION, higher_is_better

if TYPE_CHECKING:
    from rich.table import Table

    from uvtex.evaluation.comparison import Evaluated
    from uvtex.evaluation.paired import Difference

WIDE = 160
"""Columns of a terminal on which the metrics' names need not be broken."""
COLOURS = {"better": "green", "worse": "red", "within noise": "dim"}


@click.command()
@click.argument("checkpoints", nargs=-1, required=True)
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Data set folder.")
@click.option(
    "--against",
    metavar="CHECKPOINT",
    help="Pair every sample with this checkpoint's; difference, interval and verdict by metric.",
)
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Measure on every view, for a set that no checkpoint was trained on.",
)
@click.option(
    "--csv",
    "csv_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write every sample's figures: checkpoint, livery, view, camera, size, each metric.",
)
@DEVICE
@JSON
def evaluate(
    checkpoints: tuple[str, ...],
    data: Path,
    against: str | None,
    everything: bool,
    csv_file: Path | None,
    device: str | None,
    as_json: bool,
) -> None:
    """Metrics of each CHECKPOINT on the validation side of a data set, a row a checkpoint.

    The table shows the headline metrics; --json holds all of them. The last row is what a texture
    of the true one's mean colour scores: a model below it has learnt nothing of use. Where a model
    knows what no livery paints, a further row has that laid over the mean colour.

    --against pairs samples. Views of one livery are not independent, so each livery counts once,
    with its mean difference, and the 95 % interval is the paired t interval over liveries. A metric
    is better or worse if its interval leaves zero out, else within noise. One livery gives no
    interval. Of many metrics, one in twenty leaves zero out by chance. Seeds are noise too: this
    compares two checkpoints, not the two ways in which they were trained.

    \b
    Example:
      uvtex evaluate runs/*/checkpoints/best.safetensors --data data/demo
      uvtex evaluate new.safetensors --against old.safetensors --data data/demo --csv samples.csv
      uvtex evaluate new.safetensors --data data/real_liveries --all
    """
    from uvtex.evaluation.comparison import evaluate_checkpoints, notes, to_csv
    from uvtex.files import write_atomic
    from uvtex.inference.infer import locate

    names = dict.fromkeys([*checkpoints, *([against] if against else [])])
    judged = evaluate_checkpoints(
        {name: locate(name) for name in names}, data, device or "auto", everything
    )
    if csv_file is not None:
        write_atomic(csv_file, to_csv(judged, data))
    said = notes(judged)
    pairs = {} if against is None else _against(judged, against)
    if as_json:
        click.echo(json.dumps(_json(judged, said, against, pairs)))
        return
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else 200)
    console.print(_figures(judged, wide=console.width >= WIDE))
    for name, found in pairs.items():
        one = next(one for one in judged if one.name == name)
        console.print(f"\n{name} against {against}", highlight=False, markup=False)
        if isinstance(found, str):
            click.echo(f"no verdict: {found}")
        else:
            console.print(_differences(found))
            click.echo(_basis(one, found))
    for note in said:
        click.echo(f"note: {note}", err=True)
    if not any(one.lpips for one in judged):
        click.echo("LPIPS is absent: its backbone is not to be had here (see the README)", err=True)


def _against(judged: Sequence[Evaluated], against: str) -> dict[str, dict[str, Difference] | str]:
    """Of every other checkpoint: its differences, or why there are none."""
    from uvtex.evaluation.comparison import differences, why_not_comparable

    theirs = next(one for one in judged if one.name == against)
    others = [o for o in judged if o is not theirs and not o.baseline]
    return {o.name: why_not_comparable(o, theirs) or differences(o, theirs) for o in others}


def _json(
    judged: Sequence[Evaluated],
    said: list[str],
    against: str | None,
    pairs: dict[str, dict[str, Difference] | str],
) -> dict[str, Any]:
    out: dict[str, Any] = {"rows": {one.name: one.means for one in judged}, "notes": said}
    if against is not None:
        out["against"] = against
        out["differences"] = {
            name: {"no_verdict": found}
            if isinstance(found, str)
            else {metric: asdict(value) for metric, value in found.items()}
            for name, found in pairs.items()
        }
    return out


def _figures(judged: Sequence[Evaluated], wide: bool) -> Table:
    from rich.table import Table

    found = {metric for one in judged for metric in one.means}
    columns = [name for name in EVALUATION if name in found]
    table = Table()
    table.add_column("checkpoint", overflow="fold")
    for name in columns:
        table.add_column(name if wide else name.replace("_", "_\n"), no_wrap=True)
    for one in judged:
        means = one.means
        table.add_row(one.name, *(f"{means[c]:.4f}" if c in means else "-" for c in columns))
    return table


def _differences(found: dict[str, Difference]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table("metric", "better is", box=box.SIMPLE_HEAD)
    table.add_column("difference", justify="right")
    table.add_column("95 % interval", justify="right")
    table.add_column("verdict")
    for metric, value in found.items():
        higher = higher_is_better(metric)
        bounds = "-" if value.low is None else f"{value.low:+.4f} to {value.high:+.4f}"
        table.add_row(
            metric,
            "-" if higher is None else "higher" if higher else "lower",
            f"{value.mean:+.4f}",
            bounds,
            value.verdict,
            style=COLOURS.get(value.verdict),
        )
    return table


def _basis(one: Evaluated, found: dict[str, Difference]) -> str:
    liveries = len(set(one.liveries))
    basis = f"{len(one.records)} views of {liveries} liveries, paired; each livery counts once"
    if liveries == 1:
        return f"{basis}. One livery says nothing of others: no interval and no verdict."
    counts: dict[str, int] = {}
    for value in found.values():
        counts[value.verdict] = counts.get(value.verdict, 0) + 1
    return f"{basis}: " + ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
