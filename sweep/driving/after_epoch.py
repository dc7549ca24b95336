"""What happens to a run after one of its epochs."""

from __future__ import annotations

from typing import Literal

from sweep.decisions import promotion, pruning
from sweep.driving.active_run import ActiveRun
from sweep.study.config import StudyConfig
from sweep.study.folder import State
from uvtex.runs.epochs import EpochReport

Stopped = State | Literal["interrupted"] | None


def after_epoch(
    study: StudyConfig, run: ActiveRun, report: EpochReport, interrupted: bool
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
    if interrupted:
        return "interrupted", {}
    if run.record.stage == "full":
        return None, {}
    settings = study.pruning
    verdict = pruning.judge(run.metrics, study.thresholds, run.record.epochs, settings)
    exempt = not settings.enabled or run.record.schedule in settings.spare
    if verdict.stop and not exempt:
        return "pruned", {"forecast": verdict.forecast, "reason": verdict.reason}
    return None, {"forecast": verdict.forecast}
