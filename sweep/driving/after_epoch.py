"""What happens to a run after one of its epochs."""

from __future__ import annotations

from typing import Literal

from sweep.decisions import promotion
from sweep.decisions.stopping.ledger import percent
from sweep.driving.active_run import ActiveRun
from sweep.driving.stopping import Stopping
from sweep.study.config import StudyConfig
from sweep.study.folder import State
from sweep.study.look import Flag, Look
from uvtex.runs.epochs import EpochReport

Stopped = State | Literal["interrupted"] | None


def after_epoch(
    study: StudyConfig, run: ActiveRun, report: EpochReport, stopping: Stopping, interrupted: bool
) -> tuple[Stopped, dict[str, object]]:
    """Why the run ends here, None if it goes on, and the changes to its record.

    Args:
        interrupted: whether the user has asked the study to stop.
    """
    bad = promotion.not_numbers(report.val, study.thresholds)
    if bad:
        return "failed", {"reason": f"{', '.join(bad)} is not a number at epoch {report.epoch}"}
    if report.epoch >= run.record.epochs:
        return None, {}
    flag = run.record.flag
    if flag is not None and not flag.audited:
        return "pruned", {}  # by a driver, or a worker, that died before the run had ended
    seen = stopping.look(run)
    changes: dict[str, object] = {}
    if seen is not None:
        look, flag = seen
        changes = {"looks": [*run.record.looks, look], "flag": flag}
        if flag is not None and not flag.audited:
            return "pruned", {**changes, "reason": pruned_because(look, run.record.epochs)}
    return ("interrupted" if interrupted else None), changes


def pruned_because(look: Look, epochs: int) -> str:
    """Why a probe was stopped, in a sentence."""
    return f"stopped after epoch {look.epoch} of {epochs}: {look.reason}"


def audited_because(look: Look, flag: Flag) -> str:
    """Why a probe goes on that was not worth its epochs, in a sentence."""
    return (
        f"would be stopped after epoch {flag.epoch}, but goes on to audit the pruner "
        f"({percent(flag.share)} of such probes do): {look.reason}"
    )
