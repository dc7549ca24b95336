"""The report's charts. Each function makes one Plotly figure of a study's data.

``optuna.visualization`` has a history, learning curves and importances too. It knows one stage and
one value for each trial. It cannot show probes beside full runs, nor two metrics with a threshold
on each, so these charts are drawn here.

Plotly reads tags in a text. Names that people choose go through :func:`sweep.report.theme.plain`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from sweep.report import theme
from sweep.report.study_data import StudyData, StudyRun
from sweep.study.config import OBJECTIVE
from uvtex.config import TERMS
from uvtex.metric_catalogue import higher_is_better, title
from uvtex.thresholds import Threshold

PARAMETERS = {
    "lr": "learning rate",
    "lr_scheduler": "learning-rate scheduler",
    "tmax": "T_max",
}
"""Parameter -> its name for people. Weights and other settings are not among them."""


def history(data: StudyData) -> go.Figure:
    """The objective of each run at its best epoch, by trial number."""
    figure = go.Figure(layout=theme.layout(380))
    probes = [run for run in data.runs if run.record.stage == "probe" and run.best]
    _points(figure, probes, "probe")
    _points(figure, [r for r in data.runs if r.record.stage == "full" and r.best], "full")
    whole = [run for run in probes if run.record.state in ("complete", "promoted")]
    _best_so_far(figure, whole)
    _line(figure, data.threshold(OBJECTIVE), across="x")
    figure.update_xaxes(theme.axis("trial", dtick=theme.tick_step(len(probes))))
    figure.update_yaxes(theme.axis(f"{title(OBJECTIVE)} at the best epoch"))
    return figure


def curves(data: StudyData) -> go.Figure:
    """The validation metrics of every run over its epochs; one panel for each threshold."""
    metrics = [threshold.metric for threshold in data.thresholds]
    figure = make_subplots(rows=1, cols=len(metrics), horizontal_spacing=0.09)
    figure.update_layout(theme.layout(420))
    drawn: set[str] = set()
    for run in sorted(data.runs, key=lambda run: _prominence(run, data)):
        group, style = _role(run, data)
        for column, metric in enumerate(metrics, start=1):
            epochs, values = run.curve(metric)
            if not epochs:
                continue
            figure.add_scatter(
                x=epochs, y=values, mode="lines+markers", name=group, legendgroup=group,
                showlegend=group not in drawn, line=style, marker={"size": 4},
                opacity=0.7 if group == "pruned" else 0.95, row=1, col=column,
                meta=theme.plain(run.name),
                hovertemplate="<b>%{meta}</b><br>epoch %{x}: %{y:.4f}<extra></extra>",
            )  # fmt: skip
            drawn.add(group)
    for column, threshold in enumerate(data.thresholds, start=1):
        _line(figure, threshold, across="x", row=1, col=column)
        figure.update_xaxes(
            theme.axis("epoch", dtick=theme.tick_step(_longest(data.runs))), row=1, col=column
        )
        figure.update_yaxes(theme.axis(title(threshold.metric)), row=1, col=column)
    return figure


def plane(data: StudyData) -> go.Figure:
    """The objective against the second metric, and the region in which a run passes."""
    other = data.other
    figure = go.Figure(layout=theme.layout(480))
    runs = [
        r for r in data.runs if r.at_best(other) is not None and r.at_best(OBJECTIVE) is not None
    ]
    for stage in ("probe", "full"):
        _points(figure, [r for r in runs if r.record.stage == stage], stage, x=other)
    points = [(run.at_best(other), run.at_best(OBJECTIVE)) for run in runs]
    x, y = data.threshold(other), data.threshold(OBJECTIVE)
    x_range = _span([p[0] for p in points if p[0] is not None], x)
    y_range = _span([p[1] for p in points if p[1] is not None], y)
    _shade(figure, x, y, x_range, y_range)
    figure.update_xaxes(theme.axis(f"{title(other)} {_hint(other)}", range=x_range))
    figure.update_yaxes(theme.axis(f"{title(OBJECTIVE)} {_hint(OBJECTIVE)}", range=y_range))
    return figure


def importance(shares: Mapping[str, float]) -> go.Figure:
    """The share of each schedule parameter in the importance for the objective.

    Args:
        shares: parameter -> share in [0, 1], the largest first.
    """
    names = list(shares)[::-1]
    figure = go.Figure(
        layout=theme.layout(
            60 + 30 * len(names), showlegend=False, margin={"l": 130, "r": 60, "t": 8, "b": 48}
        )
    )
    figure.add_bar(
        x=[shares[name] for name in names],
        y=[_for_people(name) for name in names],
        orientation="h", marker={"color": theme.STATES["complete"]}, width=0.62,
        text=[f"{shares[name]:.0%}" for name in names], textposition="outside", cliponaxis=False,
        hovertemplate="%{y}: %{x:.1%}<extra></extra>",
    )  # fmt: skip
    figure.update_xaxes(theme.axis("share of importance", tickformat=".0%"))
    figure.update_yaxes(
        theme.axis(gridcolor="rgba(0,0,0,0)", tickfont={"size": 13, "color": theme.INK})
    )
    return figure


def _for_people(parameter: str) -> str:
    term, _, end = parameter.partition("_")
    weight = f"{term}, {end}" if term in TERMS and end else parameter
    return PARAMETERS.get(parameter, weight)


def _points(figure: go.Figure, runs: Sequence[StudyRun], stage: str, x: str | None = None) -> None:
    """Adds the runs of one stage as markers, one trace for each state. A full run is a star.

    Args:
        x: the metric along the x axis; None: the trial number.
    """
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
            customdata=[[theme.plain(run.name), run.margin, theme.plain(run.record.reason or "")]
                        for run in some],
            hovertemplate=f"<b>%{{customdata[0]}}</b><br>{title(OBJECTIVE)} %{{y:.4f}}<br>margin "
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
        name="best finished probe so far",
        line={"color": theme.QUIET, "width": 1.5, "shape": "hv"}, hoverinfo="skip",
    )  # fmt: skip


def _line(figure: go.Figure, threshold: Threshold | None, across: str, **place: int) -> None:
    """Adds the line of a threshold, with its bound at one end."""
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
    """Adds the promotion region and the lines that bound it."""
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
    """A range that holds all values and the threshold, with room at both ends."""
    points = [*values, *([threshold.value] if threshold else [])] or [0.0, 1.0]
    low, high = min(points), max(points)
    room = max(0.12 * (high - low), 0.02)
    return [low - room, high + room]


def _hint(metric: str) -> str:
    higher = higher_is_better(metric)
    return "" if higher is None else f"({'higher' if higher else 'lower'} is better)"


def _role(run: StudyRun, data: StudyData) -> tuple[str, dict[str, Any]]:
    """The legend entry of a run's curve, and the style of its line."""
    winner, baseline = data.winner, data.baseline
    if winner is not None and run is winner:
        return "best that passed", {"color": theme.PASS, "width": 3.5}
    if baseline is not None and run is baseline:
        return "baseline schedule", {"color": theme.BASELINE, "width": 3}
    state = run.record.state
    if run.record.stage == "full":
        return f"{state} full run", {"color": theme.STATES[state], "width": 2, "dash": "dot"}
    return state, {"color": theme.STATES[state], "width": 1.3}


def _prominence(run: StudyRun, data: StudyData) -> int:
    """Order of drawing: a run with a higher number is drawn over the others."""
    order = ["pruned", "failed", "complete", "interrupted", "running", "promoted"]
    special = run is data.winner or run is data.baseline
    return len(order) if special else order.index(run.record.state)


def _longest(runs: Sequence[StudyRun]) -> int:
    return max((len(run.epochs) for run in runs), default=0)
