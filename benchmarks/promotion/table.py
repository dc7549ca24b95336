"""The benchmark's results as Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.promotion.policies.optuna_pruners import PRUNERS

Result = dict[str, Any]

FEWEST = 10
"""Replays from which a policy may win."""

LATE = ("oracle-after-5", "oracle-after-12")
"""No rule that learns from so many finished trials can need fewer epochs than these."""

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
            lost = values(part, "false_prune_rate")
            cells.append(f"{_percent(mean(lost))} ({_percent(max(lost, default=None))})")
            cells.append(_percent(mean(values(part, "epochs_saved"))))
            cells.append(_times(mean(values(part, "epochs_to_champion_over_none"))))
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
    ``FEWEST`` replays: what it loses is not known. The last columns have epochs to a champion over
    those of the best of Optuna's pruners within the bound: ours, and those of one that knows every
    end as soon as so many trials have ended.
    """
    head = ["file", "passing", "ours: saved", "champion", "wins", "lost", "saved", "champion"]
    head += ["Optuna's best", "ours over it", *(f"`{late}` over it" for late in LATE)]
    lines = [_row(head), _row(["---"] * len(head))]
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
        row += [_percent(best["false_prune_rate"]["mean"]), *_gain(best)]
        optunas = [one for one in rivals if one["policy"] in PRUNERS]
        best_optuna = min(optunas, key=_rank, default=None)
        row.append(f"`{best_optuna['policy']}`" if best_optuna else "none keeps the bound")
        late = [one for name in LATE for one in part if one["policy"] == name]
        lines.append(_row([*row, *(_over(one, best_optuna) for one in (*ours, *late))]))
    return "\n".join(lines)


def _over(one: Result, other: Result | None) -> str:
    """Epochs to a champion over the other's."""
    if other is None:
        return "-"
    above, below = (each["epochs_to_champion_over_none"]["mean"] for each in (one, other))
    return _times(above / below if above and below else None)


def _rank(one: Result) -> tuple[float, float]:
    spent = one["epochs_to_champion_over_none"]["mean"]
    return (0.0 if spent is None else round(spent, 3), -one["epochs_saved"]["mean"])


def _gain(one: Result) -> list[str]:
    return [
        _percent(one["epochs_saved"]["mean"]),
        _times(one["epochs_to_champion_over_none"]["mean"]),
    ]


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def values(results: Sequence[Result], key: str) -> list[float]:
    """The means of the figure ``key``, of the results that have one."""
    return [one[key]["mean"] for one in results if one[key]["mean"] is not None]


def mean(told: Sequence[float]) -> float | None:
    """Their mean; None of none."""
    return float(np.mean(told)) if told else None


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def _times(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
