"""The data report as one HTML file. Its pictures are inside the file.

Chosen here: figures, their order, and how many entries of a list are shown. ``dataset.html`` holds
the HTML.
"""

from __future__ import annotations

from pathlib import Path

from uvtex import pages
from uvtex.data.car_facts import CarFacts
from uvtex.data.found_maps import shares_by_stiffness
from uvtex.inspection.leakage import Leakage
from uvtex.inspection.report import Livery, SetReport
from uvtex.inspection.scan import COVERAGE_SIZE
from uvtex.inspection.thumbnails import Thumbnails, heat_uri
from uvtex.pages import count, percent

MOST_LIVERIES, MOST_VIEWS, MOST_CAMERAS, MOST_ROWS, MOST_PAIRS, MOST_NAMES = 120, 4, 60, 200, 12, 40
"""At most this many entries of each list are shown; the page gives the number of the others."""

SIDES = {"train": "trains", "val": "validates", "test": "tests", "both": "several sides"}


def render(report: SetReport) -> str:
    """The page of a report. Thumbnails are made of the files in the report's folder."""
    folder = Path(report.folder)
    faults = _faults(report)
    seen_by = report.seen_by
    most_seen = 1 if seen_by is None else max(int(seen_by.max()), 1)
    return pages.render(
        "uvtex.inspection",
        "dataset.html",
        title=folder.resolve().name,
        verdict=" ".join(faults)
        or "Ready to train on: every file can be read, and the split does not leak.",
        tone="bad" if faults else "good",
        report=report,
        thumbnails=Thumbnails(folder, report.records),
        facts=_facts(report),
        split_parts=_split_parts(report.leakage),
        coverage=_coverage(report),
        atlas=None if seen_by is None else heat_uri(seen_by / most_seen),
        most_cameras_see=most_seen,
        cameras=report.cameras[:MOST_CAMERAS],
        masks={record.view: record.mask for record in report.records},
        uv_maps={record.view: record.uv_map for record in report.records if record.uv_map},
        found={} if report.found is None else {c.camera: c for c in report.found.cameras},
        found_notes=_found_notes(report),
        liveries=_liveries(report),
        sides=SIDES,
        most_rows=MOST_ROWS,
        most_pairs=MOST_PAIRS,
        most_names=MOST_NAMES,
    )


def _faults(report: SetReport) -> list[str]:
    """Sentences on what is wrong with the set; [] if it can be trained on as it is."""
    broken = sum(problem.kind == "broken" for problem in report.problems)
    faults = []
    if report.leakage.error:
        faults.append(f"It cannot be split: {report.leakage.error}.")
    elif report.leakage.leaked_views:
        faults.append(
            f"{percent(report.leakage.share)} of the validation views leak: the training side has "
            "their livery or a near-duplicate. Validation figures will be too good."
        )
    if report.leakage.leaked_test_views:
        faults.append(
            f"{percent(report.leakage.test_share)} of the test views leak: training or validation "
            "has their livery or a near-duplicate. Test figures will be too good."
        )
    if broken:
        faults.append(f"{count(broken, 'file or record', 'files or records')} cannot be used.")
    if report.masks < report.views:
        bare = count(report.views - report.masks, "view has", "views have")
        faults.append(f"{bare} no mask; `uvtex data import` draws masks.")
    return faults


def _facts(report: SetReport) -> list[tuple[str, str]]:
    """The cards: a figure, and what it counts."""
    odd = sum(problem.kind == "odd" for problem in report.problems)
    sizes = list(report.sizes)
    size = f"{', '.join(sizes[:2])}{' ...' if sizes[2:] else ''} px"
    facts = [
        (f"{len(report.liveries):,}", "liveries"),
        (f"{report.views:,}", f"views, {size}" if sizes else "views"),
        (f"{len(report.cameras):,}" if report.cameras else "-", _known_cameras(report)),
        (f"{report.masks:,}", f"of {report.views:,} views have a mask"),
        (f"{report.uv_maps:,}", f"of {report.views:,} views have a UV map"),
    ]
    if report.composed:
        facts.append((f"{report.composed:,}", "views composed from plates"))
    unseen = "-" if report.unseen is None else percent(report.unseen)
    facts.append((unseen, "of the atlas seen by no camera"))
    if report.car is not None:
        shared = report.car.shared_percent_of_covered / 100
        facts.append((percent(shared), "of the atlas in use shared by two places"))
    facts.append((f"{len(report.problems) - odd:,} / {odd:,}", "broken / odd findings"))
    return facts


def _known_cameras(report: SetReport) -> str:
    if not report.cameras:
        return "cameras are not known"
    if report.unnamed:
        return f"cameras; {count(report.unnamed, 'view names', 'views name')} none"
    return "cameras"


def _split_parts(leak: Leakage) -> list[tuple[str, int, str]]:
    """The parts of the bar: class, number of views, legend."""
    train = count(leak.train_liveries, "livery", "liveries")
    val = count(leak.val_liveries, "livery", "liveries")
    parts = [
        ("train", leak.train, f"{leak.train:,} train, {train}"),
        ("val", leak.val - leak.leaked_views, f"{leak.val:,} validate, {val}"),
        ("leak", leak.leaked_views, f"{leak.leaked_views:,} of these leak"),
    ]
    if leak.test:
        test = count(leak.test_liveries, "livery", "liveries")
        leaked = leak.leaked_test_views
        parts += [
            ("test", leak.test - leaked, f"{leak.test:,} test, {test}"),
            ("leak", leaked, f"{leaked:,} of these leak"),
        ]
    return parts


def _coverage(report: SetReport) -> str:
    if report.unseen is None:
        return "The share of texels that a camera sees."
    return (
        f"No camera sees {percent(report.unseen)} of the atlas, counted on {COVERAGE_SIZE} x "
        f"{COVERAGE_SIZE} texels. Texels that the car does not use count as unseen."
        + ("" if report.car is None else f" {_car_figures(report.car)}")
    )


def _found_notes(report: SetReport) -> list[str]:
    """What is to be told of UV maps that were found from pictures."""
    found = report.found
    if found is None:
        return []
    more = [camera.more for camera in found.cameras]
    told = [f"The UV maps were found from {count(len(found.used), 'livery', 'liveries')}."]
    if any(more):
        told.append(
            f"It would take about {max(more)} liveries more until most of the paint is known from "
            "every camera."
        )
    if len(found.stiffness) > 1:
        shares = shares_by_stiffness([camera.known_by for camera in found.cameras])
        told.append(
            f"There is a map for each stiffness. Of the paint is known {shares}. The page shows "
            f"that of {found.stiffness[0]:g}, which is used unless map_stiffness is set."
        )
    if found.left_out:
        told.append(f"{count(found.left_out, 'view')} of cameras without a map were left out.")
    told += found.notes
    return told + [f"{c.camera}: {note}." for c in found.cameras for note in c.notes]


def _car_figures(car: CarFacts) -> str:
    """The figures of ``car.json``, which are counted on the mesh's full atlas."""
    uses = f"Counted finely, the car uses {percent(car.covered_percent_of_atlas / 100)} of it"
    if car.unseen_percent_of_covered is not None:
        uses += f", and no camera sees {percent(car.unseen_percent_of_covered / 100)} of that part"
    shared = f"{percent(car.shared_percent_of_covered / 100)} of that part shows in two places"
    where = f" ({car.shared_texels} marks it)" if car.shared_texels else ""
    return f"{uses}. {shared}{where}."


def _liveries(report: SetReport) -> list[tuple[Livery, list[str]]]:
    """The liveries to show, each with the views to show of it."""
    views: dict[str, list[str]] = {}
    for record in report.records:
        views.setdefault(record.livery, []).append(record.view)
    # The sides that are measured come first: they are small, and figures are about them.
    order = sorted(report.liveries, key=lambda livery: (livery.side == "train", livery.name))
    return [(livery, _spread(views[livery.name])) for livery in order[:MOST_LIVERIES]]


def _spread(views: list[str]) -> list[str]:
    """At most :data:`MOST_VIEWS` of them, at equal distances."""
    return views[:: max(1, len(views) // MOST_VIEWS)][:MOST_VIEWS]
