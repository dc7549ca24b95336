"""Puts the story, the charts and the page together."""

from __future__ import annotations

import math
from collections import Counter
from html import escape
from pathlib import Path

import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from sweep.report import charts, page, study_data, theme
from sweep.report import summary as summaries
from sweep.report.importance import LEAST, importances
from sweep.report.page import Section
from sweep.report.study_data import StudyData, StudyRun
from sweep.study.config import OBJECTIVE, StudyConfig
from sweep.study.summary_record import Summary
from uvtex.files import write_atomic
from uvtex.metric_catalogue import title


def write_report(study: StudyConfig) -> Path:
    """Writes ``report.html`` into the study's folder; works at any time of a study's life.

    Raises:
        UvtexError: a trial directory is damaged, or the report cannot be written.
    """
    told = study_data.read_study_data(study)
    summary = summaries.summarise(study)
    sections = [
        _figures(told, summary),
        _history(told),
        _curves(told),
        _plane(told),
        _importance(told),
        _schedules(told),
        _grids(told),
        _trials(told),
    ]
    verdict = summaries.verdict(summary)
    text = page.page(study.name, verdict, summary.passed, sections, get_plotlyjs())
    write_atomic(study.paths.report, text.encode())
    return study.paths.report


def _figures(told: StudyData, summary: Summary) -> Section:
    states = Counter(r.record.state for r in told.runs if r.record.stage == "probe")
    full = [run for run in told.runs if run.record.stage == "full"]
    facts = {
        "probes": str(sum(states.values())),
        "of them pruned": str(states["pruned"]),
        "of them promoted": str(states["promoted"]),
        "full runs": str(len(full)),
        "full runs that passed": str(sum(run.passed for run in full)),
    }
    header, rows = summaries.table(summary)
    body = page.cards(facts)
    if rows:
        names = [header[0], header[1], *(title(metric) for metric in header[2:])]
        cells = [[escape(cell) for cell in row] for row in rows]
        classes = ["", "", *("n" for _ in header[2:])]
        body += page.table(names, cells, classes, {0} if summary.champion else set())
    else:
        body += page.nothing("No run has finished an epoch yet.")
    thresholds = " and ".join(_said(told, t.metric) for t in told.thresholds)
    return Section(
        "figures",
        "Figures",
        f"To pass, a run needs {thresholds}; a texture of each livery's mean colour stands beside "
        "for scale.",
        body,
    )


def _history(told: StudyData) -> Section:
    started = any(run.best for run in told.runs)
    return Section(
        "history",
        "Optimisation history",
        "What each trial reached, in the order they were tried; a star is a full run.",
        _chart(charts.history(told)) if started else page.nothing("No epoch has ended yet."),
    )


def _curves(told: StudyData) -> Section:
    started = any(run.epochs for run in told.runs)
    return Section(
        "curves",
        "Learning curves",
        "Validation metrics over the epochs; the dashed lines are the thresholds.",
        _chart(charts.curves(told)) if started else page.nothing("No epoch has ended yet."),
    )


def _plane(told: StudyData) -> Section:
    started = any(run.at_best(told.other) is not None for run in told.runs)
    return Section(
        "plane",
        f"{title(OBJECTIVE)} against {title(told.other)}",
        "Each run at its best epoch; inside the shaded region it passes both thresholds.",
        _chart(charts.plane(told)) if started else page.nothing("No run has both metrics yet."),
    )


def _importance(told: StudyData) -> Section:
    shares = importances(told)
    absent = (
        f"Fewer than {LEAST} probes ran to their end, too few to tell the parts of a schedule "
        "apart."
    )
    return Section(
        "importance",
        "What matters",
        "How much each part of the schedule separates the better third of the whole probes from "
        "all of them (PED-ANOVA); with few probes, a hint rather than a finding.",
        _chart(charts.importance(shares)) if shares else page.nothing(absent),
    )


def _schedules(told: StudyData) -> Section:
    runs = charts.drawn_schedules(told)
    return Section(
        "schedules",
        "Schedules",
        "Weights and learning rate over the epochs, for the runs with the best margins and the "
        "baseline.",
        _chart(charts.schedules(runs)) if runs else page.nothing("No epoch has ended yet."),
    )


def _grids(told: StudyData) -> Section:
    run = study_data.shown(told)
    lead = (
        "Validation samples, left to right: input view, its reprojection, that of the true "
        "texture, predicted texture, true texture, partner view."
    )
    if run is None:
        body = page.nothing("No run has drawn its samples yet; that happens at the end of a run.")
        return Section("samples", "Samples", lead, body)
    best, worst = study_data.best_and_worst(run)
    body = _pictures("Best", best) + _pictures("Worst", worst)
    return Section("samples", f"Samples of {run.name}", lead, body)


def _pictures(heading: str, grids: list[study_data.Grid]) -> str:
    if not grids:
        return ""
    inner = ""
    for grid in grids:
        said = (
            grid.path.stem if grid.ssim is None else f"{grid.path.stem}: SSIM(UV) {grid.ssim:.3f}"
        )
        inner += (
            f'<figure><img src="{grid.uri}" alt="{escape(heading)} sample, {escape(said)}">'
            f"<figcaption>{escape(said)}</figcaption></figure>"
        )
    return f"<h3>{escape(heading)}</h3>{inner}"


def _trials(told: StudyData) -> Section:
    if not told.runs:
        return Section("trials", "Trials", "Every run.", page.nothing("Nothing was tried yet."))
    metrics = [threshold.metric for threshold in told.thresholds]
    header = [
        "trial",
        "stage",
        "schedule",
        "state",
        "epochs",
        "best",
        *map(title, metrics),
        "margin",
    ]
    header += ["seconds", "why it ended"]
    classes = ["n", "", "", "", "n", "n", *("n" for _ in metrics), "n", "n", "why"]
    rows = [_row(run, metrics) for run in told.runs]
    win = {index for index, run in enumerate(told.runs) if run.passed}
    return Section(
        "trials",
        "Trials",
        "Every run with the state it ended in and the reason; figures are those of its best epoch.",
        page.table(header, rows, classes, win),
    )


def _row(run: StudyRun, metrics: list[str]) -> list[str]:
    record = run.record
    seconds = sum(made.seconds for made in run.epochs)
    return [
        str(record.trial),
        record.stage,
        escape(record.schedule),
        page.pill(record.state),
        f"{len(run.epochs)} of {record.epochs}",
        "-" if run.best is None else str(run.best.epoch),
        *(_figure(run.at_best(metric)) for metric in metrics),
        f"{run.margin:+.4f}" if math.isfinite(run.margin) else "-",
        f"{seconds:.0f}",
        escape(record.reason or ("" if record.state != "running" else "still running")),
    ]


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _said(told: StudyData, metric: str) -> str:
    threshold = told.threshold(metric)
    assert threshold is not None  # the caller goes through the thresholds
    side = "at least" if threshold.at_least is not None else "at most"
    return f"{title(metric)} of {side} {threshold.value:g}"


def _chart(figure: go.Figure) -> str:
    html: str = figure.to_html(full_html=False, include_plotlyjs=False, config=theme.CONFIG)
    return html
