"""The charts, each a function of the story alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from sweep.report import theme
from sweep.report.study_data import StudyData, StudyRun
from sweep.study.config import CONSTANTS, OBJECTIVE
from uvtex.config import TERMS
from uvtex.metric_catalogue import title
from uvtex.thresholds import Threshold

PANELS = 6
"""Schedules that are drawn; more would be too small to read."""

PARAMETERS = {name: name for name in CONSTANTS} | {
    "lr": "learning rate",
    "lr_scheduler": "rate's scheduler",
    "tmax": "T_max",
}
"""Names for people, of the parameters that are not a term's start or end."""


def history(story: StudyData) -> go.Figure:
    """What each trial reached, in the order in which they were tried."""
    figure = go.Figure(layout=theme.layout(380))
    probes = [run for run in story.runs if run.record.stage == "probe" and run.best]
    _points(figure, probes, "probe")
    _points(figure, [r for r in story.runs if r.record.stage == "full" and r.best], "full")
    whole = [run for run in probes if run.record.state in ("complete", "promoted")]
    _best_so_far(figure, whole)
    _line(figure, story.threshold(OBJECTIVE), across="x")
    figure.update_xaxes(theme.axis("trial", dtick=_step(len(probes))))
    figure.update_yaxes(theme.axis(f"{title(OBJECTIVE)} at the best epoch"))
    return figure


def curves(story: StudyData) -> go.Figure:
    """Every run's validation metrics over its epochs, a panel a threshold."""
    metrics = [threshold.metric for threshold in story.thresholds]
    figure = make_subplots(rows=1, cols=len(metrics), horizontal_spacing=0.09)
    figure.update_layout(theme.layout(420))
    drawn: set[str] = set()
    for run in sorted(story.runs, key=lambda run: _prominence(run, story)):
        group, style = _role(run, story)
        for column, metric in enumerate(metrics, start=1):
            epochs, values = run.curve(metric)
            if not epochs:
                continue
            figure.add_scatter(
                x=epochs, y=values, mode="lines+markers", name=group, legendgroup=group,
                showlegend=group not in drawn, line=style, marker={"size": 4},
                opacity=0.7 if group == "pruned" else 0.95, row=1, col=column,
                hovertemplate=f"<b>{run.name}</b><br>epoch %{{x}}: %{{y:.4f}}<extra></extra>",
            )  # fmt: skip
            drawn.add(group)
    for column, threshold in enumerate(story.thresholds, start=1):
        _line(figure, threshold, across="x", row=1, col=column)
        figure.update_xaxes(
            theme.axis("epoch", dtick=_step(_longest(story.runs))), row=1, col=column
        )
        figure.update_yaxes(theme.axis(title(threshold.metric)), row=1, col=column)
    return figure


def plane(story: StudyData) -> go.Figure:
    """SSIM(UV) against the second metric, and the region in which a run passes."""
    other = story.other
    figure = go.Figure(layout=theme.layout(480))
    runs = [
        r for r in story.runs if r.at_best(other) is not None and r.at_best(OBJECTIVE) is not None
    ]
    for stage in ("probe", "full"):
        _points(figure, [r for r in runs if r.record.stage == stage], stage, x=other)
    points = [(run.at_best(other), run.at_best(OBJECTIVE)) for run in runs]
    x, y = story.threshold(other), story.threshold(OBJECTIVE)
    x_range = _span([p[0] for p in points if p[0] is not None], x)
    y_range = _span([p[1] for p in points if p[1] is not None], y)
    _shade(figure, x, y, x_range, y_range)
    figure.update_xaxes(theme.axis(f"{title(other)} {_hint(x)}", range=x_range))
    figure.update_yaxes(theme.axis(f"{title(OBJECTIVE)} {_hint(y)}", range=y_range))
    return figure


def importance(shares: Mapping[str, float]) -> go.Figure:
    """How much each part of the schedule decides SSIM(UV)."""
    names = list(shares)[::-1]
    figure = go.Figure(
        layout=theme.layout(
            60 + 30 * len(names), showlegend=False, margin={"l": 130, "r": 60, "t": 8, "b": 48}
        )
    )
    figure.add_bar(
        x=[shares[name] for name in names],
        y=[PARAMETERS.get(name, name.replace("_", ", ")) for name in names],
        orientation="h", marker={"color": theme.STATES["complete"]}, width=0.62,
        text=[f"{shares[name]:.0%}" for name in names], textposition="outside", cliponaxis=False,
        hovertemplate="%{y}: %{x:.1%}<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(theme.axis("share of importance", tickformat=".0%"))
    figure.update_yaxes(
        theme.axis(gridcolor="rgba(0,0,0,0)", tickfont={"size": 13, "color": theme.INK})
    )
    return figure


def schedules(runs: Sequence[StudyRun]) -> go.Figure:
    """Weights and learning rate over the epochs, a panel a run."""
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
        ticks = _step(len(run.epochs), most=6)
        figure.update_xaxes(
            theme.axis("epoch" if row == rows else None, dtick=ticks), row=row, col=column
        )
        figure.update_yaxes(
            theme.axis("weight" if column == 1 else None, rangemode="tozero"), row=row, col=column
        )
    figure.update_annotations(font={"size": 13, "color": theme.INK})
    return figure


def drawn_schedules(story: StudyData) -> list[StudyRun]:
    """The baseline and the runs with the best margins, a trial once: its full run if it has one."""
    latest: dict[int, StudyRun] = {run.record.trial: run for run in story.runs if run.epochs}
    order = sorted(latest.values(), key=lambda run: run.margin, reverse=True)
    chosen = order[:PANELS]
    baseline = story.baseline
    if baseline is not None and baseline.record.trial not in {r.record.trial for r in chosen}:
        chosen[-1] = baseline
    return chosen


def _points(figure: go.Figure, runs: Sequence[StudyRun], stage: str, x: str | None = None) -> None:
    """Markers a state; a full run is a star."""
    for state, colour in theme.STATES.items():
        some = [run for run in runs if run.record.state == state]
        if not some:
            continue
        full = stage == "full"
        passed = [full and run.passed for run in some]
        colours = [theme.PASS if good else colour for good in passed]
        figure.add_scatter(
            x=[run.record.trial if x is None else run.at_best(x) for run in some],
            y=[run.at_best(OBJECTIVE) for run in some],
            mode="markers", name=f"{state} {'full run' if full else 'probe'}",
            marker={
                "color": colours, "size": 15 if full else 10,
                "symbol": "star" if full else theme.SYMBOLS[state],
                "line": {"width": 2 if state == "pruned" and not full else 1,
                         "color": colours if state == "pruned" else "white"},
            },
            customdata=[[run.name, run.margin, run.record.reason or ""] for run in some],
            hovertemplate="<b>%{customdata[0]}</b><br>SSIM(UV) %{y:.4f}<br>margin "
                          "%{customdata[1]:+.4f}<br>%{customdata[2]}<extra></extra>",
        )  # fmt: skip


def _best_so_far(figure: go.Figure, runs: Sequence[StudyRun]) -> None:
    if not runs:
        return
    best, values = float("-inf"), []
    for run in runs:
        best = max(best, run.at_best(OBJECTIVE) or best)
        values.append(best)
    figure.add_scatter(
        x=[run.record.trial for run in runs], y=values, mode="lines",
        name="best whole probe so far",
        line={"color": theme.QUIET, "width": 1.5, "shape": "hv"}, hoverinfo="skip",
    )  # fmt: skip


def _line(figure: go.Figure, threshold: Threshold | None, across: str, **place: int) -> None:
    """A threshold's line, named at its end."""
    if threshold is None:
        return
    draw = figure.add_hline if across == "x" else figure.add_vline
    draw(
        threshold.value, line={"color": theme.THRESHOLD, "width": 1.5, "dash": "dash"},
        annotation={
            "text": f"{'≥' if threshold.at_least is not None else '≤'} {threshold.value:g}",
            "font": {"size": 12, "color": theme.THRESHOLD},
        },
        annotation_position="top left" if across == "x" else "bottom right", **place,
    )  # fmt: skip


def _shade(
    figure: go.Figure,
    x: Threshold | None,
    y: Threshold | None,
    x_range: list[float],
    y_range: list[float],
) -> None:
    """The promotion region, and the lines that bound it."""
    left, right = _side(x, x_range)
    bottom, top = _side(y, y_range)
    figure.add_shape(
        type="rect", x0=left, x1=right, y0=bottom, y1=top, layer="below",
        fillcolor=theme.PASS_FILL, line={"width": 0},
    )  # fmt: skip
    figure.add_annotation(
        x=right, y=top, text="promotion region", showarrow=False, xanchor="right", yanchor="top",
        font={"size": 12, "color": theme.PASS},
    )  # fmt: skip
    _line(figure, x, across="y")
    _line(figure, y, across="x")


def _side(threshold: Threshold | None, span: list[float]) -> tuple[float, float]:
    if threshold is None:
        return span[0], span[1]
    return (
        (threshold.value, span[1]) if threshold.at_least is not None else (span[0], threshold.value)
    )


def _span(values: Sequence[float], threshold: Threshold | None) -> list[float]:
    """All the values and the threshold, with room beyond, on the good side above all."""
    points = [*values, *([threshold.value] if threshold else [])] or [0.0, 1.0]
    low, high = min(points), max(points)
    room = max(0.12 * (high - low), 0.02)
    return [low - room, high + room]


def _hint(threshold: Threshold | None) -> str:
    if threshold is None:
        return ""
    return "(more is better)" if threshold.at_least is not None else "(less is better)"


def _role(run: StudyRun, story: StudyData) -> tuple[str, dict[str, Any]]:
    """The legend entry of a run's curve, and its line."""
    winner, baseline = story.winner, story.baseline
    if winner is not None and run is winner:
        return "best that passed", {"color": theme.PASS, "width": 3.5}
    if baseline is not None and run is baseline:
        return "baseline schedule", {"color": theme.BASELINE, "width": 3}
    state = run.record.state
    if run.record.stage == "full":
        return f"{state} full run", {"color": theme.STATES[state], "width": 2, "dash": "dot"}
    return state, {"color": theme.STATES[state], "width": 1.3}


def _prominence(run: StudyRun, story: StudyData) -> int:
    """Later is drawn on top."""
    order = ["pruned", "failed", "complete", "running", "promoted"]
    special = run is story.winner or run is story.baseline
    return len(order) if special else order.index(run.record.state)


def _lines(run: StudyRun) -> list[tuple[str, list[float], dict[str, Any]]]:
    """Name, values and line of each curve in a schedule's panel."""
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
    """The learning rate that it started with."""
    return max((made.lr for made in run.epochs), default=0.0)


def _panel_title(run: StudyRun) -> str:
    facts = f"margin {run.margin:+.3f}, rate {_rate(run):.2g}"
    return f"<b>{run.name}</b>  <span style='color:{theme.QUIET}'>{facts}</span>"


def _longest(runs: Sequence[StudyRun]) -> int:
    return max((len(run.epochs) for run in runs), default=0)


def _step(count: int, most: int = 15) -> int:
    """Between ticks, so that there are whole numbers and not too many."""
    return max(1, -(-count // most))
