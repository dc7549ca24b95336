"""Whether a trial's full runs admit it to the model registry, by what is on disk.

The driver and ``sweep promote`` ask the same functions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sweep.decisions import promotion
from sweep.decisions import replicates as test
from sweep.decisions.replicates import Replicate, Verdict
from sweep.driving.active_run import ActiveRun
from sweep.study.calibration import read_calibration
from sweep.study.config import StudyConfig
from sweep.study.folder import (
    UNFINISHED,
    Gate,
    RunKey,
    State,
    ThresholdTest,
    TrialRecord,
    records,
    write_record,
)
from sweep.study.judged import judged
from sweep.study.lease import lease
from sweep.tracking.registry import Candidate, promote, promote_command
from sweep.tracking.sync import tracker_of
from uvtex.errors import UvtexError
from uvtex.runs.epochs import best_epoch, read_epochs


@dataclass(frozen=True)
class Admission:
    """What follows from a trial's full runs so far."""

    verdict: Verdict
    reason: str
    """In words."""
    chosen: TrialRecord | None = None
    """Where the trial is admitted: the run to register."""
    tests: tuple[ThresholdTest, ...] = ()
    """One for each threshold; empty where the study allows one full run."""


def after_run(study: StudyConfig, run: ActiveRun) -> tuple[State, str]:
    """The state of a run whose worker has ended it, and the reason in a sentence."""
    if run.stopped is not None:
        return run.stopped, run.record.reason or ""
    if run.best is None:
        return "failed", "the run ended without an epoch"
    decision = promotion.decide(run.best.val, study.thresholds_of(run.record.stage))
    if run.record.stage == "full":
        decision = own_decision(study, run.record) or decision
    promoted = decision.passed and run.record.stage == "probe"
    return "promoted" if promoted else "complete", decision.reason


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
    allows more asks the group-sequential test of :mod:`sweep.decisions.replicates` after each. The
    first answer of that test holds: replicates that were run since, for the comparison with the
    champion, do not change it.

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
    replicates = [Replicate(seed_of(study, r), figures(study, r)) for r in ended]
    spreads = calibration.spreads("full")
    probe_seed = int(study.train["seed"])
    for count in range(1, len(ended) + 1):
        decision = test.judge(
            replicates[:count], study.thresholds, spreads, study.replicates, probe_seed
        )
        if decision.verdict != "continue":
            break
    if decision.verdict != "admit":
        return Admission(decision.verdict, decision.reason, tests=decision.records)
    chosen = _best(study, ended[:count])
    if chosen is None:
        reason = f"{decision.reason}; but no single replicate passes by itself"
        return Admission("reject", reason, tests=decision.records)
    # People are told the mean of all replicates, those of the comparison included.
    everyone = test.judge(replicates, study.thresholds, spreads, study.replicates, probe_seed)
    return Admission("admit", decision.reason, chosen, everyone.records or decision.records)


def seed_of(study: StudyConfig, record: TrialRecord) -> int:
    """The seed that a run was trained with."""
    return int(study.train["seed"]) if record.seed is None else record.seed


def candidate(
    study: StudyConfig,
    full: Sequence[TrialRecord],
    answer: Admission,
    record: TrialRecord,
    override: str | None = None,
) -> Candidate:
    """What the registry is told about a trial when ``record`` is registered.

    Args:
        full: the trial's full runs. The figures of those that ended well, and were measured on the
            same views as ``record``, are told by their seeds.
        override: the reason of a person who makes the run champion without regard to the rule.
    """
    run_dir = study.paths.run_dir(*record.key)
    own, told = judged(run_dir), {}
    for one in full:
        found = judged(study.paths.run_dir(*one.key)) if one.state == "complete" else None
        if found and own and (found.side, found.fingerprint) == (own.side, own.fingerprint):
            told[seed_of(study, one)] = found.metrics
    calibration = read_calibration(study.paths)
    return Candidate(
        record=record,
        run_dir=run_dir,
        admitted=answer.verdict == "admit",
        reason=answer.reason,
        tests=answer.tests,
        replicates=told,
        noise={} if calibration is None else calibration.stages["full"].noise,
        override=override,
    )


def is_due(study: StudyConfig, full: Sequence[TrialRecord]) -> bool:
    """Whether the registry is to be asked about a trial: at first, and after each further run.

    A trial that is undecided is asked about again whenever a full run of the study has ended.
    """
    gate = next((record.gate for record in full if record.gate is not None), None)
    if gate is None:
        return bool(full)
    if not gate.registered or gate.unproven:
        return False
    told = [record for record in full if record.state == "complete"]
    return gate.undecided or len(told) > len(gate.seeds)


def promote_by_hand(
    study: StudyConfig, run: RunKey, uri: str, override: str | None
) -> tuple[TrialRecord, Gate]:
    """Judges the trial of a full run as the driver does, and asks the registry.

    With ``override``, the run itself is registered and made champion, whatever the rule says.

    Returns:
        The run that was registered, and the registry's answer.

    Raises:
        StudyTaken: a driver runs the study. It judges its runs itself.
        UvtexError: the run has not ended well, its trial is not admitted, or the registry refuses.
    """
    with lease(study.paths):
        found = records(study.paths.folder)
        record = next(one for one in found if one.key == run)
        full = [one for one in found if (one.trial, one.stage) == (record.trial, "full")]
        _check_ended(study, record)
        answer = judge(study, full)
        chosen = answer.chosen if override is None else record
        if chosen is None:
            raise UvtexError(
                f"{record.label} is not registered: {answer.reason}; to register it all the same: "
                f"`{promote_command(study, record)} --override REASON`"
            )
        gate = promote(study, candidate(study, full, answer, chosen, override), uri)
        if uri == study.tracking_uri:
            _keep(study, full, chosen, gate)
    return chosen, gate


def _keep(study: StudyConfig, full: Sequence[TrialRecord], chosen: TrialRecord, gate: Gate) -> None:
    """Writes the answer into the record of the run, as the driver does, and shows it in MLflow."""
    for one in full:
        if one.gate is not None or one is chosen:
            kept = one.model_copy(update={"gate": gate if one is chosen else None})
            write_record(study.paths.run_dir(*one.key), kept)
    tracker_of(study).study_decisions(records(study.paths.folder))


def _check_ended(study: StudyConfig, record: TrialRecord) -> None:
    if record.stage != "full":
        raise UvtexError(
            f"{record.label} is a probe, {record.state}, and only full runs are registered; "
            f"`{study.paths.command('status')}` lists them"
        )
    if record.state in UNFINISHED:
        made = len(read_epochs(study.paths.run_dir(*record.key)))
        raise UvtexError(
            f"{record.label} has made {made} of {record.epochs} epochs; resume the study with "
            "`sweep run`, which judges the run when it has ended"
        )
    if record.state != "complete":
        raise UvtexError(
            f"{record.label} {record.state}: {record.reason}; only a run that ended well can be "
            "registered"
        )


def _single(study: StudyConfig, record: TrialRecord) -> Admission:
    if record.state != "complete":
        return Admission("reject", record.reason or "the full run failed")
    decision = own_decision(study, record)
    if decision is None or not decision.passed:
        return Admission("reject", "it has no figures" if decision is None else decision.reason)
    return Admission("admit", decision.reason, record)


def own_decision(study: StudyConfig, record: TrialRecord) -> promotion.Decision | None:
    """Whether a full run's own figures pass, and on which side; None if it has no figures."""
    found = judged(study.paths.run_dir(*record.key))
    if found is None:
        return None
    absent = [t.metric for t in study.thresholds if t.metric not in found.metrics]
    if absent:
        reason = f"it has no {', '.join(absent)} on the {found.side} side"
        return promotion.Decision(False, float("-inf"), reason)
    decision = promotion.decide(found.metrics, study.thresholds)
    return replace(decision, reason=f"{decision.reason}, on the {found.side} side")


def _best(study: StudyConfig, full: Sequence[TrialRecord]) -> TrialRecord | None:
    """The replicate that validation likes best, among those whose own figures pass."""
    passing = [r for r in full if (own := own_decision(study, r)) is not None and own.passed]
    return max(passing, key=lambda record: _validated(study, record), default=None)


def _validated(study: StudyConfig, record: TrialRecord) -> float:
    best = best_epoch(read_epochs(study.paths.run_dir(*record.key)))
    return float("-inf") if best is None else best.val["margin"]
