"""``uvtex evaluate``: metrics of checkpoints, and paired comparisons between them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from uvtex.console import (
    CHECKPOINT,
    DEVICE,
    JSON,
    PATH,
    CleanErrorCommand,
    TypedPath,
    print_table,
    table_width,
)
from uvtex.metric_catalogue import BY_VIEWS, EVALUATION, VIEW_COUNTS, higher_is_better
from uvtex.output import echo

if TYPE_CHECKING:
    from uvtex.data.splits import Split
    from uvtex.evaluation.comparison import Evaluated
    from uvtex.evaluation.paired import Difference

WIDE = 160
"""Columns of a terminal from which on the metrics' names fit on one line."""
SIDE = {"val": "validation", "test": "test", "train": "training"}
COLOURS = {"better": "green", "worse": "red", "within noise": "dim"}


def _view_counts(
    context: click.Context, option: click.Parameter, text: str | None
) -> tuple[int, ...] | None:
    """The numbers in ``text``, without 1, which is always measured."""
    if text is None:
        return None
    known = ("1", *map(str, VIEW_COUNTS))
    given = [part.strip() for part in text.split(",")]
    if unknown := [part for part in given if part not in known]:
        raise click.BadParameter(
            f"{', '.join(unknown) or 'nothing'}: give some of {', '.join(known)}, as in 1,2,4,8"
        )
    return tuple(n for n in VIEW_COUNTS if str(n) in given)


@click.command(cls=CleanErrorCommand)
@click.argument("checkpoints", nargs=-1, required=True, type=CHECKPOINT)
@click.option("--data", type=PATH, required=True, help="Folder of the data set.")
@click.option(
    "--against",
    type=CHECKPOINT,
    metavar="CHECKPOINT",
    help="Compare each CHECKPOINT with this one, view by view: difference, interval and verdict "
    "of every metric.",
)
@click.option(
    "--split",
    type=click.Choice(["val", "test", "train"]),
    help="The side to measure, by each CHECKPOINT's own settings: validation (which chose its "
    "epoch), test (which chose nothing), or train.  [default: val]",
)
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Measure on every view, not on one side only. For a data set that no CHECKPOINT was "
    "trained on.",
)
@click.option(
    "--csv",
    "csv_file",
    type=TypedPath(dir_okay=False),
    help="Also write a CSV file with a row a view: checkpoint, split, livery, view, camera, size "
    "in pixels, and every metric.",
)
@click.option(
    "--views",
    metavar="N,N,...",
    callback=_view_counts,
    help="Also measure textures that are made of so many views of a livery, and the share of the "
    f"texels that they see: any of 1, {', '.join(map(str, VIEW_COUNTS))}.  "
    "[default: those that the CHECKPOINT was trained on]",
)
@DEVICE
@JSON
def evaluate(
    checkpoints: tuple[str, ...],
    data: Path,
    against: str | None,
    split: Split | None,
    everything: bool,
    csv_file: Path | None,
    views: tuple[int, ...] | None,
    device: str | None,
    as_json: bool,
) -> None:
    """Measure each CHECKPOINT on the validation, test or training views of a data set.

    The table has a row for each checkpoint and shows the main metrics; --json has all of them. The
    last row is a baseline: a texture filled with the mean colour of the true one. A model below it
    has learnt nothing useful. If a model knows constant texels, which are equal in all liveries,
    another baseline row has them on top of the mean colour.

    --against compares views in pairs. Views of one livery are not independent, so each livery
    counts once, with its mean difference. The 95 % interval is the paired t interval over liveries.
    A metric is better or worse if its interval leaves zero out, else within noise. A single livery
    gives no interval. If nothing differs, one metric in twenty still differs by chance. The verdict
    is on two checkpoints, not on two ways to train, because another seed also changes the metrics.

    --views measures how much several views of a livery help. The views of each livery are drawn
    into groups, and each group makes one texture. A second table has a row for each number of
    views. Coverage is the share of the texels that the group sees.

    \b
    Example:
      uvtex evaluate runs/*/checkpoints/best.safetensors --data data/demo
      uvtex evaluate new.safetensors --against old.safetensors --data data/demo --csv samples.csv
      uvtex evaluate new.safetensors --data data/demo --split test
      uvtex evaluate new.safetensors --data data/demo --views 1,2,4,8
      uvtex evaluate new.safetensors --data data/real_liveries --all
    """
    if split and everything:
        raise click.UsageError("--all measures every view and --split one side: give only one")
    from uvtex.evaluation.comparison import evaluate_checkpoints, notes, to_csv
    from uvtex.files import write_atomic
    from uvtex.inference.infer import locate

    names = dict.fromkeys([*checkpoints, *([against] if against else [])])
    rows = evaluate_checkpoints(
        {name: locate(name) for name in names},
        data,
        device or "auto",
        "all" if everything else split or "val",
        views,
    )
    if csv_file is not None:
        write_atomic(csv_file, to_csv(rows, data))
    remarks = notes(rows)
    pairs = {} if against is None else _compare(rows, against)
    if as_json:
        echo(json.dumps(_json(rows, remarks, against, pairs)))
        return
    if split:
        echo(f"measured on the {SIDE[split]} side")
    _print_metrics(rows)
    _print_views(rows)
    _print_verdicts(rows, against, pairs)
    _print_remarks(rows, remarks)


def _print_remarks(rows: Sequence[Evaluated], remarks: Sequence[str]) -> None:
    for remark in remarks:
        echo(f"note: {remark}", err=True)
    if not any(row.lpips for row in rows):
        echo(
            "LPIPS is not available here, because its backbone's weights are missing (see "
            "docs/how-to/use-lpips.md)",
            err=True,
        )


def _print_verdicts(
    rows: Sequence[Evaluated],
    against: str | None,
    pairs: dict[str, dict[str, Difference] | str],
) -> None:
    for name, found in pairs.items():
        echo(f"\n{name} against {against}")
        if isinstance(found, str):
            echo(f"no verdict: {found}")
        else:
            _print_differences(found)
            echo(_basis(next(row for row in rows if row.name == name), found))


def _compare(rows: Sequence[Evaluated], against: str) -> dict[str, dict[str, Difference] | str]:
    """Name of each other checkpoint -> its differences to ``against``, or why there are none."""
    from uvtex.evaluation.comparison import differences, why_not_comparable

    other = next(row for row in rows if row.name == against)
    models = [r for r in rows if r is not other and not r.baseline]
    return {r.name: why_not_comparable(r, other) or differences(r, other) for r in models}


def _json(
    rows: Sequence[Evaluated],
    remarks: list[str],
    against: str | None,
    pairs: dict[str, dict[str, Difference] | str],
) -> dict[str, Any]:
    out: dict[str, Any] = {
        "split": rows[0].split,
        "rows": {row.name: row.means for row in rows},
        "notes": remarks,
    }
    if against is not None:
        out["against"] = against
        out["differences"] = {
            name: {"no_verdict": found}
            if isinstance(found, str)
            else {metric: asdict(value) for metric, value in found.items()}
            for name, found in pairs.items()
        }
    return out


def _print_metrics(rows: Sequence[Evaluated]) -> None:
    from rich.table import Column

    wide = table_width() >= WIDE
    found = {metric for row in rows for metric in row.means}
    metrics = [name for name in EVALUATION if name in found]
    headings = (name if wide else name.replace("_", "_\n") for name in metrics)
    print_table(
        [Column("checkpoint", overflow="fold"), *(Column(h, no_wrap=True) for h in headings)],
        [
            [row.name, *(f"{row.means[m]:.4f}" if m in row.means else "-" for m in metrics)]
            for row in rows
        ],
    )


def _print_views(rows: Sequence[Evaluated]) -> None:
    """The metrics of textures of one view and of several, a row for each number of views."""
    several = [row for row in rows if any(f"ssim_uv_views{n}" in row.means for n in VIEW_COUNTS)]
    cells = []
    for row in several:
        for count in (1, *VIEW_COUNTS):
            names = [name if count == 1 else f"{name}_views{count}" for name in BY_VIEWS]
            if names[0] in row.means:
                means = (f"{row.means[n]:.4f}" if n in row.means else "-" for n in names)
                cells.append([row.name, str(count), *means])
    print_table(["checkpoint", "views", *BY_VIEWS], cells)


def _print_differences(found: dict[str, Difference]) -> None:
    from rich.table import Column

    better = {None: "-", True: "higher", False: "lower"}
    print_table(
        [
            "metric",
            "better is",
            Column("difference", justify="right"),
            Column("95 % interval", justify="right"),
            "verdict",
        ],
        [
            [
                metric,
                better[higher_is_better(metric)],
                f"{value.mean:+.4f}",
                "-" if value.low is None else f"{value.low:+.4f} to {value.high:+.4f}",
                value.verdict,
            ]
            for metric, value in found.items()
        ],
        styles=[COLOURS.get(value.verdict) for value in found.values()],
    )


def _basis(row: Evaluated, found: dict[str, Difference]) -> str:
    """What the verdicts rest on, and how many there are of each kind."""
    liveries = len(set(row.liveries))
    basis = f"{len(row.records)} views of {liveries} liveries, paired; each livery counts once"
    if liveries == 1:
        return f"{basis}. One livery does not predict others: no interval and no verdict."
    counts = Counter(value.verdict for value in found.values())
    return f"{basis}: " + ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
