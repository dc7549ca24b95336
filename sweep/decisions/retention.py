"""Which files of a run stay once its verdict is final."""

from __future__ import annotations

from typing import Literal

from sweep.study.folder import State

Keep = Literal["everything", "best", "records"]
"""``everything``. Or ``best``: all but the checkpoints of other epochs than the best. Or
``records``: no checkpoint, and one grid."""


def kept(state: State, *, is_open: bool, is_protected: bool) -> Keep:
    """What stays of a run (docs/decisions/0024).

    A run that failed keeps everything: a person may look at it, or let it be taken up again.

    Args:
        is_open: whether something may still be decided on the run's trial.
        is_protected: whether the registry has a version of the trial.
    """
    if is_open or is_protected:
        return "everything"
    if state == "pruned":
        return "records"
    return "best" if state in ("complete", "promoted") else "everything"
