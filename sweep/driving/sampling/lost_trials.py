"""Trials that Optuna's storage has lost are added again, from the records of their runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from sweep.driving.sampling.results import REPEATS, SCHEDULE
from sweep.study.folder import SEARCHED, TrialRecord


def rebuild(
    study: optuna.Study,
    distributions: Mapping[str, BaseDistribution],
    probes: Sequence[TrialRecord],
) -> bool:
    """Adds the trials of ``probes`` under their numbers, all as running.

    A number between them belonged to a trial without a directory, and is filled. What was added by
    an attempt that failed is not added again.

    Returns:
        Whether they are there. Nothing is added if one of their numbers belongs to another trial.
    """
    trials = study.get_trials(deepcopy=False)
    lost = {record.trial: record for record in probes}
    if any(n < len(trials) and trials[n].params != lost[n].params for n in lost):
        return False
    for number in range(len(trials), max(lost) + 1):
        record = lost.get(number)
        study.add_trial(_filling(number) if record is None else _running(record, distributions))
    return True


def _running(record: TrialRecord, distributions: Mapping[str, BaseDistribution]) -> FrozenTrial:
    named = {} if record.schedule == SEARCHED else {SCHEDULE: record.schedule}
    return optuna.trial.create_trial(
        state=TrialState.RUNNING,
        params=dict(record.params),
        distributions=dict(distributions),
        user_attrs=named,
    )


def _filling(number: int) -> FrozenTrial:
    return optuna.trial.create_trial(state=TrialState.FAIL, user_attrs={REPEATS: number})
