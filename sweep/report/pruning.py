"""What became of the probes that the pruner flagged."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from sweep.decisions.stopping.curves import joint, scaled, spread
from sweep.decisions.stopping.ledger import percent
from sweep.decisions.stopping.probes import as_run
from sweep.decisions.stopping.rule import history
from sweep.decisions.stopping.told import told
from sweep.report.study_data import StudyData, StudyRun
from sweep.study.config import StudyConfig
from sweep.study.folder import TrialRecord
from sweep.study.summary_record import PruningFigures


@dataclass(frozen=True)
class FlaggedRow:
    """A flagged probe in the report. All are texts, for people."""

    trial: str
    epoch: str
    chance: str
    fate: str
    reason: str


def figures(
    study: StudyConfig,
    runs: Iterable[tuple[TrialRecord, Iterable[tuple[int, Mapping[str, float]]]]],
) -> PruningFigures:
    """What the pruner did in a study, and what is known of its errors.

    Args:
        runs: records with the validation metrics of each epoch; full runs are left out.
    """
    probes = [(record, epochs) for record, epochs in runs if record.stage == "probe"]
    probes.sort(key=lambda pair: pair[0].ended or 0.0)
    known = [as_run(record, epochs, study.thresholds_of("probe")) for record, epochs in probes]
    return told(history(known, study.stages.probe, study.pruning.risk), study.stages.probe)


def flagged(data: StudyData) -> list[FlaggedRow]:
    """The probes that were flagged, in the order of trials."""
    return [_row(run) for run in _probes(data) if run.record.flag is not None]


def joint_slacks(data: StudyData) -> dict[int, float]:
    """Trial -> the joint slack of its probe: measured if it ended, forecast if it was stopped.

    A probe without either is left out: it failed, is running, or the first pruner stopped it.
    """
    ended = [run for run in _probes(data) if run.record.state in ("complete", "promoted")]
    out = dict(zip((run.record.trial for run in ended), _measured(data, ended), strict=True))
    for run in _probes(data):
        last = run.record.looks[-1] if run.record.looks else None
        if run.record.state == "pruned" and last is not None and last.forecast is not None:
            out[run.record.trial] = last.forecast.mean
    return out


def _measured(data: StudyData, ended: list[StudyRun]) -> list[float]:
    runs = [as_run(run.record, run.metrics, data.study.thresholds_of("probe")) for run in ended]
    curves = [np.array(list(run.slacks.values())) for run in runs]  # [t, J] each
    if not any(len(curve) for curve in curves):
        return [math.nan] * len(ended)
    unit = spread(np.array([[curve.max(axis=0)] for curve in curves if len(curve)]))
    return [
        float(joint(scaled(curve, unit, squash=False)).max()) if len(curve) else math.nan
        for curve in curves
    ]


def _probes(data: StudyData) -> list[StudyRun]:
    return [run for run in data.runs if run.record.stage == "probe"]


def _row(run: StudyRun) -> FlaggedRow:
    record = run.record
    assert record.flag is not None
    passed = {"promoted": "passed", "complete": "did not pass", "failed": "failed"}
    fate = (
        f"audited: {passed.get(record.state, 'still runs')}" if record.flag.audited else "stopped"
    )
    return FlaggedRow(
        trial=str(record.trial),
        epoch=f"{record.flag.epoch} of {record.epochs}",
        chance=percent(record.flag.chance),
        fate=fate,
        reason=record.looks[-1].reason if record.looks else "",
    )
