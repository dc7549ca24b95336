"""Whether a trial's full runs admit it to the model registry, by what is on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sweep.decisions import promotion
from sweep.decisions import replicates as test
from sweep.decisions.replicates import Replicate, Verdict
from sweep.study.calibration import read_calibration
from sweep.study.config import StudyConfig
from sweep.study.folder import UNFINISHED, TrialRecord
from sweep.study.judged import judged
from uvtex.runs.epochs import best_epoch, read_epochs


@dataclass(frozen=True)
class Admission:
    """What follows from a trial's full runs so far."""

    verdict: Verdict
    reason: str
    """In words."""
    chosen: TrialRecord | None = None
    """Where the trial is admitted: the run to register."""


def figures(study: StudyConfig, record: TrialRecord) -> Mapping[str, float]:
    """The metrics by which a full run is judged; empty if it has none, or did not end well.

    A run that failed was not measured on the test side, and its figures on the other side must not
    stand in for them.
    """
    if record.state != "complete":
        return {}
    found = judged(study.paths.run_dir(*record.key))
    return {} if found is None else found.metrics


def judge(study: StudyConfig, full: Sequence[TrialRecord]) -> Admission:
    """The decision on a trial after its full runs ``full``, by their numbers.

    A study that allows one full run admits a trial if that run passes the thresholds. A study that
    allows more asks the group-sequential test of :mod:`sweep.decisions.replicates`.

    It waits for a calibration if there is none. A replicate that failed has no figures, and the
    test then rejects the trial.
    """
    ended = [record for record in full if record.state not in UNFINISHED]
    if not ended:
        return Admission("continue", "no full run has ended")
    if study.replicates == 1:
        return _single(study, ended[0])
    calibration = read_calibration(study.paths)
    if calibration is None:
        return Admission("continue", "the study has no calibration yet; run `sweep calibrate`")
    probe_seed = int(study.train["seed"])
    decision = test.judge(
        [Replicate(r.seed if r.seed is not None else probe_seed, figures(study, r)) for r in ended],
        study.thresholds,
        calibration.spreads("full"),
        study.replicates,
        probe_seed,
    )
    if decision.verdict != "admit":
        return Admission(decision.verdict, decision.reason)
    chosen = _best(study, ended)
    if chosen is None:
        return Admission("reject", f"{decision.reason}; but no single replicate passes by itself")
    return Admission("admit", decision.reason, chosen)


def _single(study: StudyConfig, record: TrialRecord) -> Admission:
    if record.state != "complete":
        return Admission("reject", record.reason or "the full run failed")
    decision = promotion.decide(figures(study, record), study.thresholds)
    if not decision.passed:
        return Admission("reject", decision.reason)
    return Admission("admit", decision.reason, record)


def _best(study: StudyConfig, full: Sequence[TrialRecord]) -> TrialRecord | None:
    """The replicate that validation likes best, among those whose own figures pass."""
    passing = [r for r in full if promotion.decide(figures(study, r), study.thresholds).passed]
    return max(passing, key=lambda record: _validated(study, record), default=None)


def _validated(study: StudyConfig, record: TrialRecord) -> float:
    best = best_epoch(read_epochs(study.paths.run_dir(*record.key)))
    return float("-inf") if best is None else best.val["margin"]
