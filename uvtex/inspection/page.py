"""The data report as one HTML file that needs nothing beside it: pictures are inside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path

from uvtex.data.car_facts import CarFacts
from uvtex.inspection.leakage import Leakage, Match
from uvtex.inspection.report import Camera, Livery, SetReport
from uvtex.inspection.scan import COVERAGE_SIZE, Problem
from uvtex.inspection.thumbnails import Thumbs, heat

MOST_LIVERIES, MOST_VIEWS, MOST_CAMERAS, MOST_ROWS = 120, 4, 60, 200
"""Shown; the page says how many there are."""


def render(report: SetReport) -> str:
    """The page of a report; thumbnails are read from the report's folder."""
    thumbs = Thumbs(Path(report.folder), report.records)
    name = Path(report.folder).resolve().name
    body = "".join(
        [
            f'<p class="kicker">Data report</p><h1>{escape(name)}</h1>',
            _verdict(report),
            _cards(report),
            _section("Split", _split(report.leakage, thumbs), _split_lead(report.leakage)),
            _problems(report.problems),
            _coverage(report),
            _cameras(report, thumbs),
            _liveries(report, thumbs),
        ]
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(name)}: data report</title><style>{STYLE}</style></head>"
        f"<body><main>{body}</main></body></html>\n"
    )


def _section(heading: str, body: str, lead: str) -> str:
    return f'<section><h2>{escape(heading)}</h2><p class="lead">{lead}</p>{body}</section>'


def _percent(share: float) -> str:
    return f"{share:.1%}" if 0 < share < 0.1 else f"{share:.0%}"


def _count(number: int, one: str, many: str | None = None) -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def _verdict(report: SetReport) -> str:
    broken = sum(problem.kind == "broken" for problem in report.problems)
    faults = []
    if report.leakage.error:
        faults.append(f"It cannot be split: {report.leakage.error}.")
    elif report.leakage.leaked_views:
        faults.append(
            f"{_percent(report.leakage.share)} of the validation views are given away by the "
            "training side, so figures on them flatter."
        )
    if broken:
        faults.append(f"{_count(broken, 'file or record', 'files or records')} cannot be used.")
    if report.masks < report.views:
        bare = _count(report.views - report.masks, "view has", "views have")
        faults.append(f"{bare} no mask; importing the set draws them.")
    said = " ".join(faults) or "Ready to train on: every file reads, and the split does not leak."
    return f'<p class="verdict{" bad" if faults else ""}">{escape(said)}</p>'


def _cards(report: SetReport) -> str:
    odd = sum(problem.kind == "odd" for problem in report.problems)
    sizes = list(report.sizes)
    size = f"{', '.join(sizes[:2])}{' ...' if sizes[2:] else ''} px"
    facts = [
        (f"{len(report.liveries):,}", "liveries"),
        (f"{report.views:,}", f"views, {size}" if sizes else "views"),
        (f"{len(report.cameras):,}" if report.cameras else "-", _known(report)),
        (f"{report.masks:,}", f"of {report.views:,} views have a mask"),
        (f"{report.uv_maps:,}", f"of {report.views:,} views have a UV map"),
        *([(f"{report.composed:,}", "views composed from plates")] if report.composed else []),
        ("-" if report.unseen is None else _percent(report.unseen), "of the atlas seen by none"),
        *_shared(report.car),
        (f"{len(report.problems) - odd:,} / {odd:,}", "broken / odd findings"),
    ]
    cards = (
        f'<div class="card"><b>{value}</b><span>{escape(n)}</span></div>' for value, n in facts
    )
    across = len(facts) if len(facts) < 8 else -(-len(facts) // 2)
    return f'<div class="cards" style="--across:{across}">{"".join(cards)}</div>'


def _shared(car: CarFacts | None) -> list[tuple[str, str]]:
    share = None if car is None else car.shared_percent_of_covered / 100
    return [] if share is None else [(_percent(share), "of the atlas in use shared by two places")]


def _known(report: SetReport) -> str:
    if not report.cameras:
        return "cameras are not known"
    return f"cameras; {report.unnamed:,} views of none" if report.unnamed else "cameras"


def _split_lead(leak: Leakage) -> str:
    return (
        f"By {escape(leak.by)}, {_percent(leak.fraction)} validates, seed {leak.seed}. A view "
        "leaks when its livery is trained on, or when its picture or texture has a near-duplicate "
        "on the training side."
    )


def _split(leak: Leakage, thumbs: Thumbs) -> str:
    if leak.error:
        return f"<p>{escape(leak.error)}</p>"
    total = leak.train + leak.val
    parts = [
        (
            "train",
            leak.train,
            f"{leak.train:,} train, {_count(leak.train_liveries, 'livery', 'liveries')}",
        ),
        (
            "val",
            leak.val - leak.leaked_views,
            f"{leak.val:,} validate, {_count(leak.val_liveries, 'livery', 'liveries')}",
        ),
        ("leak", leak.leaked_views, f"{leak.leaked_views:,} of these leak"),
    ]
    bar = "".join(f'<i class="{c}" style="width:{100 * n / total:.2f}%"></i>' for c, n, _ in parts)
    legend = "".join(
        f'<span><i class="bar {c}" style="background:var(--{"bad" if c == "leak" else c})"></i>'
        f"{escape(text)}</span>"
        for c, _, text in parts
    )
    shared = ""
    if leak.shared_liveries:
        names = ", ".join(escape(name) for name in leak.shared_liveries[:40])
        more = (
            f" and {len(leak.shared_liveries) - 40} more" if len(leak.shared_liveries) > 40 else ""
        )
        shared = f"<h3>Liveries on both sides: {len(leak.shared_liveries)}</h3><p>{names}{more}</p>"
    return (
        f'<div class="bar">{bar}</div><div class="legend">{legend}</div>{shared}'
        + _pairs("Textures that are nearly the same across the split", leak.texture_matches, thumbs)
        + _pairs("Views that are nearly the same across the split", leak.view_matches, thumbs)
    )


def _pairs(heading: str, matches: Sequence[Match], thumbs: Thumbs) -> str:
    if not matches:
        return ""
    tiles = "".join(
        f'<div class="tile"><div class="pair">{thumbs(m.val)}{thumbs(m.train)}</div><footer>'
        f'<span class="file">{escape(m.val)}</span> validates, '
        f'<span class="file">{escape(m.train)}</span> trains; colours {m.colours:.1f} of 255 '
        f"apart, {'one livery' if m.same_livery else 'two liveries'}</footer></div>"
        for m in matches[:12]
    )
    shown = f", the closest {min(12, len(matches))}" if len(matches) > 12 else ""
    return f'<h3>{escape(heading)}: {len(matches)}{shown}</h3><div class="grid">{tiles}</div>'


def _problems(problems: Sequence[Problem]) -> str:
    if not problems:
        return ""
    rows = "".join(
        f'<tr><td><span class="pill {p.kind}">{p.kind}</span></td>'
        f'<td class="file">{escape(p.file)}</td><td class="what">{escape(p.what)}</td></tr>'
        for p in problems[:MOST_ROWS]
    )
    more = (
        f"<p>and {len(problems) - MOST_ROWS:,} more; --json lists all</p>"
        if len(problems) > MOST_ROWS
        else ""
    )
    table = f'<div class="scroll"><table><tr><th></th><th>file</th><th>what</th></tr>{rows}</table>'
    return _section(
        "Broken and odd",
        f"{table}</div>{more}",
        "Broken files stop a run. Odd ones are read, 8-bit RGB and upright, and worth a look.",
    )


def _coverage(report: SetReport) -> str:
    if report.seen_by is None or report.unseen is None:
        return _section(
            "Coverage of the atlas",
            "",
            "Not known: it needs UV maps, which showroom sets have and photographs do not.",
        )
    most = max(int(report.seen_by.max()), 1)
    picture = heat(report.seen_by / most)
    rows = "".join(
        f'<tr><td>{escape(c.name)}</td><td class="n">{_percent(c.coverage)}</td>'
        f'<td><div class="meter"><i style="width:{100 * c.coverage:.1f}%"></i></div></td></tr>'
        for c in report.cameras[:MOST_CAMERAS]
        if c.coverage is not None
    )
    table = (
        f'<div class="scroll"><table><tr><th>camera</th><th class="n">sees</th><th></th></tr>{rows}'
    )
    return _section(
        "Coverage of the atlas",
        f'<div class="atlas"><div>{picture}<p class="legend">Dark: seen by no camera. Yellow: by '
        f"{most}.</p></div><div>{table}</table></div></div></div>",
        f"{_percent(report.unseen)} of the atlas is seen by no camera, counted on "
        f"{COVERAGE_SIZE} x {COVERAGE_SIZE} texels. What no part of the car uses counts as unseen."
        + _in_use(report.car),
    )


def _in_use(car: CarFacts | None) -> str:
    if car is None:
        return ""
    unseen = car.unseen_percent_of_covered
    return (
        f" Counted finely, the car uses {_percent(car.covered_percent_of_atlas / 100)} of it"
        + ("" if unseen is None else f", of which no camera sees {_percent(unseen / 100)}")
        + f"; {_percent(car.shared_percent_of_covered / 100)} of what it uses shows in two places"
        + (f" ({escape(car.shared_texels)} marks it)." if car.shared_texels else ".")
    )


def _cameras(report: SetReport, thumbs: Thumbs) -> str:
    if not report.cameras:
        return ""
    mask_of = {record.view: record.mask for record in report.records}
    tiles = "".join(_camera(c, mask_of, thumbs) for c in report.cameras[:MOST_CAMERAS])
    hidden = len(report.cameras) - MOST_CAMERAS
    more = f"<p>and {hidden:,} more</p>" if hidden > 0 else ""
    return _section(
        "Cameras",
        f'<div class="shots">{tiles}</div>{more}',
        "One view of each with its mask's outline; what the mask leaves out is dimmed.",
    )


def _camera(camera: Camera, mask_of: dict[str, str | None], thumbs: Thumbs) -> str:
    sees = "" if camera.coverage is None else f", sees {_percent(camera.coverage)} of the atlas"
    bare = camera.views - camera.masks
    without = f", {bare} without a mask" if bare else ""
    return (
        f"<div>{thumbs(camera.example, mask_of[camera.example])}<b>{escape(camera.name)}</b>"
        f"<small>{_count(camera.views, 'view')}{sees}{without}</small></div>"
    )


def _liveries(report: SetReport, thumbs: Thumbs) -> str:
    views: dict[str, list[str]] = {}
    for record in report.records:
        views.setdefault(record.livery, []).append(record.view)
    # The validating side first: it is small, and its liveries are what figures are about.
    order = sorted(report.liveries, key=lambda livery: (livery.side == "train", livery.name))
    tiles = "".join(_tiles(order[:MOST_LIVERIES], views, thumbs))
    hidden = len(order) - MOST_LIVERIES
    more = f"<p>and {hidden:,} more</p>" if hidden > 0 else ""
    return _section(
        "Liveries",
        f'<div class="grid">{tiles}</div>{more}',
        "The texture, and some of its views. Those that validate come first.",
    )


def _tiles(
    liveries: Sequence[Livery], views: dict[str, list[str]], thumbs: Thumbs
) -> Iterator[str]:
    for livery in liveries:
        own = views[livery.name]
        shown = own[:: max(1, len(own) // MOST_VIEWS)][:MOST_VIEWS]
        names = {"train": "trains", "val": "validates", "both": "both sides"}
        pill = (
            f'<span class="pill {livery.side}">{names[livery.side]}</span>' if livery.side else ""
        )
        yield (
            f'<div class="tile"><header><b>{escape(livery.name)}</b>{pill}</header>'
            f'<div class="row">{thumbs(livery.texture)}{"".join(map(thumbs, shown))}</div>'
            f"<footer>{_count(livery.views, 'view')}</footer></div>"
        )


STYLE = """
:root { --ink: #1f2933; --quiet: #616e7c; --line: #e4e7eb; --ground: #f5f6f8; --card: #fff;
  --train: #0072b2; --val: #b35c00; --bad: #b3261e; --good: #00704f; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 15px/1.5 Inter, 'Segoe UI', system-ui, -apple-system, 'Helvetica Neue', Arial, sans-serif; }
main { max-width: 1160px; margin: 0 auto; padding: 44px 24px 80px; }
h1 { font-size: 32px; letter-spacing: -.02em; line-height: 1.15; margin: 0 0 8px;
  overflow-wrap: anywhere; }
.verdict { font-size: 18px; margin: 0 0 24px; max-width: 52em; padding-left: 14px;
  border-left: 4px solid var(--good); }
.verdict.bad { border-color: var(--bad); }
.kicker { color: var(--quiet); font-size: 12px; letter-spacing: .09em; text-transform: uppercase;
  margin: 0 0 4px; }
.cards { display: grid; gap: 12px; grid-template-columns:
  repeat(auto-fit, minmax(max(134px, 100% / var(--across) - 12px), 1fr)); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 12px 16px; }
.card b { display: block; font-size: 25px; line-height: 1.25; letter-spacing: -.01em;
  font-variant-numeric: tabular-nums; }
.card span { color: var(--quiet); font-size: 13px; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 12px;
  padding: 22px 24px; margin: 20px 0 0; }
h2 { font-size: 20px; letter-spacing: -.01em; margin: 0 0 2px; }
h3 { font-size: 14px; margin: 20px 0 8px; }
.lead { color: var(--quiet); margin: 0 0 14px; max-width: 60em; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th { text-align: left; color: var(--quiet); font-weight: 500; font-size: 13px; }
th, td { border-bottom: 1px solid var(--line); padding: 6px 14px 6px 0; vertical-align: middle; }
tr:last-child td { border-bottom: 0; }
.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.file { font-family: ui-monospace, 'Cascadia Mono', Menlo, monospace; font-size: 12.5px;
  overflow-wrap: anywhere; }
td.file { min-width: 20em; } td.what { min-width: 14em; }
img { display: block; border-radius: 5px; background: #d8dce1; }
.pill { display: inline-block; border-radius: 99px; padding: 1px 9px; font-size: 12px;
  font-weight: 600; color: #fff; background: var(--quiet); }
.pill.train { background: var(--train); } .pill.val { background: var(--val); }
.pill.both, .pill.broken { background: var(--bad); }
.bar { display: flex; height: 22px; border-radius: 6px; overflow: hidden; margin: 4px 0 6px;
  background: var(--line); }
.bar i { display: block; }
.bar .train { background: var(--train); } .bar .val { background: var(--val); }
.bar .leak { background: repeating-linear-gradient(45deg, var(--bad) 0 6px, #d9534a 6px 12px); }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; color: var(--quiet); font-size: 13px; }
.legend i { display: inline-block; width: 10px; height: 10px; border-radius: 3px;
  margin: 0 6px 0 0; }
.meter { height: 8px; border-radius: 4px; background: var(--line); min-width: 120px; }
.meter i { display: block; height: 100%; border-radius: 4px; background: var(--train); }
.atlas { display: grid; grid-template-columns: minmax(180px, 256px) 1fr; gap: 28px; }
.atlas img { width: 100%; image-rendering: pixelated; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(252px, 1fr)); gap: 14px; }
.tile { border: 1px solid var(--line); border-radius: 10px; padding: 10px; min-width: 0; }
.tile header { display: flex; justify-content: space-between; gap: 8px; align-items: center;
  margin-bottom: 8px; }
.tile header b { font-size: 13.5px; overflow-wrap: anywhere; }
.tile footer { color: var(--quiet); font-size: 12.5px; margin-top: 6px; }
.tile .row { display: grid; grid-template-columns: 2fr 1fr 1fr; gap: 4px; }
.tile .row img { width: 100%; height: 100%; object-fit: cover; aspect-ratio: 1; }
.tile .row img:first-child { grid-row: span 2; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 6px; }
.pair img { width: 100%; aspect-ratio: 1; object-fit: cover; }
.shots { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 14px; }
.shots img { width: 100%; }
.shots b { font-size: 13.5px; } .shots small { color: var(--quiet); display: block; }
.missing { background: #eceff2; color: var(--quiet); font-size: 12px; border-radius: 5px;
  display: grid; place-items: center; aspect-ratio: 1; }
@media (max-width: 640px) { main { padding: 24px 12px; } .atlas { grid-template-columns: 1fr; } }
@media print { body { background: #fff; } section { break-inside: avoid-page; } }
"""
