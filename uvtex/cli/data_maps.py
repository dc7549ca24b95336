"""``uvtex data maps``: finds the UV maps of photos from still cameras."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING

import click

from uvtex.cli.split_options import split_options
from uvtex.console import JSON, PATH, CleanErrorCommand, print_table
from uvtex.data.found_maps import STIFFNESS, shares_by_stiffness
from uvtex.output import echo

if TYPE_CHECKING:
    from collections.abc import Iterator

    from uvtex.data.found_maps import FoundMaps
    from uvtex.intake.map_finding.report import MapsReport

MOST_LINES = 40
"""Cameras that the terminal shows. --json has all."""
SOFTEST, STIFFEST = 0.01, 100.0
"""Bounds of the stiffness."""


def _stiffness(context: click.Context, option: click.Parameter, text: str) -> tuple[float, ...]:
    """The numbers in ``text``, all different as they are shown."""
    parts = [part.strip() for part in text.split(",")]
    found = []
    for part in parts:
        try:
            value = float(f"{float(part):g}")
        except ValueError:
            value = math.nan
        if not SOFTEST <= value <= STIFFEST:
            raise click.BadParameter(
                f"{part or 'nothing'!r}: give numbers from {SOFTEST:g} to {STIFFEST:g} with "
                "commas, as in 1,0.5,2"
            )
        found.append(value)
    if len(set(found)) < len(found):
        raise click.BadParameter(f"{text}: contains a number twice")
    return tuple(found)


@click.command("maps", cls=CleanErrorCommand)
@click.argument("folder", metavar="DATA", type=PATH)
@click.argument("out", type=PATH)
@click.option(
    "--size",
    type=click.IntRange(16, 1024),
    default=256,
    help="Longer side of the maps, in pixels, at most. Larger views are reduced. Twice the side "
    "takes four to five times as long.",
)
@click.option(
    "--stiffness",
    metavar="X,X,...",
    callback=_stiffness,
    default=f"{STIFFNESS:g}",
    help="How nearly maps are planes between their jumps. Several values: a map for each of them, "
    "the first of which training uses unless its map_stiffness names another.",
)
@split_options("liveries")
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Use all liveries. Figures of this set are then not of unseen liveries.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    help="Random seed of the choice among more than 64 liveries (32 for --size above 512).",
)
@JSON
def maps_(
    folder: Path,
    out: Path,
    size: int,
    stiffness: tuple[float, ...],
    val_split: float,
    test_split: float,
    split_seed: int,
    everything: bool,
    seed: int,
    as_json: bool,
) -> None:
    """Find the UV maps of the cameras of DATA, and write DATA with them into the new folder OUT.

    The cameras must stand still: the pictures of one camera differ in the livery alone. Small
    shifts, turns, and changes of scale or exposure are found and taken out. No mesh is needed. Each
    pixel is compared with the texels over all training liveries. Validation and test liveries are
    not used, so train with the same --val-split, --test-split and --split-seed.

    A map says where it does not know. Views of cameras of which nothing is known are left out.
    Eight liveries are enough for most pixels, sixteen for nearly all. OUT/maps.json has all
    figures.

    \b
    Example:
      uvtex data import photos.csv data/photos
      uvtex data maps data/photos data/mapped
      uvtex train data/mapped --preset atlas
    """
    from uvtex.intake.map_finding.find import SplitChoice, find_maps
    from uvtex.progress import timed_progress

    split = None if everything else SplitChoice(val_split, test_split, split_seed)
    with timed_progress() as progress:
        report = find_maps(folder, out, size, seed, split, progress, stiffness)
    if as_json:
        echo(json.dumps(report.to_dict()))
        return
    _print(report)


def _print(report: MapsReport) -> None:
    rows = [
        [
            camera.camera,
            str(camera.liveries),
            str(camera.views),
            f"{camera.painted:.1%}",
            f"{camera.known:.0%}",
            f"{camera.sure:.0%}",
            str(camera.more) if camera.more else "-",
        ]
        for camera in report.cameras[:MOST_LINES]
    ]
    heads = ("camera", "liveries used", "views", "painted", "of it known", "sure", "more liveries")
    print_table(heads, rows)
    if len(report.cameras) > MOST_LINES:
        echo(f"and {len(report.cameras) - MOST_LINES} more: --json has all")
    for line in report.lines():
        echo(line)


def found_facts(found: FoundMaps | None) -> Iterator[tuple[str, str]]:
    """The lines of `uvtex data report` on maps that were found: what is known, what is missing."""
    if found is None or not found.cameras:
        return
    known = [camera.known for camera in found.cameras]
    yield (
        "UV maps found",
        f"from {len(found.used)} liveries; {min(known):.0%} to {max(known):.0%} of a camera's "
        "paint is known",
    )
    if len(found.stiffness) > 1:
        shares = shares_by_stiffness([camera.known_by for camera in found.cameras])
        yield "known by stiffness", f"{shares}; the first is used unless map_stiffness is set"
    more = max(camera.more for camera in found.cameras)
    if more:
        yield "liveries missing", f"about {more} more until most of the paint is known everywhere"
