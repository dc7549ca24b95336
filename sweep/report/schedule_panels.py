"""The chart of schedules: one small panel of loss weights and learning rate for each run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from sweep.report import theme
from sweep.report.study_data import StudyData, StudyRun
from uvtex.config import TERMS

PANELS = 6
"""At most this many schedules are drawn. More would be too small to read."""


def schedules(runs: Sequence[StudyRun]) -> go.Figure:
    """Loss weights and learning rate over the epochs; one panel for each run."""
    columns = min(3, len(runs))
    rows = -(-len(runs) // columns)
    figure = make_subplots(
        rows=rows, cols=columns, shared_yaxes=True, horizontal_spacing=0.05,
        vertical_spacing=0.26 / rows, subplot_titles=[_panel_title(run) for run in runs],
    )  # fmt: skip
    figure.update_layout(theme.layout(90 + 240 * rows, margin={"l": 56, "r": 16, "t": 86, "b": 48}))
    figure.update_layout(legend={"y": 1.0 + 56 / (240 * rows)})
    for index, run in enumerate(runs):
        row, column = index // columns + 1, index % columns + 1
        for name, values, line in _lines(run):
            figure.add_scatter(
                x=[made.epoch for made in run.epochs], y=values, mode="lines", line=line,
                name=name, legendgroup=name, showlegend=index == 0, row=row, col=column,
                hovertemplate=f"{name}: %{{y:.3f}}<extra>epoch %{{x}}</extra>",
            )  # fmt: skip
        ticks = theme.tick_step(len(run.epochs), most=6)
        figure.update_xaxes(
            theme.axis("epoch" if row == rows else None, dtick=ticks), row=row, col=column
        )
        figure.update_yaxes(
            theme.axis("weight" if column == 1 else None, rangemode="tozero"), row=row, col=column
        )
    figure.update_annotations(font={"size": 13, "color": theme.INK})
    return figure


def drawn_schedules(data: StudyData) -> list[StudyRun]:
    """The runs with the best margins, and the baseline. A trial's full run replaces its probe."""
    latest: dict[int, StudyRun] = {run.record.trial: run for run in data.runs if run.epochs}
    order = sorted(latest.values(), key=lambda run: run.margin, reverse=True)
    chosen = order[:PANELS]
    baseline = data.baseline
    if baseline is not None and baseline.record.trial not in {r.record.trial for r in chosen}:
        chosen[-1] = baseline
    return chosen


def _lines(run: StudyRun) -> list[tuple[str, list[float], dict[str, Any]]]:
    """Name, values and line style of each curve in a schedule's panel."""
    out: list[tuple[str, list[float], dict[str, Any]]] = []
    for term in TERMS:
        values = [made.weights[term] for made in run.epochs]
        out.append((term, values, {"color": theme.TERMS[term], "width": 2.4}))
    first = _rate(run) or 1.0
    rates = [made.lr / first for made in run.epochs]
    out.append(
        ("learning rate / its start", rates, {"color": theme.INK, "width": 1.4, "dash": "dot"})
    )
    return out


def _rate(run: StudyRun) -> float:
    """The learning rate at the start, which no later one exceeds."""
    return max((made.lr for made in run.epochs), default=0.0)


def _panel_title(run: StudyRun) -> str:
    facts = f"margin {run.margin:+.3f}, rate {_rate(run):.2g}"
    return f"<b>{theme.plain(run.name)}</b>  <span style='color:{theme.QUIET}'>{facts}</span>"
