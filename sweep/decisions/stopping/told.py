"""What pruning has saved and cost in a study: figures, and the same in words."""

from __future__ import annotations

from sweep.decisions.stopping.audit import AIM, audit, more_audits
from sweep.decisions.stopping.ledger import percent
from sweep.decisions.stopping.rule import History
from sweep.study.summary_record import PruningFigures


def sentences(found: PruningFigures) -> list[str]:
    """The figures in words, one fact a sentence."""
    if not found.flagged:
        return ["No probe was stopped early."]
    stopped = found.flagged - found.audited
    out = [
        f"Of {_probes(found.flagged)} that seemed sure to fail, {stopped} "
        f"{'was' if stopped == 1 else 'were'} stopped, which saved {found.epochs_saved} epochs.",
        f"{found.audited} went on as an audit, for {found.epochs_audited} epochs; "
        f"{found.audited_passed} of these passed.",
        f"So pruning has cost {percent(found.estimate)} of the probes that pass "
        f"(95 % interval: {percent(found.low)} to {percent(found.high)}).",
    ]
    if found.high > AIM and found.more_audits:
        more = "audit" if found.more_audits == 1 else "audits"
        out.append(
            f"It takes {found.more_audits} more {more} that fail to say: at most {percent(AIM)}."
        )
    if found.chances_raised > 1:
        out.append(
            "Audited probes passed more often than forecast, so all probabilities are now "
            f"multiplied by {found.chances_raised:g}."
        )
    return out


def told(past: History, epochs: int) -> PruningFigures:
    """The figures after ``past``, for probes of ``epochs``."""
    found = audit(past.flagged, past.unflagged_passes)
    stopped = [one.epoch for one in past.stops]
    return PruningFigures(
        flagged=found.flagged,
        audited=found.audited,
        audited_passed=found.passed,
        estimate=found.estimate,
        low=found.low,
        high=found.high,
        epochs_saved=sum(epochs - epoch for epoch in stopped),
        epochs_audited=found.extra_epochs,
        more_audits=more_audits(found.flagged, found.audited, found.passed, past.unflagged_passes),
        chances_raised=past.evidence.factor,
    )


def _probes(count: int) -> str:
    return f"{count} probe" if count == 1 else f"{count} probes"
