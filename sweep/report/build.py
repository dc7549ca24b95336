"""A study's report: the figures and charts that ``study.html`` shows."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from sweep.decisions.stopping.told import sentences
from sweep.report import charts, importance, pruning, schedule_panels, study_data, theme
from sweep.report import summary as summaries
from sweep.report.study_data import StudyData, StudyRun
from sweep.study.config import OBJECTIVE, StudyConfig
from sweep.study.folder import UNFINISHED
from uvtex import pages
from uvtex.files import write_atomic
from uvtex.metric_catalogue import DEFINITIONS, METRICS, title
from uvtex.thresholds import Threshold

MOST_RUNS = 1000
"""So many runs a report shows one by one. With more, a browser is slow and the file large."""
MOST_CURVES = 200
"""The same for their curves."""


def write_report(study: StudyConfig) -> Path:
    """Writes ``report.html`` into the study's folder; works at any time of a study's life.

    Raises:
        UvtexError: a trial directory is damaged, or the report cannot be written.
    """
    data = study_data.read_study_data(study)
    pairs = [(run.record, run.metrics) for run in data.runs]
    metrics = [threshold.metric for threshold in data.thresholds]
    shown = study_data.thinned(data, MOST_RUNS)
    text = pages.render(
        "sweep.report",
        "study.html",
        title=study.name,
        **_summary(study),
        **_samples(data),
        counts=_counts(data),
        thresholds=" and ".join(map(_threshold, data.thresholds)),
        probe_thresholds=_probe_thresholds(study),
        objective=title(OBJECTIVE),
        plane_heading=f"{title(OBJECTIVE)} against {title(data.other)}",
        left_out=_left_out(data, shown),
        charts=_charts(data, shown),
        pruning_told=" ".join(sentences(pruning.figures(study, pairs))),
        flagged=pruning.flagged(shown),
        least_probes=importance.LEAST,
        setting_columns=[(path, "n") for path in data.searched],
        metric_columns=[(title(metric), "n") for metric in metrics],
        trials=[_trial_row(run, data.searched, metrics) for run in shown.runs],
        tooltips={metric.title: _tooltip(name) for name, metric in METRICS.items()},
        state_colours=theme.STATES,
        tokens=theme.TOKENS,
        plotly=Markup(get_plotlyjs()),  # the library's own source
    )
    write_atomic(study.paths.report, text.encode(errors="backslashreplace"))
    return study.paths.report


def _summary(study: StudyConfig) -> dict[str, Any]:
    """The verdict, and the table of champion, baseline schedule and mean colour."""
    summary = summaries.summarise(study)
    header, rows = summaries.table(summary)
    columns = [(name, "") for name in header[:3]] + [(title(name), "n") for name in header[3:]]
    return {
        "verdict": summaries.verdict(summary),
        "sides": summaries.sides(summary),
        "tone": "good" if summary.passed else "open",
        "figures": {
            "columns": columns,
            "rows": rows,
            "champion": summary.champion is not None,
        },
    }


def _counts(data: StudyData) -> list[tuple[str, str]]:
    """The cards: a figure, and what it counts."""
    states = Counter(run.record.state for run in data.runs if run.record.stage == "probe")
    full = [run for run in data.runs if run.record.stage == "full"]
    return [
        (str(sum(states.values())), "probes"),
        (str(states["pruned"]), "probes pruned"),
        (str(states["promoted"]), "probes promoted"),
        (str(len(full)), "full runs"),
        (str(sum(run.passed for run in full)), "full runs that passed"),
    ]


def _left_out(data: StudyData, shown: StudyData) -> str | None:
    """What a page about many runs does not show; None if it shows all."""
    if len(shown.runs) == len(data.runs):
        return None
    return (
        f"This study has {len(data.runs)} runs. The charts and the tables show {len(shown.runs)} "
        f"of them, and the curves {MOST_CURVES}: all full runs, the best probes, and an even share "
        f"of the others. The importances are those of at most {importance.MOST} probes. All other "
        "figures are of all runs."
    )


def _charts(data: StudyData, shown: StudyData) -> dict[str, Markup | None]:
    """Chart's name -> its HTML; None where there is nothing to draw yet.

    Args:
        shown: the part of ``data`` whose runs are drawn one by one.
    """
    few = study_data.thinned(data, MOST_CURVES)
    shares = importance.importances(data)
    drawn = schedule_panels.drawn_schedules(data)
    has_plane = any(run.at_best(data.other) is not None for run in data.runs)
    return {
        "history": _html(charts.history(shown)) if any(run.best for run in data.runs) else None,
        "curves": _html(charts.curves(few)) if any(run.epochs for run in data.runs) else None,
        "plane": _html(charts.plane(shown)) if has_plane else None,
        "importance": _html(charts.importance(shares)) if shares else None,
        "schedules": _html(schedule_panels.schedules(drawn)) if drawn else None,
    }


def _html(figure: go.Figure) -> Markup:
    # Plotly escapes the text in its JSON, so that no name can end the script element.
    return Markup(figure.to_html(full_html=False, include_plotlyjs=False, config=theme.CONFIG))


def _samples(data: StudyData) -> dict[str, Any]:
    """The heading of the samples, and the best and the worst of them."""
    run = study_data.run_with_samples(data)
    if run is None:
        return {"samples_heading": "Samples", "best": [], "worst": []}
    best, worst = study_data.best_and_worst(run)
    return {"samples_heading": f"Samples of {run.name}", "best": best, "worst": worst}


@dataclass(frozen=True)
class TrialRow:
    """One run in the table of trials. All are texts, for people."""

    number: str
    stage: str
    schedule: str
    settings: list[str]
    """Of what was searched beside the schedule."""
    state: str
    epochs: str
    best_epoch: str
    metrics: list[str]
    margin: str
    seconds: str
    reason: str
    output: str
    """What the worker said last, where it died for good; else empty."""
    passed: bool


def _trial_row(run: StudyRun, searched: list[str], metrics: list[str]) -> TrialRow:
    record = run.record
    return TrialRow(
        number=str(record.trial),
        stage=record.name,
        schedule=record.schedule,
        settings=[study_data.setting_text(record.params.get(path), digits=4) for path in searched],
        state=record.state,
        epochs=f"{len(run.epochs)} of {record.epochs}",
        best_epoch="-" if run.best is None else str(run.best.epoch),
        metrics=[_figure(run.at_best(metric)) for metric in metrics],
        margin=f"{run.margin:+.4f}" if math.isfinite(run.margin) else "-",
        seconds=f"{sum(epoch.seconds for epoch in run.epochs):.0f}",
        reason=record.reason or ("not ended yet" if record.state in UNFINISHED else ""),
        output=record.output or "",
        passed=run.passed,
    )


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _threshold(threshold: Threshold) -> str:
    side = "at least" if threshold.at_least is not None else "at most"
    return f"{title(threshold.metric)} of {side} {threshold.value:g}"


def _probe_thresholds(study: StudyConfig) -> str | None:
    """The thresholds of probes in words; None if they are those of full runs."""
    of_probes = study.thresholds_of("probe")
    return None if of_probes == study.thresholds else " and ".join(map(_threshold, of_probes))


def _tooltip(metric: str) -> str:
    """The metric's better direction and its definition, from the catalogue."""
    known = METRICS[metric]
    better = "Higher" if known.higher_is_better else "Lower"
    definition = "; ".join(DEFINITIONS[key] for key in known.definition)
    return f"{better} is better. {definition}."
