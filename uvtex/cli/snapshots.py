"""``uvtex snapshots``: lists, prunes, archives and imports checkpoints."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from uvtex.console import JSON, PATH, CleanErrorGroup, print_table
from uvtex.metric_catalogue import CHECKPOINTS
from uvtex.output import echo

if TYPE_CHECKING:
    from uvtex.runs.snapshots import Snapshot

KEEP_EVERY = click.option(
    "--keep-every",
    "every",
    type=click.IntRange(min=0),
    default=0,
    metavar="K",
    help="Keep the periodic checkpoints of every K-th epoch; 0 keeps none of them.",
)
YES = click.option("--yes", is_flag=True, help="Remove without asking.")
DRY_RUN = click.option("--dry-run", is_flag=True, help="Print what would be done, and do nothing.")


@click.group(cls=CleanErrorGroup)
def snapshots() -> None:
    """List, prune, archive and import checkpoints.

    \b
    Example:
      uvtex snapshots list runs/*
      uvtex snapshots prune uv-heavy --keep-every 10
    """


@snapshots.command("list")
@click.argument("runs", nargs=-1, required=True, type=PATH)
@KEEP_EVERY
@JSON
def list_(runs: tuple[Path, ...], every: int, as_json: bool) -> None:
    """List the checkpoints of RUNS, with metrics and whether `prune` keeps them.

    A run is a folder with checkpoints, or the name of a run in runs/.

    \b
    Example:
      uvtex snapshots list runs/* --keep-every 10
    """
    from uvtex.runs.snapshots import find_run, kept_because
    from uvtex.runs.snapshots import snapshots as find_snapshots

    folders = list(dict.fromkeys(find_run(run) for run in runs))
    if as_json:
        rows = []
        for folder in folders:
            found = find_snapshots(folder)
            kept = kept_because(found, every)
            rows.append({"run": str(folder), "checkpoints": [_json(s, kept) for s in found]})
        echo(json.dumps(rows))
        return
    for folder in folders:
        found = find_snapshots(folder)
        echo(f"{folder}: {_size(found)}")
        _print_checkpoints(found, kept_because(found, every))


@snapshots.command()
@click.argument("run", type=PATH)
@KEEP_EVERY
@DRY_RUN
@YES
def prune(run: Path, every: int, dry_run: bool, yes: bool) -> None:
    """Remove the periodic checkpoints of RUN, except those that --keep-every keeps.

    These files are never removed: the best checkpoint, the last one (from which --resume
    continues), files that the trainer did not write, and files that cannot be read.

    \b
    Example:
      uvtex snapshots prune uv-heavy --keep-every 10
    """
    from uvtex.runs.snapshots import find_run, removable, remove
    from uvtex.runs.snapshots import snapshots as find_snapshots

    folder = find_run(run)
    to_remove = removable(find_snapshots(folder), every)
    if _confirm_removal(folder, to_remove, dry_run, yes):
        remove(s.path for s in to_remove)
        echo(f"removed {_size(to_remove)}")


@snapshots.command()
@click.argument("run", type=PATH)
@click.option("--out", type=PATH, help="Archive to write; RUN.tar.gz beside the run by default.")
@click.option(
    "--remove", "removing", is_flag=True, help="Then remove the checkpoints that `prune` would."
)
@KEEP_EVERY
@DRY_RUN
@YES
def archive(
    run: Path, out: Path | None, removing: bool, every: int, dry_run: bool, yes: bool
) -> None:
    """Pack RUN's checkpoints, settings and figures into one .tar.gz.

    Those are checkpoints/, config.yaml, epochs.jsonl and test.json.
    The archive gets its name when it is complete. Only then is anything removed.

    \b
    Example:
      uvtex snapshots archive uv-heavy --remove
      tar xf runs/uv-heavy.tar.gz
    """
    from uvtex.runs.snapshots import archive as put_away
    from uvtex.runs.snapshots import find_run, removable
    from uvtex.runs.snapshots import snapshots as find_snapshots

    folder = find_run(run)
    found = find_snapshots(folder)
    to_remove = removable(found, every) if removing else []
    named = folder if folder.name else folder.resolve()
    target = out or named.with_name(f"{named.name}.tar.gz")
    if dry_run:
        echo(f"{target}: would contain {_size(found)}")
    if removing and not _confirm_removal(folder, to_remove, dry_run, yes):
        to_remove = []
    if dry_run:
        return
    done = put_away(folder, target, to_remove)
    echo(f"{done.path}: {done.files} files, {done.bytes_in:,} bytes packed into {done.bytes_out:,}")
    if to_remove:
        echo(f"removed {_size(done.removed)}")


@snapshots.command("import")
@click.argument("file", type=PATH)
@click.argument("out", type=PATH)
@click.option("--force", is_flag=True, help="Replace OUT if it exists.")
@JSON
def import_(file: Path, out: Path, force: bool, as_json: bool) -> None:
    """Convert FILE, a checkpoint of the original project (.pt), to OUT (.safetensors).

    OUT has preset poc05. No code in FILE is run: a file with more than weights and settings is
    refused. The metrics recorded in FILE are kept as the original's. `uvtex evaluate` measures them
    again.

    \b
    Example:
      uvtex snapshots import poc_05_best_model_orig.pt runs/orig/checkpoints/orig.safetensors
      uvtex evaluate runs/orig/checkpoints/orig.safetensors --data data/photos --all
    """
    from uvtex.runs.poc05.convert import import_original

    done = import_original(file, out, force)
    config, original = done.config, done.original
    if as_json:
        record = {"epoch": original.epoch, "image_size": config.image_size}
        echo(json.dumps({"checkpoint": str(out), **record, "original": original.metrics}))
        return
    size = "" if "image_size" in original.args else " (not recorded, so the original's default)"
    echo(f"{out}: poc05, epoch {original.epoch}, {config.image_size} px{size}")
    if original.metrics:
        echo(_original_metrics(original.metrics))


def _original_metrics(metrics: dict[str, Any]) -> str:
    values = (f"{k} {v:.4f}" if isinstance(v, float) else f"{k} {v}" for k, v in metrics.items())
    return (
        f"the original recorded {', '.join(values)}, by its own definitions and split: do not "
        "compare them with those of `uvtex evaluate`"
    )


def _confirm_removal(folder: Path, to_remove: Sequence[Snapshot], dry_run: bool, yes: bool) -> bool:
    """Lists the checkpoints to be removed; returns whether to remove them.

    Raises:
        click.Abort: the user answers no.
    """
    if not to_remove:
        echo(f"{folder}: nothing to remove")
        return False
    echo(f"{folder}: to be removed: {_size(to_remove)}")
    for snapshot in to_remove:
        echo(f"  {snapshot.path.name}  {snapshot.bytes:,} bytes")
    if dry_run:
        return False
    if not yes:
        click.confirm("Remove them?", abort=True)
    return True


def _size(found: Sequence[Snapshot]) -> str:
    """Number of checkpoints and their bytes, in words."""
    from rich.filesize import decimal

    total = sum(snapshot.bytes for snapshot in found)
    short = f" ({decimal(total)})" if total >= 1000 else ""
    return f"{len(found)} checkpoint{'s'[: len(found) != 1]}, {total:,} bytes{short}"


def _json(snapshot: Snapshot, kept: dict[Path, str]) -> dict[str, Any]:
    return {
        "file": snapshot.path.name,
        "kind": snapshot.kind,
        "epoch": snapshot.epoch,
        "bytes": snapshot.bytes,
        "kept": kept.get(snapshot.path),
        "metrics": snapshot.metrics,
        "original": snapshot.original and snapshot.original.model_dump(),
        "problem": snapshot.problem,
    }


def _print_checkpoints(found: Sequence[Snapshot], kept: dict[Path, str]) -> None:
    metrics = [name for name in CHECKPOINTS if any(name in s.metrics for s in found)]
    print_table(
        ["checkpoint", "epoch", *metrics, "bytes", "kept as"],
        [
            [
                s.path.name,
                "-" if s.epoch is None else str(s.epoch),
                *(f"{s.metrics[m]:.4f}" if m in s.metrics else "-" for m in metrics),
                f"{s.bytes:,}",
                kept.get(s.path, "removable"),
            ]
            for s in found
        ],
    )
    for snapshot in found:
        if snapshot.problem:
            echo(snapshot.problem, err=True)
        if snapshot.original and snapshot.original.metrics:
            echo(f"{snapshot.path.name}: {_original_metrics(snapshot.original.metrics)}")
