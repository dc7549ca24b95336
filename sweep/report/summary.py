"""What came of a study, from its directories alone."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any

from sweep.decisions.promotion import decide
from sweep.study.config import StudyConfig
from sweep.study.folder import TrialRecord, records
from uvtex.files import write_atomic
from uvtex.metric_catalogue import SUMMARY
from uvtex.runs.epochs import best_epoch, read_epochs
from uvtex.runs.folder import RunFolder

BASELINE = "baseline"
"""The schedule whose figures stand beside the champion's."""


def summarise(study: StudyConfig) -> dict[str, Any]:
    """Counts of states, and the figures worth a line: champion, baseline, nearest miss.

    A run's entry has its label, stage, epochs made, best epoch and that epoch's metrics. None
    stands for what there is not.
    """
    found = records(study.paths.folder)
    passed = [r for r in found if r.stage == "full" and r.state == "complete" and _passes(study, r)]
    nearest = max(found, key=lambda record: _margin(study, record), default=None)
    return {
        "study": study.name,
        "thresholds": [str(threshold) for threshold in study.thresholds],
        "probes": dict(Counter(r.state for r in found if r.stage == "probe")),
        "full_runs": dict(Counter(r.state for r in found if r.stage == "full")),
        "passed": bool(passed),
        "over": _over(study, found),
        "champion": _entry(study, _champion(passed, study)),
        "baseline": _entry(study, _baseline(found)),
        "nearest": _entry(study, nearest),
        "mean_colour": _kept(study).get("mean_colour"),
    }


def save(study: StudyConfig, summary: dict[str, Any]) -> None:
    """Writes ``summary.json`` into the study's folder."""
    text = json.dumps(summary, indent=1) + "\n"
    write_atomic(study.paths.summary, text.encode())


def verdict(summary: dict[str, Any]) -> str:
    """The sentence about what came of it."""
    champion = summary["champion"]
    if champion is not None and champion["gate"] is None:
        return f"{champion['label']} passed; the registry was away and has not been asked yet."
    if champion is not None:
        return f"{champion['label']} passed: {champion['gate']['reason']}"
    nearest = summary["nearest"]
    if nearest is None:
        return "Nothing was tried yet."
    passed = "passed" if summary["over"] else "has passed yet"
    if nearest["stage"] == "probe" and nearest["state"] == "promoted":
        return (
            f"No full run {passed}; the nearest to it, {nearest['label']}, passed as a probe with "
            f"a margin of {nearest['metrics']['margin']:+.4f}."
        )
    thresholds = " and ".join(summary["thresholds"])
    return (
        f"Nothing {passed}: {thresholds}. The nearest is {nearest['label']} "
        f"with a margin of {nearest['metrics']['margin']:+.4f}: {nearest['reason']}."
    )


def table(summary: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Header and rows: champion (or nearest miss), baseline schedule, mean-colour texture."""
    first = summary["champion"] or summary["nearest"]
    name = "champion" if summary["champion"] else "nearest"
    metrics = [*(text.split(" ")[0] for text in summary["thresholds"])]
    wanted = [*metrics, *SUMMARY]
    columns = [m for m in dict.fromkeys(wanted) if first and m in first["metrics"]]
    rows = []
    for title, entry in ((name, first), ("baseline schedule", summary["baseline"])):
        if entry is not None:
            run = f"{entry['label']}, epoch {entry['best_epoch']} of {entry['of']}"
            rows.append([title, run, *_cells(entry["metrics"], columns)])
    if summary["mean_colour"]:
        rows.append(["mean colour", "", *_cells(summary["mean_colour"], columns)])
    return ["", "run", *columns], rows


def _cells(metrics: dict[str, float], columns: list[str]) -> list[str]:
    return [f"{metrics[c]:.4f}" if c in metrics else "-" for c in columns]


def _champion(passed: list[TrialRecord], study: StudyConfig) -> TrialRecord | None:
    """The one that holds the alias as far as this study knows, or else the best that passed."""
    crowned = [record for record in passed if record.gate and record.gate.champion]
    if crowned:
        return max(crowned, key=lambda record: record.ended or 0)
    return max(passed, key=lambda record: _margin(study, record), default=None)


def _baseline(found: list[TrialRecord]) -> TrialRecord | None:
    runs = [record for record in found if record.schedule == BASELINE]
    return max(runs, key=lambda record: record.stage == "full", default=None)


def _entry(study: StudyConfig, record: TrialRecord | None) -> dict[str, Any] | None:
    if record is None:
        return None
    run_dir = study.paths.run_dir(record.trial, record.stage)
    epochs = read_epochs(run_dir)
    best = best_epoch(epochs)
    if best is None:
        return None
    return {
        "trial": record.trial,
        "stage": record.stage,
        "label": record.label,
        "state": record.state,
        "schedule": record.schedule,
        "epochs": len(epochs),
        "of": record.epochs,
        "best_epoch": best.epoch,
        "metrics": best.val,
        "reason": decide(best.val, study.thresholds).reason,
        "gate": record.gate.model_dump() if record.gate else None,
        "checkpoints": RunFolder(run_dir).checkpoints.as_posix(),
    }


def _over(study: StudyConfig, found: list[TrialRecord]) -> bool:
    """Whether all that the study file asks for has ended."""
    probes = sum(record.stage == "probe" for record in found)
    return probes >= study.trials and all(record.state != "running" for record in found)


def _passes(study: StudyConfig, record: TrialRecord) -> bool:
    return _margin(study, record) >= 0


def _margin(study: StudyConfig, record: TrialRecord) -> float:
    best = best_epoch(read_epochs(study.paths.run_dir(record.trial, record.stage)))
    return -math.inf if best is None else best.val["margin"]


def _kept(study: StudyConfig) -> dict[str, Any]:
    try:
        kept: dict[str, Any] = json.loads(study.paths.summary.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return kept
