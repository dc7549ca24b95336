"""The benchmark's results as one figure: good trials lost against epochs saved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import product

from benchmarks.promotion.table import LATE, OWN, Result, mean, values

WIDTH, HEIGHT = 240, 220
"""Of a panel."""

Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


@dataclass(frozen=True)
class Dot:
    """A policy in a panel."""

    policy: str
    x: float
    y: float
    highlighted: bool

    @property
    def box(self) -> Box:
        """What a label must not cover."""
        return self.x - 4, self.y - 4, self.x + 4, self.y + 4


def figure(results: Sequence[Result], highlight: str = "ours") -> str:
    """An SVG, a dot a policy.

    A column for each pass rate. The upper row has the means over public files, the lower one those
    over our own curves; a row without results is left out.
    """
    rates = sorted({one["pass_rate"] for one in results})
    own, public = (
        [one for one in results if (one["file"] in OWN) is wanted] for wanted in (True, False)
    )
    rows = [(name, part) for name, part in (("public tasks", public), ("our curves", own)) if part]
    size = f"{(WIDTH + 60) * len(rates) + 20} {(HEIGHT + 80) * len(rows)}"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" '
        'font-family="sans-serif" font-size="10">',
        "<style>text{fill:#333}@media(prefers-color-scheme:dark){text{fill:#ccc}}</style>",
    ]
    for (row, (name, told)), (column, rate) in product(enumerate(rows), enumerate(rates)):
        left, top = 40 + (WIDTH + 60) * column, 30 + (HEIGHT + 80) * row
        parts.append(_text(left, top - 14, f"{name}, {rate:.0%} of the runs pass", bold=True))
        parts += _frame(left, top)
        part = [one for one in told if one["pass_rate"] == rate]
        parts += _labelled(_dots(part, left, top, highlight), left, top)
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def _frame(left: float, top: float) -> Iterator[str]:
    size = f'width="{WIDTH}" height="{HEIGHT}"'
    yield f'<rect x="{left}" y="{top}" {size} fill="none" stroke="#999"/>'
    for tick in (0, 0.25, 0.5, 0.75, 1):
        yield _text(left + WIDTH * tick - 8, top + HEIGHT + 14, f"{tick:.0%}")
        yield _text(left - 30, top + HEIGHT * (1 - tick) + 3, f"{tick:.0%}")
    bound = left + WIDTH * 0.05
    yield (
        f'<line x1="{bound}" x2="{bound}" y1="{top}" y2="{top + HEIGHT}" '
        'stroke="#b00" stroke-dasharray="3 3"/>'
    )
    yield _text(left, top + HEIGHT + 28, "good trials lost (red: 5 %); upwards: epochs saved")


def _dots(results: Sequence[Result], left: float, top: float, highlight: str) -> list[Dot]:
    """The policies, the highlighted one first: it is labelled before the others.

    The late oracles are left out: they only bound what can be had.
    """
    dots = []
    for policy in dict.fromkeys(one["policy"] for one in results if one["policy"] not in LATE):
        part = [one for one in results if one["policy"] == policy]
        lost = mean(values(part, "false_prune_rate"))
        saved = mean(values(part, "epochs_saved"))
        if lost is not None and saved is not None:
            at = left + WIDTH * min(lost, 1.0), top + HEIGHT * (1 - saved)
            dots.append(Dot(policy, *at, policy == highlight))
    return sorted(dots, key=lambda dot: (not dot.highlighted, -dot.x))


def _labelled(dots: Sequence[Dot], left: float, top: float) -> Iterator[str]:
    """Dots and their names; a name that stands aside is tied to its dot by a line."""
    taken = [dot.box for dot in dots]
    for dot in dots:
        box = _free(dot, taken, (left, top, left + WIDTH, top + HEIGHT))
        taken.append(box)
        left_of = box[2] < dot.x
        near = box[2] if left_of else box[0]
        middle = (box[1] + box[3]) / 2
        if abs(middle - dot.y) > 8:
            yield (
                f'<line x1="{dot.x:.1f}" y1="{dot.y:.1f}" x2="{near:.1f}" y2="{middle:.1f}" '
                'stroke="#999" stroke-width="0.5"/>'
            )
        look = 'r="4" fill="#06c"' if dot.highlighted else 'r="3" fill="#888"'
        yield f'<circle cx="{dot.x:.1f}" cy="{dot.y:.1f}" {look}/>'
        yield _text(near, box[3] - 2, dot.policy, bold=dot.highlighted, end=left_of)


def _free(dot: Dot, taken: Sequence[Box], panel: Box) -> Box:
    """The nearest place beside the dot, within the panel, that covers nothing; else the first."""
    wide = (6.0 if dot.highlighted else 5.3) * len(dot.policy) + 2
    places = []
    for step, down, right in product((0, 9, 18, 27, 36, 45), (-1, 1), (True, False)):
        start = dot.x + 6 if right else dot.x - 6 - wide
        middle = dot.y + down * step
        places.append((start, middle - 5, start + wide, middle + 5))
    inside = [box for box in places if _within(box, panel)]
    return next((box for box in inside if not _covers(box, taken)), (inside or places)[0])


def _within(box: Box, panel: Box) -> bool:
    return box[0] >= panel[0] and box[1] >= panel[1] and box[2] <= panel[2] and box[3] <= panel[3]


def _covers(box: Box, taken: Iterable[Box]) -> bool:
    return any(
        box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3]
        for other in taken
    )


def _text(x: float, y: float, text: str, bold: bool = False, end: bool = False) -> str:
    look = ' font-weight="bold"' if bold else ""
    look += ' text-anchor="end"' if end else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{look}>{escape(text)}</text>'
