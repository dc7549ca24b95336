"""What the pruner learns from the trials of a study, whatever became of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.storages import InMemoryStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from sweep.optuna_pruner import plan, report
from sweep.optuna_pruner.memory import Learnt, Memory
from tests.sweep.optuna_pruner.studies import (
    AUDITS,
    EPOCHS,
    PAST,
    Curve,
    follow,
    loaded,
    metrics,
    pruner,
    rising,
    run,
    study_of,
)
from uvtex.thresholds import Threshold

HOPELESS = rising(0.05)


def learnt(study: optuna.Study) -> Learnt:
    return Memory(study.pruner.terms).learn(study.get_trials(deepcopy=False))


def test_a_stopped_trial_costs_its_chance_as_soon_as_it_is_told_to_stop() -> None:
    study = study_of()
    trial = study.ask()
    follow(trial, HOPELESS)
    told = learnt(study).past
    assert told.ledger.stopped == 1
    assert told.ledger.lost == trial.user_attrs["promotion.probability"]
    study.tell(trial, state=TrialState.PRUNED)
    after = learnt(study).past
    assert (after.ledger, after.flagged, after.flags) == (told.ledger, told.flagged, told.flags)


def test_a_trial_that_returns_a_value_when_told_to_stop_counts_as_stopped() -> None:
    study = study_of()
    trial = study.ask()
    follow(trial, HOPELESS)
    study.tell(trial, 0.0)
    assert learnt(study).past.ledger.stopped == 1


def test_a_trial_that_never_asks_ends_and_its_flag_is_void() -> None:
    study = study_of()
    trial = study.ask()
    for epoch in range(1, EPOCHS + 1):
        report(trial, metrics(0.01), epoch)
    study.tell(trial, 0.0)
    assert trial.user_attrs["promotion.flag"]["audited"] is False
    past = learnt(study).past
    assert (past.ledger.stopped, past.ledger.finished, past.flags) == (0, PAST + 1, 0)


def test_the_audit_tells_what_became_of_the_audited_trials() -> None:
    study = study_of(pruner(AUDITS))
    assert run(study, HOPELESS).state == TrialState.COMPLETE
    made = study.pruner.audit(study)
    assert (made.flagged, made.audited, made.passed, made.extra_epochs) == (1, 1, 0, 13)
    assert str(made).startswith("1 flagged, 1 of them audited, 0 of these passed: 0.0% of the good")


def test_a_trial_that_failed_or_that_others_pruned_tells_nothing() -> None:
    study = study_of()
    before = learnt(study).past
    for state in (TrialState.FAIL, TrialState.PRUNED):
        trial = study.ask()
        follow(trial, rising(0.9), range(1, 10))
        study.tell(trial, state=state)
    study.tell(study.ask(), 0.0)  # it reported nothing
    assert learnt(study).past.ledger == before.ledger


def test_a_trial_that_ends_early_is_learnt_from_as_one_that_stays_low() -> None:
    study = study_of()
    before = learnt(study).past.ledger
    trial = study.ask()
    follow(trial, rising(0.72), range(1, 12))
    study.tell(trial, 0.0)
    past = learnt(study).past
    assert (past.ledger.finished, past.ledger.passed) == (before.finished + 1, before.passed)
    assert past.finished is not None
    assert np.isnan(past.finished.curves.slacks[-1, 11:]).all()


def test_an_epoch_that_an_ended_trial_left_out_is_no_gap() -> None:
    study = study_of()
    trial = study.ask()
    follow(trial, rising(0.9), [epoch for epoch in range(1, EPOCHS + 1) if epoch not in (1, 9)])
    study.tell(trial, 0.0)
    past = learnt(study).past
    assert past.finished is not None
    assert np.isnan(past.finished.curves.slacks[-1, [0, 8]]).all()
    assert past.finished.curves.slacks[-1, -1].min() > 0


def test_trials_of_equal_parameters_count_once_and_trials_without_any_each() -> None:
    study = optuna.create_study(pruner=pruner())
    for number in range(4):
        trial = study.ask()
        if number < 2:
            trial.suggest_float("x", 0.5, 0.5)
        report(trial, metrics(0.1), 1)
        study.tell(trial, 0.0)
    assert learnt(study).past.ledger.finished == 3


def test_trials_without_the_metric_of_a_new_threshold_are_left_out() -> None:
    storage = InMemoryStorage()
    study_of(storage=storage)
    stricter = [Threshold(metric="accuracy", at_least=0.7), Threshold(metric="speed", at_least=1)]
    study = loaded(storage, pruner(thresholds=stricter))
    assert learnt(study).past.finished is None
    assert learnt(loaded(storage, pruner(thresholds=stricter[:1]))).past.ledger.finished == PAST


def lifting(lift: bool) -> tuple[Curve, list[float]]:
    """A curve that is low until the learning rate falls, at epoch 15, if it does."""
    lr = [1.0] * 15 + [0.01 if lift else 1.0] * 5
    return lambda epoch: 0.9 if lift and epoch > 15 else 0.3, lr


def planned_study() -> optuna.Study:
    storage = InMemoryStorage()
    study = study_of(pruner(risk=1e-9), curves=[], storage=storage)
    for number in range(40):
        curve, lr = lifting(number % 3 == 0)
        trial = study.ask()
        plan(trial, lr=lr, loss_weights={"uv": [0.5] * EPOCHS})
        for epoch in range(1, EPOCHS + 1):
            report(trial, metrics(curve(epoch) + 1e-3 * np.sin(number)), epoch)
        trial.suggest_float("x", 0, 1)
        study.tell(trial, 0.0)
    return loaded(storage, pruner())


def test_a_plan_tells_the_forecast_what_is_to_come() -> None:
    study = planned_study()
    chances: list[Any] = []
    for lift in (True, False, None):
        trial = study.ask()
        curve, lr = lifting(bool(lift))
        if lift is not None:
            plan(trial, lr=lr, loss_weights={"other": [1.0] * EPOCHS})
        follow(trial, curve, range(1, 8))
        chances.append(trial.user_attrs["promotion.probability"])
    lifts, stays, unknown = chances
    assert lifts > 0.9
    assert stays < 0.1
    assert stays <= unknown < lifts


def test_where_no_ended_trial_has_a_plan_it_changes_nothing() -> None:
    found = []
    for planned in (False, True):
        trial = study_of().ask()
        if planned:
            plan(trial, lr=[0.1] * EPOCHS, loss_weights={"uv": [0.5] * EPOCHS})
        follow(trial, HOPELESS)
        found.append(trial.user_attrs["promotion.probability"])
    assert found[0] == found[1]


class Counting(InMemoryStorage):
    """A storage that counts the calls of what costs a database a transaction."""

    def __init__(self) -> None:
        super().__init__()
        self.writes = self.reads = 0

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        self.writes += 1
        super().set_trial_user_attr(trial_id, key, value)

    def get_all_trials(self, *args: Any, **kwargs: Any) -> Any:
        self.reads += 1
        return super().get_all_trials(*args, **kwargs)


def test_a_report_writes_one_attribute_and_a_look_reads_the_study_once() -> None:
    storage = Counting()
    study = study_of(storage=storage)
    trial = study.ask()
    storage.writes = storage.reads = 0
    assert follow(trial, rising(0.7)) is None
    looks = 4
    assert storage.writes == EPOCHS + 4 * looks  # probability, forecast, reason, epoch
    assert storage.reads == looks


def test_two_processes_that_share_a_storage_decide_as_one(tmp_path: Path) -> None:
    def storage() -> JournalStorage:
        return JournalStorage(JournalFileBackend(str(tmp_path / "study.log")))

    alone = study_of()
    study_of(storage=storage())
    first, second = loaded(storage(), pruner()), loaded(storage(), pruner())
    curves = [HOPELESS, rising(0.3), rising(0.7), rising(0.2)]
    for study, curve in zip([first, second, first, second], curves, strict=True):
        found, wanted = run(study, curve), run(alone, curve)
        assert found.state == wanted.state
        assert found.user_attrs == wanted.user_attrs
    assert first.pruner.audit(first) == second.pruner.audit(second) == alone.pruner.audit(alone)


def test_one_pruner_serves_two_studies() -> None:
    shared = pruner()
    rich, poor = study_of(shared), study_of(shared, curves=[])
    assert run(rich, HOPELESS).state == TrialState.PRUNED
    assert run(poor, HOPELESS).state == TrialState.COMPLETE
