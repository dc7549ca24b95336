"""``uvtex snapshots``: checkpoints listed, pruned, archived, and brought in."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from uvtex.console import CONTEXT, JSON
from uvtex.metric_catalogue import CHECKPOINTS

if TYPE_CHECKING:
    from uvtex.runs.snapshots import Snapshot

PATH = click.Path(path_type=Path)
KEEP_EVERY = click.option(
    "--keep-every",
    "every",
    type=click.IntRange(min=0),
    default=0,
    metavar="K",
    help="Periodic checkpoints of every K-th epoch stay; 0: none of them.",
)
YES = click.option("--yes", is_flag=True, help="Don't ask before removing.")
DRY_RUN = click.option("--dry-run", is_flag=True, help="Say what would go, and stop.")


@click.group(context_settings=CONTEXT)
def snapshots() -> None:
    """Checkpoints of runs: list, prune, archive, and import the original's.

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
    """The checkpoints of RUNS: epoch, metrics, bytes, and why `prune` would keep them.

    A run is a folder with checkpoints in it, or a name in runs/.

    \b
    Example:
      uvtex snapshots list runs/* --keep-every 10
    """
    from uvtex.runs.snapshots import find_run, kept_because
    from uvtex.runs.snapshots import snapshots as look

    folders = list(dict.fromkeys(find_run(run) for run in runs))
    if as_json:
        rows = []
        for folder in folders:
            found = look(folder)
            kept = kept_because(found, every)
            rows.append({"run": str(folder), "checkpoints": [_json(s, kept) for s in found]})
        click.echo(json.dumps(rows))
        return
    for folder in folders:
        found = look(folder)
        click.echo(f"{folder}: {_size(found)}")
        _table(found, kept_because(found, every))


@snapshots.command()
@click.argument("run", type=PATH)
@KEEP_EVERY
@DRY_RUN
@YES
def prune(run: Path, every: int, dry_run: bool, yes: bool) -> None:
    """Remove the periodic checkpoints of RUN that the policy does not keep.

    The best, the last (what --resume continues from), and files that the trainer did not write or
    that cannot be read are never removed.

    \b
    Example:
      uvtex snapshots prune uv-heavy --keep-every 10
    """
    from uvtex.runs.snapshots import find_run, removable, remove
    from uvtex.runs.snapshots import snapshots as look

    folder = find_run(run)
    going = removable(look(folder), every)
    if _agreed(folder, going, dry_run, yes):
        remove(s.path for s in going)
        click.echo(f"removed {_size(going)}")


@snapshots.command()
@click.argument("run", type=PATH)
@click.option("--out", type=PATH, help="RUN.tar.gz beside the run by default.")
@click.option("--remove", "removing", is_flag=True, help="Then remove what `prune` would.")
@KEEP_EVERY
@DRY_RUN
@YES
def archive(
    run: Path, out: Path | None, removing: bool, every: int, dry_run: bool, yes: bool
) -> None:
    """Put the checkpoints of RUN, its config.yaml and epochs.jsonl into one .tar.gz.

    The archive gets its name when it is complete. Only then is anything removed.

    \b
    Example:
      uvtex snapshots archive uv-heavy --remove
      tar xf runs/uv-heavy.tar.gz
    """
    from uvtex.runs.snapshots import archive as put_away
    from uvtex.runs.snapshots import find_run, removable
    from uvtex.runs.snapshots import snapshots as look

    folder = find_run(run)
    found = look(folder)
    going = removable(found, every) if removing else []
    named = folder if folder.name else folder.resolve()
    target = out or named.with_name(f"{named.name}.tar.gz")
    if dry_run:
        click.echo(f"{target}: would hold {_size(found)}")
    if removing and not _agreed(folder, going, dry_run, yes):
        going = []
    if dry_run:
        return
    done = put_away(folder, target, going)
    click.echo(f"{done.path}: {done.files} files, {done.bytes_in:,} bytes as {done.bytes_out:,}")
    if going:
        click.echo(f"removed {_size(done.removed)}")


@snapshots.command("import")
@click.argument("file", type=PATH)
@click.argument("out", type=PATH)
@click.option("--force", is_flag=True, help="Replace OUT.")
@JSON
def import_(file: Path, out: Path, force: bool, as_json: bool) -> None:
    """Convert the original's checkpoint FILE (.pt) to OUT (.safetensors), preset poc05.

    Nothing in FILE is run: a file that asks for more than weights and settings is refused. The
    metrics that it recorded are carried over as the original's; `uvtex evaluate` measures anew.

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
        click.echo(json.dumps({"checkpoint": str(out), **record, "original": original.metrics}))
        return
    size = "" if "image_size" in original.args else " (not recorded, so the original's default)"
    click.echo(f"{out}: poc05, epoch {original.epoch}, {config.image_size} px{size}")
    if original.metrics:
        click.echo(_recorded(original.metrics))


def _recorded(metrics: dict[str, Any]) -> str:
    figures = (f"{k} {v:.4f}" if isinstance(v, float) else f"{k} {v}" for k, v in metrics.items())
    return (
        f"the original recorded {', '.join(figures)}: by its own definitions and split, not to be "
        "compared with figures of `uvtex evaluate`"
    )


def _agreed(folder: Path, going: Sequence[Snapshot], dry_run: bool, yes: bool) -> bool:
    """Says what would go; whether it may. Ends the command where the answer is no."""
    if not going:
        click.echo(f"{folder}: nothing to remove")
        return False
    click.echo(f"{folder}: would go: {_size(going)}")
    for s in going:
        click.echo(f"  {s.path.name}  {s.bytes:,} bytes")
    if dry_run:
        return False
    if not yes:
        click.confirm("Remove them?", abort=True)
    return True


def _size(found: Sequence[Snapshot]) -> str:
    from rich.filesize import decimal

    total = sum(s.bytes for s in found)
    short = f" ({decimal(total)})" if total >= 1000 else ""
    return f"{len(found)} checkpoint{'s'[: len(found) != 1]}, {total:,} bytes{short}"


def _json(s: Snapshot, kept: dict[Path, str]) -> dict[str, Any]:
    return {
        "file": s.path.name,
        "kind": s.kind,
        "epoch": s.epoch,
        "bytes": s.bytes,
        "kept": kept.get(s.path),
        "metrics": s.metrics,
        "original": s.original and s.original.model_dump(),
        "problem": s.problem,
    }


def _table(found: Sequence[Snapshot], kept: dict[Path, str]) -> None:
    from rich.console import Console
    from rich.table import Table

    columns = [name for name in CHECKPOINTS if any(name in s.metrics for s in found)]
    table = Table("checkpoint", "epoch", *columns, "bytes", "stays as")
    for s in found:
        figures = (f"{s.metrics[c]:.4f}" if c in s.metrics else "-" for c in columns)
        epoch = "-" if s.epoch is None else str(s.epoch)
        table.add_row(s.path.name, epoch, *figures, f"{s.bytes:,}", kept.get(s.path, "may go"))
    Console(width=None if sys.stdout.isatty() else 200).print(table)
    for s in found:
        if s.problem:
            click.echo(s.problem, err=True)
        if s.original and s.original.metrics:
            click.echo(f"{s.path.name}: {_recorded(s.original.metrics)}")
