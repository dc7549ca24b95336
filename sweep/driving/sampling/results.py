"""What Optuna is told of a probe that has ended, and the attributes of its trial."""

from __future__ import annotations

from collections.abc import Mapping

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from sweep.decisions import promotion
from sweep.driving.sampling.warm_start import EarlierProbe
from sweep.study.config import OBJECTIVE, StudyConfig
from sweep.study.folder import TrialRecord

READ_COMPLETE_ONLY = ("gp", "cmaes")
"""Samplers that pass over trials in the state PRUNED (docs/decisions/0018)."""

SCHEDULE = "schedule"
"""Name of the user attribute that holds the schedule's name."""

REPEATS = "repeats"
"""Name of the user attribute of a trial that was not trained, because its settings had been trained
already. It holds the number of the trial whose result it has."""

RETRIED = "retried"
"""Name of the user attribute of a trial that holds the result of one that had failed before it was
taken up again. It holds that one's number."""

WARM_START = "warm_start"
"""Name of the user attribute of a trial that an earlier study trained, such as ``STUDY/0007``. The
study has an attribute of this name too, which lists the earlier studies that were told."""

NO_DIRECTORY = {REPEATS, RETRIED, WARM_START}
"""User attributes of trials that have no directory of their own."""


def has_directory(trial: FrozenTrial) -> bool:
    """Whether a trial has a directory, or is to have one: the study trains it under its number."""
    return trial.state != TrialState.WAITING and not trial.user_attrs.keys() & NO_DIRECTORY


def is_trained(trial: FrozenTrial) -> bool:
    """Whether a trial has a result or is on its way to one, and does not repeat another."""
    states = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
    return trial.state in states and REPEATS not in trial.user_attrs


def result_state(study: StudyConfig, record: TrialRecord) -> TrialState:
    """The state that Optuna is told of a probe that has ended (docs/decisions/0018)."""
    if record.state == "failed":
        return TrialState.FAIL
    reads_pruned = study.search.sampler not in READ_COMPLETE_ONLY
    return TrialState.PRUNED if record.state == "pruned" and reads_pruned else TrialState.COMPLETE


def constraints(study: StudyConfig, best: Mapping[str, float]) -> dict[str, float]:
    """Name -> constraint, met where at most 0, of the metrics at a probe's best epoch."""
    if study.search.sampler == "cmaes":
        return {}  # it would not use them, and warns of them
    return promotion.constraints(dict(best), study.thresholds_of("probe"))


def as_trial(
    study: StudyConfig,
    distributions: Mapping[str, BaseDistribution],
    name: str,
    probe: EarlierProbe,
) -> FrozenTrial:
    """A probe of an earlier study as a trial of this one, with ``name`` as its attribute."""
    state = result_state(study, probe.record)
    return optuna.trial.create_trial(
        state=state,
        value=probe.best[OBJECTIVE] if state == TrialState.COMPLETE else None,
        params=probe.params,
        distributions=dict(distributions),
        user_attrs={WARM_START: name, "margin": probe.best["margin"]},
        intermediate_values={r.epoch: r.val[OBJECTIVE] for r in probe.epochs},
        constraints=constraints(study, probe.best),
    )


def as_retried(
    study: StudyConfig,
    distributions: Mapping[str, BaseDistribution],
    record: TrialRecord,
    best: Mapping[str, float],
    reported: Mapping[int, float],
) -> FrozenTrial:
    """The result of a probe as a trial of its own, because its own trial has failed.

    Args:
        reported: epoch -> objective, as its own trial has them.
    """
    state = result_state(study, record)
    return optuna.trial.create_trial(
        state=state,
        value=best[OBJECTIVE] if state == TrialState.COMPLETE else None,
        params=dict(record.params),
        distributions=dict(distributions),
        user_attrs={RETRIED: record.trial, "margin": best["margin"]},
        intermediate_values=dict(reported),
        constraints=constraints(study, best),
    )
