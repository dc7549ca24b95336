"""``uvtex data``: imports pictures into a data set, draws their masks, and reports on a set."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from uvtex.cli.data_maps import found_facts, maps_
from uvtex.cli.split_options import split_options
from uvtex.config import TrainConfig
from uvtex.console import JSON, PATH, CleanErrorGroup, print_table
from uvtex.errors import DataError
from uvtex.output import echo

if TYPE_CHECKING:
    from uvtex.data.car_facts import CarFacts
    from uvtex.inspection.report import SetReport
    from uvtex.intake.importer import ImportReport
    from uvtex.intake.mask_drawing import Drawn

METHOD = click.Choice(["auto", "backdrop", "colour"])
DEFAULTS = TrainConfig()
MOST_LINES = 20
"""Entries of one kind that the terminal shows. --json has all."""


@click.group(cls=CleanErrorGroup)
def data() -> None:
    """Make and inspect data sets of your own pictures.

    \b
    Example:
      uvtex data import photos.csv data/photos
      uvtex data report data/photos --html report.html
    """


data.add_command(maps_)


@data.command("import")
@click.argument("source", type=PATH)
@click.argument("out", type=PATH)
@click.option(
    "--link", is_flag=True, help="Make hard links instead of copies, where the disk allows it."
)
@click.option(
    "--masks",
    "method",
    type=METHOD,
    default="auto",
    help="How to draw the masks of views that have none; see `uvtex data masks -h`.",
)
@JSON
def import_(source: Path, out: Path, link: bool, method: Any, as_json: bool) -> None:
    """Import the pictures of SOURCE into a new data set OUT.

    SOURCE is a data set of this project, a CSV file, or the folder of an earlier script with its
    metadata.json. The CSV has the columns view, livery and texture, and optionally mask, uv_map and
    camera. Its paths are relative to the CSV. Nothing in SOURCE is changed. OUT appears only when
    it is complete.

    \b
    Example:
      uvtex data import photos.csv data/photos
      uvtex data import old/augmented data/old --link
    """
    from uvtex.intake.importer import import_set
    from uvtex.progress import timed_progress

    with timed_progress() as progress:
        report = import_set(source, out, link, method, progress)
    echo(json.dumps(report.to_dict()) if as_json else "\n".join(_import_lines(report)))


def _import_lines(report: ImportReport) -> Iterator[str]:
    masks = ", ".join(f"{count} {name}" for name, count in report.masks.items())
    yield (
        f"{report.out}: {report.views} views of {report.liveries} liveries; "
        f"{report.copied} files copied, {report.linked} linked; masks: {masks}"
    )
    if report.composed:
        yield (
            f"{report.composed} of the views have no picture file: their plates were imported, and "
            "each view is composed when it is read"
        )
    lists = {
        "stand-in textures for liveries whose own texture is missing": [
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
@click.option(
    "--masks", "method", type=METHOD, default="auto", help="How to draw the masks; see above."
)
@JSON
def masks_(folder: Path, out: Path, method: Any, as_json: bool) -> None:
    """Draw a mask of every view of the data set DATA into OUT, for you to check.

    OUT must not exist. DATA is not changed. OUT/sheet.png is the overview. Where DATA has masks,
    the command prints how well each method agrees with them, as intersection over union (IoU; 1 is
    equal).

    \b
    Methods:
      auto      compares the liveries seen by one camera: paint is what varies.
                Else it takes a picture's transparency, else backdrop.
      backdrop  takes what differs from the picture's left and right edges.
      colour    takes what is saturated or dark.

    \b
    Example:
      uvtex data masks data/photos drawn
    """
    from uvtex.intake.mask_drawing import write_masks
    from uvtex.progress import timed_progress

    with timed_progress() as progress:
        drawn = write_masks(folder, out, method, progress)
    if as_json:
        echo(json.dumps([asdict(mask) for mask in drawn]))
        return
    for line in _mask_lines(drawn):
        echo(line)
    echo(f"look at {out / 'sheet.png'}")


def _mask_lines(drawn: list[Drawn]) -> Iterator[str]:
    for method in sorted({mask.method for mask in drawn}):
        masks = [mask for mask in drawn if mask.method == method]
        known = [mask.iou for mask in masks if mask.iou is not None]
        agreement = f", IoU with the set's own {sum(known) / len(known):.3f}" if known else ""
        share = sum(mask.share for mask in masks) / len(masks)
        yield f"{method}: {len(masks)} views, {share:.0%} of a picture is car{agreement}"


@data.command("report")
@click.argument("folder", metavar="DATA", type=PATH)
@click.option(
    "--html", type=PATH, help="Also write a page with thumbnails to this file; none by default."
)
@click.option(
    "--split-by",
    type=click.Choice(get_args(TrainConfig.model_fields["split_by"].annotation)),
    default=DEFAULTS.split_by,
    help="Unit of the split. sample is the original's: views of one livery are on both sides.",
)
@split_options("liveries (or samples)")
@JSON
def report_(
    folder: Path,
    html: Path | None,
    split_by: str,
    val_split: float,
    test_split: float,
    split_seed: int,
    as_json: bool,
) -> None:
    """Report the contents, faults and leaks of the data set DATA.

    A leak is a livery, or a near-duplicate of a picture, on two sides of the split into training,
    validation and test.

    \b
    Example:
      uvtex data report data/photos --html report.html
    """
    from uvtex.inspection.report import inspect_set
    from uvtex.progress import timed_progress

    # Checked before the work, which takes minutes.
    if html is not None and not html.absolute().parent.is_dir():
        raise DataError(f"{html}: its folder does not exist; make it, or give another --html")
    with timed_progress() as progress:
        report = inspect_set(folder, split_by, val_split, split_seed, progress, test_split)
    if html is not None:
        from uvtex.files import write_atomic
        from uvtex.inspection.page import render

        write_atomic(html, render(report).encode("utf-8", "backslashreplace"))
    if as_json:
        echo(json.dumps(report.to_dict()))
        return
    _print(report)
    if html is not None:
        echo(html)


def _print(report: SetReport) -> None:
    print_table(("", ""), _facts(report), header=False)
    cameras = []
    for camera in report.cameras[:MOST_LINES]:
        seen = "-" if camera.coverage is None else f"{camera.coverage:.1%}"
        counts = (str(n) for n in (camera.views, camera.masks, camera.uv_maps))
        cameras.append([camera.name, *counts, seen])
    print_table(("camera", "views", "masks", "UV maps", "sees of the atlas"), cameras)
    _note_cut_list(len(report.cameras))
    for problem in report.problems[:MOST_LINES]:
        echo(f"{problem.kind}: {problem.file}: {problem.what}")
    _note_cut_list(len(report.problems))


def _note_cut_list(count: int) -> None:
    if count > MOST_LINES:
        echo(f"and {count - MOST_LINES} more: --json has all")


def _facts(report: SetReport) -> Iterator[tuple[str, str]]:
    leak = report.leakage
    views = report.views
    sizes = ", ".join(f"{size} ({count})" for size, count in list(report.sizes.items())[:4])
    yield "liveries", str(len(report.liveries))
    composed = f"; {report.composed} composed from plates" if report.composed else ""
    yield "views", f"{views}; {sizes}{composed}"
    unnamed = f"; {report.unnamed} views of no known camera" if report.unnamed else ""
    yield "cameras", f"{len(report.cameras)}{unnamed}"
    yield "masks", f"{report.masks} of {views} views"
    yield "UV maps", f"{report.uv_maps} of {views} views"
    yield from found_facts(report.found)
    if report.plates:
        yield "plates", f"{report.plates} of {views} views"
    unseen = "not known without UV maps" if report.unseen is None else f"{report.unseen:.1%}"
    yield "seen by no camera", unseen
    if report.car is not None:
        yield "atlas in use", _in_use(report.car)
    shares = f"{leak.fraction:g} for validation"
    if leak.test_fraction:
        shares += f", {leak.test_fraction:g} for the test"
    yield "split", f"by {leak.by}, {shares}, seed {leak.seed}"
    if leak.error:
        yield "", leak.error
        return
    yield "train", f"{leak.train} views of {leak.train_liveries} liveries"
    yield "validation", f"{leak.val} views of {leak.val_liveries} liveries"
    if leak.test:
        yield "test", f"{leak.test} views of {leak.test_liveries} liveries"
    yield (
        "leakage",
        f"{leak.leaked_views} of {leak.val} validation views ({leak.share:.0%}): "
        f"{len(leak.shared_liveries)} liveries on both sides, "
        f"{leak.matches} near-duplicates across",
    )
    if leak.test:
        yield (
            "of the test",
            f"{leak.leaked_test_views} of {leak.test} test views ({leak.test_share:.0%}): "
            f"{len(leak.shared_test_liveries)} liveries on another side too, "
            f"{leak.matches_of_test} near-duplicates there",
        )
    for match in [*leak.texture_matches, *leak.view_matches][:5]:
        yield "near-duplicate", f"{match.val} ~ {match.train} ({match.colours:.1f} of 255 apart)"
    for found in leak.test_matches[:5]:
        files = f"{found.test} (test) ~ {found.other} ({found.side})"
        yield "near-duplicate", f"{files} ({found.colours:.1f} of 255 apart)"


def _in_use(car: CarFacts) -> str:
    unseen = car.unseen_percent_of_covered
    return (
        f"{car.covered_percent_of_atlas:.1f}%; of that {car.shared_percent_of_covered:.1f}% used "
        f"by two places of the car{f' ({car.shared_texels})' if car.shared_texels else ''}"
        + ("" if unseen is None else f", {unseen:.1f}% seen by no camera")
    )
