"""``PromotionPruner`` in studies of Optuna: what it stops, what it lets go on, what it writes."""

from __future__ import annotations

import json
import math

import optuna
import pytest
from optuna.storages import InMemoryStorage
from optuna.trial import TrialState

from sweep.optuna_pruner import report, should_prune
from tests.sweep.optuna_pruner.studies import (
    AUDITS,
    EPOCHS,
    Curve,
    follow,
    in_progress,
    loaded,
    metrics,
    pruner,
    rising,
    run,
    study_of,
)

HOPELESS = rising(0.05)


def test_a_trial_that_will_not_pass_is_stopped_at_its_first_look_and_says_why() -> None:
    trial = run(study_of(), HOPELESS)
    assert trial.state == TrialState.PRUNED
    kept = trial.user_attrs
    assert kept["promotion.look"] == 7 == trial.last_step
    assert 0 < kept["promotion.probability"] < 0.05
    assert kept["promotion.forecast"]["mean"] < -1
    assert kept["promotion.forecast"]["deviation"] > 0
    assert kept["promotion.reason"].startswith("it passes with probability")
    assert kept["promotion.flag"]["epoch"] == 7
    assert kept["promotion.flag"]["audited"] is False
    json.dumps(kept, allow_nan=False)


def test_a_trial_that_may_pass_goes_on_and_says_why() -> None:
    trial = run(study_of(), rising(0.7))
    assert trial.state == TrialState.COMPLETE
    assert trial.user_attrs["promotion.look"] == 16
    assert "promotion.flag" not in trial.user_attrs
    assert "a new one with" in trial.user_attrs["promotion.reason"]


def test_before_twelve_trials_have_ended_nothing_is_stopped() -> None:
    study = study_of(curves=[rising(0.1 * n, n) for n in range(11)])
    trial = run(study, HOPELESS)
    assert trial.state == TrialState.COMPLETE
    assert "too few have ended" in trial.user_attrs["promotion.reason"]
    assert "promotion.probability" not in trial.user_attrs


def test_an_audited_trial_goes_on_and_stays_audited_in_another_process() -> None:
    storage = InMemoryStorage()
    study = study_of(pruner(AUDITS), storage=storage)
    trial = study.ask()
    assert follow(trial, HOPELESS, range(1, 11)) is None
    again = loaded(storage, pruner(AUDITS))
    resumed = in_progress(again)
    assert resumed.user_attrs["promotion.flag"] == trial.user_attrs["promotion.flag"]
    assert follow(resumed, HOPELESS, range(11, EPOCHS + 1)) is None
    assert resumed.user_attrs["promotion.flag"]["audited"] is True
    assert resumed.user_attrs["promotion.look"] == 7  # after a flag it is not looked at again


def test_a_queued_trial_is_never_stopped() -> None:
    study = study_of()
    study.enqueue_trial({"x": 0.5})
    trial = run(study, HOPELESS)
    assert trial.state == TrialState.COMPLETE
    assert trial.params == {"x": 0.5}
    assert "asked for by name" in trial.user_attrs["promotion.reason"]


def test_metrics_that_are_not_numbers_count_as_the_lowest() -> None:
    trial = run(study_of(), lambda epoch: 0.3 if epoch < 3 else math.nan)
    assert (trial.state, trial.last_step) == (TrialState.PRUNED, 7)
    assert math.isnan(trial.intermediate_values[7])
    assert trial.user_attrs["promotion.epoch.0007"] == {"accuracy": "nan", "loss": "nan"}
    json.dumps(trial.user_attrs, allow_nan=False)


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_trials_that_diverged_are_learnt_from(odd: float) -> None:
    curves = [rising(0.03 * n, n) for n in range(30)]
    diverged: list[Curve] = [lambda epoch: 0.3 if epoch < 9 else odd, lambda epoch: odd]
    study = study_of(curves=[*curves, *diverged])
    assert run(study, rising(0.68)).state == TrialState.COMPLETE
    assert study.trials[-1].user_attrs["promotion.probability"] > 0


def test_a_trial_that_rises_and_collapses_has_passed_and_is_not_stopped() -> None:
    trial = run(study_of(), lambda epoch: 0.8 if epoch in (4, 5) else 0.01)
    assert trial.state == TrialState.COMPLETE
    assert trial.user_attrs["promotion.reason"] == "it passes already"


@pytest.mark.parametrize("value", [0.1, 0.9])
def test_trials_that_are_constant_and_all_alike_are_judged(value: float) -> None:
    study = study_of(curves=[lambda epoch: value] * 30)
    trial = run(study, lambda epoch: value)
    assert "promotion.reason" in trial.user_attrs
    if value > 0.7:
        assert trial.state == TrialState.COMPLETE


def test_epochs_in_any_order_are_judged_as_those_in_order() -> None:
    in_order, mixed = study_of(), study_of()
    follow(in_order.ask(), HOPELESS)
    assert follow(mixed.ask(), HOPELESS, [7, 3, 1, 2, 6, 4]) is None
    assert "promotion.look" not in mixed.trials[-1].user_attrs
    assert follow(in_progress(mixed), HOPELESS, [5]) == 5
    wanted, found = (study.trials[-1].user_attrs for study in (in_order, mixed))
    assert found == wanted


def test_trials_that_lift_at_the_last_epoch_are_not_stopped_once_some_of_them_are_known() -> None:
    def lifts(epoch: int) -> float:
        return 0.9 if epoch == EPOCHS else 0.1

    ended = [curve for n in range(20) for curve in (lifts, rising(0.2, n))]
    trial = run(study_of(curves=ended), lifts)
    assert trial.state == TrialState.COMPLETE
    assert trial.user_attrs["promotion.probability"] > 0.5


def test_a_trial_is_not_stopped_at_its_last_epoch() -> None:
    trial = study_of().ask()
    assert follow(trial, HOPELESS, reversed(range(2, EPOCHS + 1))) is None
    assert follow(trial, HOPELESS, [1]) == 1  # the look at 16 epochs waited for this one
    assert trial.user_attrs["promotion.look"] == 16


def test_a_look_waits_behind_a_gap() -> None:
    trial = study_of().ask()
    assert follow(trial, HOPELESS, [epoch for epoch in range(1, 21) if epoch != 4]) is None
    assert "promotion.look" not in trial.user_attrs


def test_asked_late_a_trial_that_has_passed_since_its_flag_goes_on() -> None:
    trial = study_of().ask()
    for epoch in range(1, 10):
        report(trial, metrics(0.01 if epoch < 9 else 0.9), epoch)
    assert trial.user_attrs["promotion.flag"]["audited"] is False
    assert not trial.should_prune()


def test_a_step_that_is_reported_again_replaces_the_figures_and_repeats_no_look() -> None:
    trial = study_of().ask()
    assert follow(trial, rising(0.68), range(1, 8)) is None
    shown = trial.user_attrs["promotion.probability"]
    with pytest.warns(UserWarning, match="already reported"):
        report(trial, metrics(0.0), 7)
    assert trial.user_attrs["promotion.epoch.0007"] == metrics(0.0)
    assert trial.user_attrs["promotion.probability"] == shown


@pytest.mark.parametrize("first", [0, 1, 100])
def test_steps_may_start_anywhere(first: int) -> None:
    trial = study_of(pruner(first_step=first)).ask()
    for step in range(first, first + 7):
        assert not trial.should_prune()
        report(trial, metrics(HOPELESS(step - first + 1)), step)
    assert trial.should_prune()
    assert trial.user_attrs["promotion.look"] == 7


def test_both_thresholds_must_be_met_in_one_epoch() -> None:
    trial = study_of().ask()
    for epoch in range(1, 8):
        values = {"accuracy": 0.9, "loss": 0.9} if epoch % 2 else {"accuracy": 0.1, "loss": 0.1}
        report(trial, values, epoch)
    assert trial.user_attrs["promotion.reason"] != "it passes already"


def test_optuna_is_told_the_margin_in_the_direction_of_the_study() -> None:
    found = []
    for direction in ("maximize", "minimize"):
        study = optuna.create_study(direction=direction, pruner=pruner())
        trial = study.ask()
        report(trial, {"accuracy": 0.35, "loss": 0.1}, 1)
        found.append(study.trials[0].intermediate_values)
    assert found == [{1: -0.5}, {1: 0.5}]


def test_what_trial_report_was_told_alone_is_not_judged_and_a_warning_says_so() -> None:
    trial = study_of().ask()
    trial.report(0.1, 1)
    with pytest.warns(UserWarning, match=r"call sweep\.optuna_pruner\.report"):
        assert not trial.should_prune()


def test_own_reports_to_optuna_change_no_decision() -> None:
    trial = study_of().ask()
    for epoch in range(1, 8):
        trial.report(0.5, epoch)
        with pytest.warns(UserWarning, match="already reported"):
            report(trial, metrics(HOPELESS(epoch)), epoch)
    assert trial.should_prune()


def test_optuna_refuses_several_objectives_and_ours_takes_them() -> None:
    study = optuna.create_study(directions=["maximize", "minimize"], pruner=pruner())
    for trial in study_of().trials:
        study.add_trial(
            optuna.create_trial(values=[0.0, 0.0], params={}, user_attrs=trial.user_attrs)
        )
    trial = study.ask()
    with pytest.raises(NotImplementedError, match="report is not supported for multi-objective"):
        trial.report(0.5, 1)
    with pytest.raises(NotImplementedError, match="should_prune is not supported for multi-obj"):
        trial.should_prune()
    for epoch in range(1, 8):
        assert not should_prune(trial)
        report(trial, metrics(HOPELESS(epoch)), epoch)
    assert should_prune(trial)
    assert study.tell(trial, state=TrialState.PRUNED).state == TrialState.PRUNED


def test_a_fixed_trial_is_never_stopped_and_keeps_nothing() -> None:
    fixed = optuna.trial.FixedTrial({"x": 1.0})
    report(fixed, {}, -1)
    assert not should_prune(fixed)
    assert fixed.user_attrs == {}
