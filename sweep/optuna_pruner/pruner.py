"""The pruner, and what an objective calls.

:func:`report` makes the decisions, by :mod:`sweep.decisions.stopping.rule`, and keeps them on the
trial: it has the trial in its hands, which a pruner has not. The pruner only reads them. So asking
it changes nothing, and costs nothing.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

from optuna.pruners import BasePruner
from optuna.study import Study, StudyDirection
from optuna.trial import BaseTrial, FrozenTrial, Trial

from sweep.decisions.stopping.audit import Audit, audit, coin
from sweep.decisions.stopping.rule import due, judge_run
from sweep.optuna_pruner.memory import Memory, Planned, run_in_progress
from sweep.optuna_pruner.records import PLAN, epoch_attribute, look_attributes, read
from sweep.optuna_pruner.terms import Terms
from uvtex.thresholds import Threshold, margin


class PromotionPruner(BasePruner):
    """Stops trials that will not pass all thresholds, and counts how many good ones that costs.

    A trial that calls :func:`report` is looked at after 35, 50, 65 and 80 % of its epochs. It is
    flagged if it will surely not pass. A flagged trial is stopped, unless its coin says that it is
    audited: then it goes on, and tells what is lost (:meth:`audit`). Nothing is flagged before
    twelve trials have ended. Never flagged is a trial that passes already, or that was queued by
    ``study.enqueue_trial``.

    All that it knows is in the study's storage, as user attributes of the trials
    (:mod:`sweep.optuna_pruner.records`). So processes that share a storage, and a study that was
    loaded again, decide alike, if they give the same arguments.

    Args:
        thresholds: a trial passes if one of its epochs meets all of them. At least one.
        epochs: of a whole trial, at least 2, the same for all trials. An epoch is a report: a trial
            that is validated eight times has eight.
        risk: share of the good trials that may be lost, between 0 and 1.
        min_epochs: no look before so many epochs.
        seed: of the audit's coins, at least 0.
        first_step: the step of the first epoch, 0 or more.

    Raises:
        ValueError: an argument is out of range, or ``min_epochs`` leaves no look.
    """

    def __init__(
        self,
        thresholds: Sequence[Threshold],
        epochs: int,
        risk: float = 0.05,
        min_epochs: int = 3,
        seed: int = 0,
        first_step: int = 1,
    ) -> None:
        self.terms = Terms(tuple(thresholds), epochs, risk, min_epochs, seed, first_step)
        self._memories: WeakKeyDictionary[Study, Memory] = WeakKeyDictionary()

    def __getstate__(self) -> Terms:
        return self.terms

    def __setstate__(self, terms: Terms) -> None:
        self.terms = terms
        self._memories = WeakKeyDictionary()

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether ``trial`` is to be stopped."""
        record = read(trial.user_attrs)
        if trial.intermediate_values and not record.metrics:
            warnings.warn(
                "PromotionPruner knows nothing of what trial.report was told: call "
                "sweep.optuna_pruner.report(trial, {metric: value}, step) instead",
                stacklevel=2,
            )
        return record.is_to_stop(self.terms.thresholds)

    def audit(self, study: Study) -> Audit:
        """How many good trials of ``study`` were lost so far, by what became of the audited ones.

        Its text tells it in a sentence.
        """
        past = self._memory(study).learn(study.get_trials(deepcopy=False)).past
        return audit(past.flagged, past.unflagged_passes)

    def look(self, trial: Trial) -> dict[str, Any]:
        """What the look that is due shows, as attributes of ``trial``; empty if none is due."""
        record = read(trial.user_attrs)
        run = run_in_progress(record, self.terms, Planned())
        found = due(run, self.terms.epochs, self.terms.min_epochs, made=[record.look])
        if found is None:
            return {}
        trials = trial.study.get_trials(deepcopy=False)
        learnt = self._memory(trial.study).learn(trials)
        shown, flag = judge_run(
            learnt.past,
            learnt.outlook,
            run_in_progress(record, self.terms, learnt.planned),
            self.terms.epochs,
            found,
            audit_coin=coin(self.terms.seed, trial.number),
            # So Optuna marks a trial that was queued.
            spared="fixed_params" in trials[trial.number].system_attrs,
        )
        return look_attributes(shown, flag)

    def _memory(self, study: Study) -> Memory:
        return self._memories.setdefault(study, Memory(self.terms))


def report(trial: BaseTrial, metrics: Mapping[str, float], step: int) -> None:
    """Keeps the metrics of an epoch on ``trial``, and looks at it if a look is due.

    Epochs may come in any order. A look waits until all epochs before it were reported. A step that
    is reported again replaces the figures; a look that was made stands.

    Optuna is told the margin, the smallest slack, by ``trial.report``: >= 0 passes. Where the study
    minimises it is told the margin with its sign changed, since Optuna's samplers rank pruned
    trials by it. With several objectives Optuna takes no report, and is told nothing.

    Args:
        trial: of a study whose pruner is a :class:`PromotionPruner`. A ``FixedTrial`` is accepted,
            and nothing is done.
        metrics: name -> value. All metrics of the thresholds; others are kept too. NaN and infinity
            are accepted: NaN is worse than any number.
        step: of the epoch that ended; the first one is the pruner's ``first_step``.

    Raises:
        ValueError: a metric is missing or no number, ``step`` is no step of a trial, or the study
            has another pruner.
    """
    if not isinstance(trial, Trial):
        return
    pruner = _pruner(trial)
    epoch, values = pruner.terms.epoch(step), pruner.terms.measured(metrics)
    trial.set_user_attr(*epoch_attribute(epoch, values))
    directions = trial.study.directions
    if len(directions) == 1:
        sign = 1 if directions[0] == StudyDirection.MAXIMIZE else -1
        told = sign * margin(values, pruner.terms.thresholds)
        trial.report(told if math.isfinite(told) else math.nan, step)
    for name, value in pruner.look(trial).items():
        trial.set_user_attr(name, value)


def plan(
    trial: BaseTrial,
    lr: Sequence[float] | None = None,
    loss_weights: Mapping[str, Sequence[float]] | None = None,
) -> None:
    """Keeps on ``trial`` what is known of its schedule in advance, before its first look.

    The forecast then knows, say, that the learning rate has yet to fall. It is optional. A trial
    without a plan among trials with one counts as an average one.

    Args:
        lr: the learning rate of every epoch, in any unit, the same for all trials.
        loss_weights: loss term -> its weight in every epoch.

    Raises:
        ValueError: there is not one finite number for each epoch, or the study has another pruner.
    """
    if not isinstance(trial, Trial):
        return
    terms = _pruner(trial).terms
    made: dict[str, Any] = {} if lr is None else {"lr": terms.planned("lr", lr)}
    if loss_weights is not None:
        made["loss_weights"] = {
            str(term): terms.planned(f"loss weight {term}", values)
            for term, values in loss_weights.items()
        }
    trial.set_user_attr(PLAN, made)


def should_prune(trial: BaseTrial) -> bool:
    """``trial.should_prune()``, which Optuna refuses in a study of several objectives.

    Raises:
        ValueError: the study has another pruner.
    """
    if not isinstance(trial, Trial):
        return False
    return read(trial.user_attrs).is_to_stop(_pruner(trial).terms.thresholds)


def _pruner(trial: Trial) -> PromotionPruner:
    pruner = trial.study.pruner
    if not isinstance(pruner, PromotionPruner):
        raise ValueError(
            f"the study's pruner is {type(pruner).__name__}: create or load the study with "
            "pruner=sweep.optuna_pruner.PromotionPruner(...)"
        )
    return pruner
