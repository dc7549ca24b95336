"""What pruning has saved and cost in a study, in words."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from sweep.decisions.stopping.audit import AIM, audit, more_audits
from sweep.decisions.stopping.ledger import percent
from sweep.decisions.stopping.rule import History


class PruningTold(BaseModel):
    """The figures of a study's pruning, and sentences that say them."""

    model_config = ConfigDict(frozen=True)

    flagged: int
    """Probes that were found not worth their remaining epochs, and whose fate is known."""
    audited: int
    """Those of them that went on nevertheless."""
    audited_passed: int
    """Those of the audited that passed."""
    estimate: float
    """The false-prune rate: probes stopped that would have passed, over all that would."""
    low: float
    """Lower end of its exact 95 % interval."""
    high: float
    epochs_saved: int
    """Epochs that the stopped probes did not make."""
    epochs_audited: int
    """Epochs that the audited probes made after their flag."""
    more_audits: int | None
    """Audits to come, all of which must fail, until at most 5 % can be said. None: unknown."""
    chances_raised: float
    """The factor by which audits that passed have raised the probabilities; 1: not at all."""

    def __str__(self) -> str:
        return " ".join(self.sentences)

    @property
    def sentences(self) -> list[str]:
        """One fact each."""
        if not self.flagged:
            return ["No probe was stopped early."]
        stopped = self.flagged - self.audited
        out = [
            f"Of {_probes(self.flagged)} that seemed sure to fail, {stopped} "
            f"{'was' if stopped == 1 else 'were'} stopped, which saved {self.epochs_saved} epochs.",
            f"{self.audited} went on as an audit, for {self.epochs_audited} epochs; "
            f"{self.audited_passed} of these passed.",
            f"So pruning has cost {percent(self.estimate)} of the probes that pass "
            f"(95 % interval: {percent(self.low)} to {percent(self.high)}).",
        ]
        if self.high > AIM and self.more_audits:
            more = "audit" if self.more_audits == 1 else "audits"
            out.append(
                f"It takes {self.more_audits} more {more} that fail to say: at most {percent(AIM)}."
            )
        if self.chances_raised > 1:
            out.append(
                "Audited probes passed more often than forecast, so all probabilities are now "
                f"multiplied by {self.chances_raised:g}."
            )
        return out


def told(past: History, epochs: int) -> PruningTold:
    """The figures after ``past``, for probes of ``epochs``."""
    found = audit(past.flagged, past.unflagged_passes)
    stopped = [one.epoch for one in past.stops]
    return PruningTold(
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
