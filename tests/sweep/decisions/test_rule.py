"""The rule as a whole: looks, flags, audit, and what it learns from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sweep.decisions.stopping.audit import Evidence, coin
from sweep.decisions.stopping.outlook import Outlook, fit
from sweep.decisions.stopping.rule import History, Run, due, fitted_runs, history, judge_run
from sweep.study.look import Flag

EPOCHS, LEAST = 20, 5
FLAG = Flag(epoch=7, chance=0.001, share=0.3, audited=False)
AUDITED = FLAG.model_copy(update={"audited": True})


def run(end: float, number: int = 0, epochs: int = EPOCHS, noise: float = 0.02) -> Run:
    """Two metrics that saturate at ``end``; the run passes if that is above 0."""
    rng = np.random.default_rng(number)
    shape = 1 - np.exp(-np.arange(1, EPOCHS + 1) / 4)
    first = -1 + (1 + end) * shape + rng.normal(0, noise, EPOCHS)
    slacks = {e + 1: [first[e], 2 * first[e] + 0.01] for e in range(epochs)}
    return Run(number, slacks, lr=np.linspace(1, 0, EPOCHS), loss_weights=np.ones((EPOCHS, 4)))


def ended(count: int, seed: int = 0) -> list[Run]:
    """Runs that ended, about a quarter of which passed."""
    ends = np.random.default_rng(seed).normal(-0.3, 0.4, count)
    return [replace(run(end, n), state="ended") for n, end in enumerate(ends)]


def learnt(runs: list[Run]) -> tuple[History, Outlook | None]:
    past = history(runs, EPOCHS, risk=0.05)
    assert past.finished is not None
    return past, fit(past.finished)


def test_looks_are_due_once_each_and_after_gaps_are_filled() -> None:
    whole = run(-0.5)
    assert due(replace(whole, slacks={e: whole.slacks[e] for e in range(1, 7)}), 20, 5) is None
    assert due(run(-0.5, epochs=7), EPOCHS, LEAST) == (0, 7)
    assert due(run(-0.5, epochs=7), EPOCHS, LEAST, made=[7]) is None
    assert due(run(-0.5, epochs=9), EPOCHS, LEAST) == (0, 7)  # its own epoch was missed
    assert due(run(-0.5, epochs=14), EPOCHS, LEAST, made=[7]) == (2, 13)
    assert due(run(-0.5, epochs=7), EPOCHS, least=8) is None
    gap = {e: s for e, s in run(-0.5, epochs=14).slacks.items() if e != 8}
    assert due(replace(whole, slacks=gap), EPOCHS, LEAST) == (0, 7)


def test_after_a_flag_no_look_is_due() -> None:
    assert due(replace(run(-0.5, epochs=10), flag=AUDITED), EPOCHS, LEAST, made=[7]) is None


def test_a_hopeless_run_is_stopped_and_a_good_one_is_not() -> None:
    past, outlook = learnt(ended(120))
    shown, flag = judge_run(
        past, outlook, run(-0.95, 500, epochs=10), EPOCHS, (1, 10), audit_coin=0.99
    )
    assert flag is not None
    assert not flag.audited
    assert (flag.epoch, flag.chance) == (10, shown.chance)
    assert shown.forecast is not None
    assert shown.forecast.mean < 0
    assert "it passes with probability" in shown.reason
    shown, flag = judge_run(
        past, outlook, run(0.3, 501, epochs=10), EPOCHS, (1, 10), audit_coin=0.99
    )
    assert flag is None
    assert shown.chance is not None
    assert shown.chance > 0.5


def test_the_same_run_goes_on_if_its_coin_says_so() -> None:
    past, outlook = learnt(ended(120))
    bad = run(-0.95, 500, epochs=10)
    flags = [judge_run(past, outlook, bad, EPOCHS, (1, 10), audit_coin=c)[1] for c in (0.29, 0.31)]
    assert [flag is not None and flag.audited for flag in flags] == [True, False]
    _, named = judge_run(past, outlook, bad, EPOCHS, (1, 10), audit_coin=0.99, spared=True)
    assert named is None


def test_without_enough_ended_runs_nothing_is_forecast_or_flagged() -> None:
    past, outlook = learnt(ended(11))
    assert outlook is None
    shown, flag = judge_run(past, None, run(-0.95, epochs=10), EPOCHS, (1, 10), audit_coin=0.99)
    assert (shown.chance, shown.forecast, flag) == (None, None, None)


def test_what_was_stopped_costs_its_chance_and_what_was_audited_tells_what_came_of_it() -> None:
    runs = [
        *ended(10),
        replace(run(-0.9, 20, epochs=7), state="stopped", flag=FLAG),
        replace(run(-0.9, 21), state="ended", flag=AUDITED),
        replace(run(0.5, 22), state="ended", flag=AUDITED),
        replace(run(-0.9, 23, epochs=9), state="failed", flag=AUDITED),
        replace(run(-0.9, 24, epochs=9), flag=AUDITED),
        replace(run(-0.9, 25, epochs=3), state="failed"),
    ]
    past = history(runs, EPOCHS, risk=0.05)
    assert (past.ledger.stopped, past.ledger.lost) == (1, 0.001)
    assert past.ledger.risked == pytest.approx(0.005)
    assert past.ledger.finished == 12
    assert past.flags == 5
    assert [(one.passed, one.extra_epochs) for one in past.flagged] == [
        (None, 0),
        (False, 13),
        (True, 13),
        (False, 2),
    ]
    assert past.finished is not None
    assert list(past.finished.weights) == [1.0] * 10 + [1 / 0.3] * 2


def test_a_forecast_is_learnt_from_the_first_runs_and_anew_for_every_hundredth_more() -> None:
    runs = ended(205)
    past, later = history(runs[:203], EPOCHS, 0.05), history(runs, EPOCHS, 0.05)
    assert past.finished is not None
    assert later.finished is not None
    assert len(past.learnt) == 203
    assert len(past.finished.curves) == 202
    assert len(later.finished.curves) == 204
    assert (later.finished.curves.slacks[:202] == past.finished.curves.slacks).all()
    counts = [fitted_runs(number) for number in range(3000)]
    assert counts[:200] == list(range(200))
    assert counts == sorted(counts)
    assert all(0.99 * number <= count <= number for number, count in enumerate(counts))


def test_seeds_of_one_configuration_count_once() -> None:
    runs = ended(30)
    twice = [*runs, *(replace(one, slacks=run(0.5, 99).slacks) for one in runs)]
    assert history(twice, EPOCHS, 0.05).ledger == history(runs, EPOCHS, 0.05).ledger


def test_audited_runs_that_pass_against_all_odds_raise_the_chances() -> None:
    lucky = [replace(run(0.5, 40 + n), state="ended", flag=AUDITED) for n in range(4)]
    past = history([*ended(120), *lucky], EPOCHS, 0.05)
    assert past.evidence.factor > 1
    calm = replace(past, evidence=Evidence())
    assert past.finished is not None
    outlook = fit(past.finished)
    chances = [
        judge_run(one, outlook, run(-0.6, 500, epochs=10), EPOCHS, (1, 10), audit_coin=1.0)[
            0
        ].chance
        for one in (calm, past)
    ]
    assert chances[0] is not None
    assert chances[1] == pytest.approx(min(1, past.evidence.factor * chances[0]))


@pytest.mark.parametrize("shape", ["nan", "constant", "collapses", "lifts at the end"])
def test_curves_of_any_shape_are_learnt_from_and_judged(shape: str) -> None:
    odd = run(-0.5, 7, noise=0.0)
    first = np.array([odd.slacks[e] for e in range(1, EPOCHS + 1)])
    if shape == "nan":
        first[4:] = np.nan
    elif shape == "constant":
        first[:] = -0.25
    elif shape == "collapses":
        first[10], first[11:] = 0.5, -5.0
    else:
        first[-1] = 0.5
    whole = replace(odd, slacks={e + 1: list(row) for e, row in enumerate(first)}, state="ended")
    assert whole.passed is (shape in ("collapses", "lifts at the end"))
    past, outlook = learnt([*ended(40), *(replace(whole, settings=(shape, n)) for n in range(5))])
    early = replace(whole, slacks={e: whole.slacks[e] for e in range(1, 11)}, state="running")
    shown, _ = judge_run(past, outlook, early, EPOCHS, (1, 10), audit_coin=0.5)
    assert shown.chance is not None
    assert 0 <= shown.chance <= 1


def test_coins_are_fixed_by_study_and_trial() -> None:
    assert coin(1, 7) == coin(1, 7) != coin(1, 8)


def test_a_decision_reads_nothing_but_its_runs() -> None:
    runs = ended(60)
    first, again = (
        judge_run(*learnt(runs), run(-0.5, 9, epochs=10), EPOCHS, (1, 10), audit_coin=0.5)
        for _ in range(2)
    )
    assert first == again
