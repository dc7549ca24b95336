"""``uvtex data``: bring pictures in, draw their masks, and look at what there is."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from uvtex.config import TrainConfig
from uvtex.console import CONTEXT
from uvtex.errors import DataError

if TYPE_CHECKING:
    from uvtex.data.car_facts import CarFacts
    from uvtex.inspection.report import SetReport
    from uvtex.intake.importer import ImportReport
    from uvtex.intake.mask_drawing import Drawn

PATH = click.Path(path_type=Path)
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
METHOD = click.Choice(["auto", "backdrop", "colour"])
DEFAULTS = TrainConfig()
MOST_LINES = 20
"""Of one kind, on the terminal; --json has all."""


@click.group(context_settings=CONTEXT)
def data() -> None:
    """Data sets of pictures people have.

    \b
    Example:
      uvtex data import photos.csv data/photos
      uvtex data report data/photos --html report.html
    """


@data.command("import")
@click.argument("source", type=PATH)
@click.argument("out", type=PATH)
@click.option("--link", is_flag=True, help="Hard links instead of copies, where possible.")
@click.option("--masks", "method", type=METHOD, default="auto", help="For views without one.")
@JSON
def import_(source: Path, out: Path, link: bool, method: Any, as_json: bool) -> None:
    """Bring the pictures of SOURCE into a new data set OUT.

    SOURCE is a data set of this project, a CSV with the columns view, livery and texture (mask,
    uv_map and camera if known; paths count from the CSV), or the folder of an earlier script with
    its metadata.json. Nothing in it is changed. OUT appears when it is whole.

    \b
    Example:
      uvtex data import photos.csv data/photos
      uvtex data import old/augmented data/old --link
    """
    from uvtex.intake.importer import import_set
    from uvtex.progress import counted

    with counted("pictures") as progress:
        report = import_set(source, out, link, method, progress)
    click.echo(json.dumps(report.to_dict()) if as_json else "\n".join(_imported(report)))


def _imported(report: ImportReport) -> Iterator[str]:
    drawn = ", ".join(f"{count} {name}" for name, count in report.masks.items())
    yield (
        f"{report.out}: {report.views} views of {report.liveries} liveries; "
        f"{report.copied} files copied, {report.linked} linked; masks: {drawn}"
    )
    if report.composed:
        yield (
            f"{report.composed} of the views had no file: their plates came along, and they are "
            "composed when they are read"
        )
    lists = {
        "stand-in textures, for liveries whose own is missing": [
            f"{s.livery}: {s.texture.name} ({', '.join(s.transforms) or 'not transformed'}) "
            f"for {s.missing}"
            for s in report.stand_ins
        ],
        "notes": report.notes,
        "not used": [f"{item.where}: {item.reason}" for item in report.unusable],
    }
    for heading, lines in lists.items():
        if lines:
            yield f"{heading} ({len(lines)}):"
            yield from (f"  {line}" for line in lines[:MOST_LINES])
            if len(lines) > MOST_LINES:
                yield f"  and {len(lines) - MOST_LINES} more: {report.out}/import.json has all"


@data.command("masks")
@click.argument("folder", metavar="DATA", type=PATH)
@click.argument("out", type=PATH)
@click.option("--masks", "method", type=METHOD, default="auto", help="How they are drawn.")
@JSON
def masks_(folder: Path, out: Path, method: Any, as_json: bool) -> None:
    """Draw a mask of every view in DATA into OUT, to be looked at.

    auto compares the liveries that one camera took and so finds the paint; where that cannot be, it
    takes a cut-out picture's transparency, or else backdrop: what differs from the picture's left
    and right edge. colour takes what is
    saturated or dark. OUT/sheet.png is the overview; DATA stays as it is. Where DATA has masks,
    each method's agreement with them is printed (IoU: 1 is the same).

    \b
    Example:
      uvtex data masks data/photos looks
    """
    from uvtex.intake.mask_drawing import write_masks
    from uvtex.progress import counted

    with counted("masks") as progress:
        drawn = write_masks(folder, out, method, progress)
    if as_json:
        click.echo(json.dumps([asdict(one) for one in drawn]))
        return
    for line in _drawn(drawn):
        click.echo(line)
    click.echo(f"look at {out / 'sheet.png'}")


def _drawn(drawn: list[Drawn]) -> Iterator[str]:
    for name in sorted({one.method for one in drawn}):
        own = [one for one in drawn if one.method == name]
        known = [one.iou for one in own if one.iou is not None]
        against = f", IoU with the set's own {sum(known) / len(known):.3f}" if known else ""
        share = sum(one.share for one in own) / len(own)
        yield f"{name}: {len(own)} views, {share:.0%} of a picture is car{against}"


@data.command("report")
@click.argument("folder", metavar="DATA", type=PATH)
@click.option("--html", type=PATH, help="Write a page with thumbnails to this file.")
@click.option(
    "--split-by",
    type=click.Choice(["livery", "sample"]),
    default=DEFAULTS.split_by,
    help="As in training; sample is the original's, and leaks.",
)
@click.option(
    "--val-split",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=DEFAULTS.val_split,
    help="Part that validates.",
)
@click.option(
    "--split-seed",
    type=click.IntRange(min=0),
    default=DEFAULTS.split_seed,
    help="Seed of the split.",
)
@JSON
def report_(
    folder: Path, html: Path | None, split_by: str, val_split: float, split_seed: int, as_json: bool
) -> None:
    """What DATA holds, what is broken or odd in it, and what its split gives away.

    \b
    Example:
      uvtex data report data/photos --html report.html
    """
    from uvtex.inspection.report import inspect_set
    from uvtex.progress import counted

    if html is not None and not html.absolute().parent.is_dir():  # said before, not after the work
        raise DataError(f"{html}: its folder is not there; make it, or give another")
    with counted("pictures") as progress:
        report = inspect_set(folder, split_by, val_split, split_seed, progress)
    if html is not None:
        from uvtex.files import write_atomic
        from uvtex.inspection.page import render

        write_atomic(html, render(report).encode())
    if as_json:
        click.echo(json.dumps(report.to_dict()))
        return
    _print(report)
    if html is not None:
        click.echo(html)


def _print(report: SetReport) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 160, highlight=False)
    facts = Table(show_header=False, box=None)
    for name, value in _facts(report):
        facts.add_row(name, value, style=None)
    console.print(facts)
    if report.cameras:
        table = Table("camera", "views", "masks", "UV maps", "sees of the atlas")
        for camera in report.cameras[:MOST_LINES]:
            sees = "-" if camera.coverage is None else f"{camera.coverage:.1%}"
            counts = (str(n) for n in (camera.views, camera.masks, camera.uv_maps))
            table.add_row(camera.name, *counts, sees)
        console.print(table)
        _say_more(len(report.cameras))
    for problem in report.problems[:MOST_LINES]:
        click.echo(f"{problem.kind}: {problem.file}: {problem.what}")
    _say_more(len(report.problems))


def _say_more(count: int) -> None:
    if count > MOST_LINES:
        click.echo(f"and {count - MOST_LINES} more: --json has all")


def _facts(report: SetReport) -> Iterator[tuple[str, str]]:
    leak = report.leakage
    views = report.views
    sizes = ", ".join(f"{size} ({count})" for size, count in list(report.sizes.items())[:4])
    yield "liveries", str(len(report.liveries))
    composed = f"; {report.composed} composed from plates" if report.composed else ""
    yield "views", f"{views}; {sizes}{composed}"
    named = f"; {report.unnamed} views of no known camera" if report.unnamed else ""
    yield "cameras", f"{len(report.cameras)}{named}"
    yield "masks", f"{report.masks} of {views} views"
    yield "UV maps", f"{report.uv_maps} of {views} views"
    if report.plates:
        yield "plates", f"{report.plates} of {views} views"
    unseen = "not known without UV maps" if report.unseen is None else f"{report.unseen:.1%}"
    yield "seen by no camera", unseen
    if report.car is not None:
        yield "atlas in use", _in_use(report.car)
    yield "split", f"by {leak.by}, {leak.fraction:g} validates, seed {leak.seed}"
    if leak.error:
        yield "", leak.error
        return
    yield "train", f"{leak.train} views of {leak.train_liveries} liveries"
    yield "validation", f"{leak.val} views of {leak.val_liveries} liveries"
    yield (
        "leakage",
        f"{leak.leaked_views} of {leak.val} validation views ({leak.share:.0%}): "
        f"{len(leak.shared_liveries)} liveries on both sides, "
        f"{leak.matches} near-duplicates across",
    )
    for match in [*leak.texture_matches, *leak.view_matches][:5]:
        yield "near-duplicate", f"{match.val} ~ {match.train} ({match.colours:.1f} of 255 apart)"


def _in_use(car: CarFacts) -> str:
    unseen = car.unseen_percent_of_covered
    return (
        f"{car.covered_percent_of_atlas:.1f}%; of that {car.shared_percent_of_covered:.1f}% shared "
        f"by two places of the car{f' ({car.shared_texels})' if car.shared_texels else ''}"
        + ("" if unseen is None else f", {unseen:.1f}% seen by no camera")
    )
