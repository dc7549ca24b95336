"""The benchmark's results as Markdown tables and as one figure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from itertools import pairwise
from typing import Any

import numpy as np

Result = dict[str, Any]

FEWEST = 10
"""Replays from which a policy may win."""

OWN = {"probe": "our probes", "full": "our full runs"}
"""Our own curves. The other files are public ones."""

SHORT = {
    **OWN,
    "algoperf_imagenet_resnet_jax": "AlgoPerf ResNet",
    "algoperf_librispeech_conformer_jax": "AlgoPerf conformer",
    "algoperf_wmt_jax": "AlgoPerf WMT",
    "nasbenchnlp_wikitext2": "NAS-Bench-NLP",
}


def short(name: str) -> str:
    """A file's name for a table."""
    return SHORT.get(name, name.replace("taskset_patch", "TaskSet ").replace("_", " "))


def by_policy(results: Sequence[Result]) -> str:
    """A row a policy: means over files at each pass rate, and the worst file."""
    rates = sorted({one["pass_rate"] for one in results})
    head = ["policy"]
    for rate in rates:
        head += [f"{rate:.0%}: lost", "saved", "epochs to champion"]
    lines = [_row(head), _row(["---"] * len(head))]
    for policy in dict.fromkeys(one["policy"] for one in results):
        cells = [f"`{policy}`"]
        for rate in rates:
            part = [r for r in results if (r["policy"], r["pass_rate"]) == (policy, rate)]
            lost = _values(part, "false_prune_rate")
            cells.append(f"{_percent(_mean(lost))} ({_percent(max(lost, default=None))})")
            cells.append(_percent(_mean(_values(part, "epochs_saved"))))
            cells.append(_times(_mean(_values(part, "epochs_to_champion_over_none"))))
        lines.append(_row(cells))
    return "\n".join(lines)


def by_file(results: Sequence[Result], policy: str) -> str:
    """A row a file and pass rate for one policy."""
    head = "file | passing | good trials | lost | saved | of the oracle's | epochs to champion | "
    head += "expected / true | audit covers | width"
    lines = [f"| {head} |", _row(["---"] * 10)]
    for one in sorted(results, key=lambda r: (r["file"], r["pass_rate"])):
        if one["policy"] != policy:
            continue
        audit = one.get("audit", {})
        lost = one["false_prune_rate"]
        cells = [
            short(one["file"]),
            f"{one['pass_rate']:.0%}",
            f"{one['passers_in_a_study']:.1f} of {one['trials_in_a_study']}",
            f"{_percent(lost['mean'])} (to {_percent(lost['high'])})",
            _percent(one["epochs_saved"]["mean"]),
            _percent(one["oracle_saving_reached"]["mean"]),
            _times(one["epochs_to_champion_over_none"]["mean"]),
            _times(one.get("calibration", {}).get("mean")),
            _percent(audit.get("coverage")),
            _percent(audit.get("width")),
        ]
        lines.append(_row(cells))
    return "\n".join(lines)


def by_passers(results: Sequence[Result], policy: str) -> str:
    """The oracle's saving reached against the passers known, pooled over files."""
    part = [one for one in results if one["policy"] == policy]
    rates = sorted({one["pass_rate"] for one in part})
    steps = sorted({int(k) for one in part for k in one["oracle_saving_by_passers_known"]})
    labels = [f"{a} to {b - 1}" if b > a + 1 else str(a) for a, b in pairwise(steps)]
    lines = [_row(["passers known", *[f"{rate:.0%}" for rate in rates]])]
    lines.append(_row(["---"] * (1 + len(rates))))
    for step, label in zip(steps, [*labels, f"{steps[-1]} and more"], strict=True):
        cells = [label]
        for rate in rates:
            known = [
                one["oracle_saving_by_passers_known"].get(str(step))
                for one in part
                if one["pass_rate"] == rate
            ]
            found = [k for k in known if k]
            possible = sum(k["possible_per_study"] for k in found)
            saved = sum(k["reached"] * k["possible_per_study"] for k in found)
            cells.append(_percent(saved / possible) if possible else "-")
        lines.append(_row(cells))
    return "\n".join(lines)


def by_rival(results: Sequence[Result], highlight: str = "ours", bound: float = 0.05) -> str:
    """A row a file and pass rate: our rule beside the one that wins among those within ``bound``.

    Within it is a policy that loses at most ``bound`` in the mean, or twice as much in studies of
    fewer than five good trials. It wins by the epochs to a champion, or the epochs saved where none
    is found. Neither variants of ours nor the oracle take part, nor what has fewer than
    ``FEWEST`` replays: what it loses is not known.
    """
    lines = [
        _row(["file", "passing", "ours: saved", "champion", "wins", "lost", "saved", "champion"])
    ]
    lines.append(_row(["---"] * 8))
    cells: dict[tuple[str, float], list[Result]] = {}
    for one in results:
        cells.setdefault((one["file"], one["pass_rate"]), []).append(one)
    for (file, rate), part in sorted(cells.items()):
        ours = [one for one in part if one["policy"] == highlight]
        rivals = [
            one
            for one in part
            if one["replays"] >= FEWEST
            and not one["policy"].startswith((highlight, "oracle"))
            and (one["false_prune_rate"]["mean"] or 0.0)
            <= bound * (2 if one["passers_in_a_study"] < 5 else 1)
        ]
        if not ours or not rivals:
            continue
        best = min([*ours, *rivals], key=_rank)
        row = [short(file), f"{rate:.0%}", *_gain(ours[0]), f"`{best['policy']}`"]
        lines.append(_row([*row, _percent(best["false_prune_rate"]["mean"]), *_gain(best)]))
    return "\n".join(lines)


def _rank(one: Result) -> tuple[float, float]:
    spent = one["epochs_to_champion_over_none"]["mean"]
    return (0.0 if spent is None else round(spent, 3), -one["epochs_saved"]["mean"])


def _gain(one: Result) -> list[str]:
    return [
        _percent(one["epochs_saved"]["mean"]),
        _times(one["epochs_to_champion_over_none"]["mean"]),
    ]


def figure(results: Sequence[Result], highlight: str = "ours") -> str:
    """An SVG: good trials lost against epochs saved, a dot a policy.

    A column for each pass rate. The upper row has the means over public files, the lower one those
    over our own curves; a row without results is left out.
    """
    rates = sorted({one["pass_rate"] for one in results})
    own, public = (
        [one for one in results if (one["file"] in OWN) is wanted] for wanted in (True, False)
    )
    rows = [(name, part) for name, part in (("public tasks", public), ("our curves", own)) if part]
    width, height = 300, 260
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width * len(rates) + 20} '
        f'{(height + 40) * len(rows)}" font-family="sans-serif" font-size="10">',
        "<style>text{fill:#333}@media(prefers-color-scheme:dark){text{fill:#ccc}}</style>",
    ]
    for row, (name, told) in enumerate(rows):
        top = 30 + (height + 40) * row
        for column, rate in enumerate(rates):
            part = [one for one in told if one["pass_rate"] == rate]
            left = 40 + width * column
            parts += _panel(part, left, top, width - 60, height - 40, highlight)
            parts.append(_text(left, top - 14, f"{name}, {rate:.0%} of the runs pass", bold=True))
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def _panel(
    results: Sequence[Result], left: int, top: int, width: int, height: int, highlight: str
) -> Iterable[str]:
    def x(lost: float) -> float:
        return left + width * min(lost, 1.0)

    def y(saved: float) -> float:
        return top + height * (1 - saved)

    size = f'width="{width}" height="{height}"'
    yield f'<rect x="{left}" y="{top}" {size} fill="none" stroke="#999"/>'
    for tick in (0, 0.25, 0.5, 0.75, 1):
        yield _text(x(tick) - 8, top + height + 14, f"{tick:.0%}")
        yield _text(left - 30, y(tick) + 3, f"{tick:.0%}")
    yield (
        f'<line x1="{x(0.05)}" x2="{x(0.05)}" y1="{top}" y2="{top + height}" '
        'stroke="#b00" stroke-dasharray="3 3"/>'
    )
    yield _text(left, top + height + 28, "good trials lost (red: 5 %); upwards: epochs saved")
    taken: list[tuple[float, float]] = []
    dots = []
    for policy in dict.fromkeys(one["policy"] for one in results):
        part = [one for one in results if one["policy"] == policy]
        lost = _mean(_values(part, "false_prune_rate"))
        saved = _mean(_values(part, "epochs_saved"))
        if lost is not None and saved is not None:
            dots.append((policy, lost, saved))
    for policy, lost, saved in sorted(dots, key=lambda dot: -dot[2]):
        own = policy == highlight
        look = 'r="4" fill="#06c"' if own else 'r="3" fill="#888"'
        yield f'<circle cx="{x(lost):.1f}" cy="{y(saved):.1f}" {look}/>'
        aside = 6 if lost < 0.8 else -6 - 5.5 * len(policy)
        at = (x(lost) + aside, y(saved) + 3)
        while any(abs(at[0] - a) < 70 and abs(at[1] - b) < 9 for a, b in taken):
            at = (at[0], at[1] + 9)
        taken.append(at)
        yield _text(*at, policy, bold=own)


def _text(x: float, y: float, text: str, bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{weight}>{escape(text)}</text>'


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _values(results: Sequence[Result], key: str) -> list[float]:
    return [one[key]["mean"] for one in results if one[key]["mean"] is not None]


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _times(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
