"""The chance of passing, learnt from finished runs: calibrated, careful, and fast."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.decisions.stopping import outlook, ridge
from sweep.decisions.stopping.audit import Evidence
from sweep.decisions.stopping.curves import (
    LOOKS,
    Curves,
    epochs_seen,
    features,
    joint,
    prefix,
    rising,
    scaled,
    spread,
)
from sweep.decisions.stopping.ledger import Ledger
from sweep.decisions.stopping.outlook import LEAST_OWN, Finished, Kind, Outlook, fit

EPOCHS = 20
SCHEDULED = Kind(schedule=True)


def saturating(n: int, seed: int, noise: float = 0.03) -> Curves:
    """Two metrics that saturate at ends near zero slack; about a third of the runs pass both."""
    rng = np.random.default_rng(seed)
    ends = rng.normal(-0.1, 0.5, size=(n, 1, 2)) * [1.0, 0.5]
    shape = 1 - np.exp(-np.arange(1, EPOCHS + 1) / 6)[None, :, None]
    slacks = -2 + (2 + ends) * shape + rng.normal(0, noise, size=(n, EPOCHS, 2))
    return Curves(slacks)


def lifted(n: int, seed: int) -> Curves:
    """Flat runs; half of them anneal their learning rate, and these rise at the very end."""
    rng = np.random.default_rng(seed)
    anneals = rng.random(n) < 0.5
    lr = np.where(anneals[:, None], np.linspace(1, 0, EPOCHS), np.ones(EPOCHS))
    slacks = -1 + rng.normal(0, 0.1, size=(n, EPOCHS, 2))
    slacks[anneals, -1] += 1.5
    return Curves(slacks, lr=lr)


def leaping(n: int, seed: int) -> Curves:
    """Runs that saturate; of those that end below the threshold one in twelve leaps at the end."""
    rng = np.random.default_rng(seed)
    slacks = saturating(n, seed).slacks.copy()
    leaps = (joint(slacks).max(axis=1) < 0) & (rng.random(n) < 1 / 12)
    slacks[leaps, -1] = 0.02
    return Curves(slacks)


def failing_far(n: int, seed: int) -> Curves:
    """Tame runs fail by little and never pass; of the wild ones some pass, and most fail by far."""
    rng = np.random.default_rng(seed)
    wild = rng.normal(size=n)
    ends = np.where(wild < 0, rng.uniform(-3, -1, size=n), -10 * wild)
    ends[(wild > 0) & (rng.random(n) < 0.3)] = 0.5
    slacks = -4 + wild[:, None, None] + rng.normal(0, 0.3, size=(n, EPOCHS, 2))
    slacks[:, -1] = ends[:, None]
    return Curves(slacks)


def learnt(curves: Curves, kind: Kind | None = None) -> Outlook:
    """The forecast from ``curves``, each of weight 1."""
    made = fit(Finished(curves, np.ones(len(curves))), kind=kind)
    assert made is not None
    return made


def seen(curves: Curves, epochs: int) -> Curves:
    """``curves`` as they stood after ``epochs``."""
    return replace(curves, slacks=curves.slacks[:, :epochs], length=curves.epochs)


def chances(model: Outlook, curves: Curves, look: int) -> np.ndarray:
    """P(pass) at a look."""
    epochs = epochs_seen(look, curves.epochs)
    assert epochs is not None
    return model.chance(seen(curves, epochs), look, epochs)


def passes(curves: Curves) -> np.ndarray:
    """Whether some epoch passes both thresholds."""
    return joint(curves.slacks).max(axis=1) >= 0


def surprise(model: Outlook, curves: Curves) -> float:
    """Mean of -log P(what became of a run) at the first look."""
    p, y = chances(model, curves, 0), passes(curves)
    return float(-np.where(y, np.log(p), np.log1p(-p)).mean())


def test_looks_are_fractions_of_the_run_and_none_is_before_the_least_epoch() -> None:
    assert [epochs_seen(look, 20) for look in range(len(LOOKS))] == [7, 10, 13, 16]
    assert [epochs_seen(look, 20, least=11) for look in range(len(LOOKS))] == [None, None, 13, 16]
    assert epochs_seen(3, 1) is None


def test_expected_passes_are_not_too_few_and_later_looks_know_more() -> None:
    model, fresh = learnt(saturating(60, 0)), saturating(400, 1)
    losses = []
    for look in range(len(LOOKS)):
        p, y = chances(model, fresh, look), passes(fresh)
        assert 0.8 * y.sum() <= p.sum() <= 2 * y.sum()  # rather too many than too few
        losses.append(-np.where(y, np.log(p), np.log1p(-p)).mean())
    assert losses[-1] < losses[0] < 0.3  # the base rate's


@pytest.mark.parametrize("kind", [Kind(), SCHEDULED, Kind(squash=True, schedule=True)])
@pytest.mark.parametrize("n", [LEAST_OWN, Kind().least_runs - 1])
def test_with_too_few_runs_and_no_prior_there_is_no_forecast(kind: Kind, n: int) -> None:
    assert fit(Finished(saturating(n, 0), np.ones(n)), kind=kind) is None


def test_a_prior_forecasts_from_five_runs_on_in_other_units() -> None:
    other = saturating(80, 3)
    prior = [Finished(replace(other, slacks=100 * other.slacks), np.ones(80))]
    own = saturating(LEAST_OWN, 4)
    model = fit(Finished(own, np.ones(LEAST_OWN)), prior)
    assert model is not None
    fresh = saturating(300, 5)
    p, y = chances(model, fresh, 2), passes(fresh)
    assert p[y].mean() > p[~y].mean() + 0.2


def test_good_runs_that_look_hopeless_are_counted_with() -> None:
    """They are few, so the bulk of the forecasts is right without them, and the tail is not."""
    fresh = leaping(2000, 1)
    for look in (0, 3):
        told = {
            kind.doubtful: chances(learnt(leaping(240, 0), kind), fresh, look)
            for kind in (Kind(), Kind(doubtful=False))
        }
        hopeless = told[True] < np.quantile(told[True], 0.3)
        share = passes(fresh)[hopeless].mean()
        assert told[False][hopeless].mean() < 0.5 * share
        assert 0.6 * share < told[True][hopeless].mean() < 3 * share


def test_the_least_chance_of_a_kind_is_the_lowest_that_its_runs_get() -> None:
    model, fresh = learnt(leaping(120, 0)), leaping(500, 1)
    for look in range(len(LOOKS)):
        epochs = epochs_seen(look, EPOCHS) or 1
        least = model.least(fresh, look, epochs)
        settled, rises = model.corrections[look].least
        assert least.tolist() == [
            rises if still else settled for still in rising(fresh, epochs, model.spreads)
        ]
        assert (least > 0).all()
        assert (least <= chances(model, fresh, look)).all()


def test_how_far_most_runs_fail_does_not_hide_which_are_near() -> None:
    past, fresh = failing_far(150, 0), failing_far(1000, 1)
    both, wide = (surprise(learnt(past, kind), fresh) for kind in (Kind(), Kind(clips=(8.0,))))
    assert both < wide - 0.01


def test_where_runs_fail_by_degrees_the_narrow_target_takes_nothing_away() -> None:
    past, fresh = saturating(150, 0), saturating(1000, 1)
    both, wide = (surprise(learnt(past, kind), fresh) for kind in (Kind(), Kind(clips=(8.0,))))
    assert both == pytest.approx(wide, abs=0.002)


def test_what_a_loss_weighs_is_foreseen_and_only_ratios_count() -> None:
    """The runs look alike until the end, which the second weight decides."""
    rng = np.random.default_rng(0)
    ratio = rng.uniform(0.1, 10, size=200)
    weights = np.stack([np.ones(200), ratio], axis=1)[:, None] * np.ones((1, EPOCHS, 1))
    slacks = -1 + rng.normal(0, 0.1, size=(200, EPOCHS, 2))
    slacks[:, -1] = np.where(ratio > 5, 0.2, -0.5)[:, None]
    curves = Curves(slacks, loss_weights=weights)
    model = learnt(curves)
    p, y = chances(model, curves, 0), passes(curves)
    assert (p[y][:, None] > p[~y]).mean() > 0.95
    scale = rng.uniform(0.1, 10, size=(200, 1, 1))
    scaled_weights = replace(curves, loss_weights=weights * scale)
    assert chances(model, scaled_weights, 0) == pytest.approx(chances(model, curves, 0))
    off = replace(curves, loss_weights=np.zeros_like(weights))
    assert np.isfinite(chances(model, off, 0)).all()


def test_what_the_learning_rate_will_do_is_foreseen() -> None:
    model, fresh = learnt(lifted(80, 0), SCHEDULED), lifted(200, 1)
    blind = learnt(lifted(80, 0), Kind(schedule=False))
    y = passes(fresh)
    assert chances(model, fresh, 0)[y].min() > chances(model, fresh, 0)[~y].max()
    assert chances(blind, fresh, 0)[y].min() < chances(blind, fresh, 0)[~y].max()


def test_a_lift_at_the_last_epoch_is_not_ruled_out_by_runs_that_lifted() -> None:
    """Nothing tells before the end which run lifts: the chance stays near their share."""
    curves = replace(lifted(80, 0), lr=None)
    p = chances(learnt(curves), curves, 3)
    assert p.min() > 0.2


def test_a_run_that_collapsed_has_passed_if_its_best_epoch_did() -> None:
    curves = saturating(60, 0)
    slacks = curves.slacks.copy()
    slacks[:, 15:] -= 3.0  # all collapse after their best
    collapsed = Curves(slacks)
    fresh = Curves(np.where(np.arange(EPOCHS)[:, None] >= 15, -3.0, saturating(200, 1).slacks))
    p, y = chances(learnt(collapsed), fresh, 2), passes(fresh)
    assert p[y].mean() > p[~y].mean() + 0.3


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 0.0, -1.0, 1e30, -1e30])
def test_any_curve_gets_a_probability(value: float) -> None:
    model = learnt(saturating(40, 0))
    for look in range(len(LOOKS)):
        p = chances(model, Curves(np.full((1, EPOCHS, 2), value)), look)
        assert np.isfinite(p).all()
        assert ((p >= 0) & (p <= 1)).all()


def test_a_run_that_is_no_number_any_more_is_less_likely_to_pass() -> None:
    model, fresh = learnt(saturating(60, 0)), saturating(50, 1)
    broken = Curves(fresh.slacks.copy())
    broken.slacks[:, 3:] = np.nan
    assert (chances(model, broken, 1) <= chances(model, fresh, 1)).mean() > 0.9


def test_constant_curves_have_the_base_rate_at_least() -> None:
    """Features that do not vary say nothing."""
    slacks = np.full((40, EPOCHS, 2), -1.0)
    slacks[:10, -1] = 0.5
    curves = Curves(slacks)
    p = chances(learnt(curves), curves, 1)
    assert np.ptp(p) < 1e-9
    assert 0.1 < p[0] < 0.5


@given(st.permutations(range(30)))
@settings(max_examples=10, deadline=None)
def test_the_order_of_finished_runs_does_not_matter(order: list[int]) -> None:
    curves = saturating(30, 0)
    shuffled = Curves(curves.slacks[order])
    fresh = saturating(5, 1)
    assert chances(learnt(shuffled), fresh, 1) == pytest.approx(
        chances(learnt(curves), fresh, 1), rel=1e-6
    )


@given(st.permutations(range(1, 8)))
def test_epochs_that_arrive_out_of_order_are_read_in_order(order: list[int]) -> None:
    reported = {epoch: [float(epoch), -float(epoch)] for epoch in order}
    assert prefix(reported)[:, 0].tolist() == list(range(1, 8))
    del reported[4]
    assert prefix(reported).shape == (3, 2)
    assert prefix({2: [1.0]}).size == 0


def test_what_comes_after_the_look_changes_nothing() -> None:
    model, fresh = learnt(saturating(40, 0)), saturating(20, 1)
    other = Curves(fresh.slacks.copy())
    other.slacks[:, 10:] = 7.0
    assert np.array_equal(chances(model, fresh, 1), chances(model, other, 1))


@given(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3))
@settings(max_examples=10, deadline=None)
def test_units_of_the_metrics_do_not_matter(one: float, other: float) -> None:
    units = np.array([one, other])
    curves, fresh = saturating(30, 0), saturating(5, 1)
    changed = chances(learnt(Curves(curves.slacks * units)), Curves(fresh.slacks * units), 1)
    assert changed == pytest.approx(chances(learnt(curves), fresh, 1), rel=1e-5)


def test_an_audited_run_counts_by_its_weight() -> None:
    """A run of weight three pulls as three copies of it do, but for the number of runs."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(30, 3))
    y = x[:, 0] + np.r_[5.0, np.zeros(29)]
    weighted = ridge.fit(x, y, np.r_[3.0, np.ones(29)])
    copied = ridge.fit(np.r_[x[:1], x[:1], x], np.r_[y[:1], y[:1], y], np.ones(32))
    heavy, light = weighted.coefficients, ridge.fit(x, y, np.ones(30)).coefficients
    assert np.abs(heavy - copied.coefficients).max() < np.abs(light - copied.coefficients).max()


def test_the_left_out_chances_are_those_of_fits_without_the_run() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(60, 4))
    y = x @ [1.0, -1.0, 0.5, 0.0] + rng.normal(0, 0.5, size=60)
    whole = ridge.fit(x, y, np.ones(60))
    for i in range(0, 60, 7):
        rest = np.arange(60) != i
        without = ridge.fit(x[rest], y[rest], np.ones(59)).chance(x[i : i + 1])
        assert whole.left_out[i] == pytest.approx(float(without[0]), abs=0.03)


def test_few_runs_are_refused_by_the_regression() -> None:
    with pytest.raises(ValueError, match="three runs, got 2"):
        ridge.fit(np.zeros((2, 1)), np.zeros(2), np.ones(2))


@given(st.floats(-1e6, 1e6), st.booleans())
def test_scaling_keeps_on_which_side_of_the_threshold_a_slack_lies(
    slack: float, squash: bool
) -> None:
    scaled_slack = scaled(np.array([slack]), np.array([0.3]), squash)[0]
    assert (scaled_slack >= 0) == (slack >= 0)


def test_spreads_are_positive_whatever_the_runs() -> None:
    runs = np.full((10, 5, 3), 0.5)
    runs[:2, :, 1] = 2.0
    runs[:, :, 2] = np.nan
    assert (spread(runs) > 0).all()
    runs[:, :, 2] = np.arange(10)[:, None]
    assert spread(runs)[2] == pytest.approx(1.4826 * 2.5)


def test_unknown_schedules_are_unknown_features_and_not_errors() -> None:
    curves = lifted(30, 0)
    assert curves.lr is not None
    curves.lr[::3] = np.nan
    model = learnt(curves, SCHEDULED)
    assert np.isfinite(chances(model, curves, 1)).all()
    bare = features(Curves(curves.slacks), 7, np.ones(2), False, True)
    weighted = Curves(curves.slacks, loss_weights=np.ones((30, EPOCHS, 4)))
    assert features(weighted, 7, np.ones(2), False, True).shape[1] == bare.shape[1] + 4


def test_a_decision_takes_less_than_twenty_milliseconds() -> None:
    """The fit to 200 runs, which precedes it at most once a finished trial, included."""
    curves, fresh = saturating(200, 0), saturating(1, 1)
    seconds = []
    for _ in range(5):
        began = time.process_time()
        chances(learnt(curves), fresh, 2)
        seconds.append(time.process_time() - began)
    assert min(seconds) < 0.02


def test_a_late_flag_is_worth_less_than_an_early_one_and_the_fewer_is_left_the_less() -> None:
    outlook = learnt(saturating(120, 0))
    rich, poor = Ledger(passed=30, finished=120), Ledger(passed=30, finished=120, risked=1.5)
    early, late = (outlook.worth(poor, Evidence(), saved) for saved in (0.65, 0.2))
    assert late == pytest.approx(early * 0.2 / 0.65)
    assert early <= outlook.worth(rich, Evidence(), 0.65)
    assert 0 < early < 1
    assert learnt(saturating(120, 0), Kind(priced=False)).worth(poor, Evidence(), 0.2) == 1.0


def test_chances_that_are_raised_raise_the_price_and_buy_less() -> None:
    outlook, ledger = learnt(saturating(120, 0)), Ledger(passed=30, finished=120, risked=1.5)
    plain, raised = (outlook.worth(ledger, Evidence(factor=f), 0.65) for f in (1.0, 3.0))
    assert 0 < raised / 3 <= plain


def test_the_chosen_forecast_is_the_default() -> None:
    chosen = Kind(
        squash=False,
        schedule=True,
        clips=(8.0, 1.0),
        averaged=True,
        doubtful=True,
        split=True,
        careful=True,
        priced=True,
    )
    assert outlook.Kind() == chosen
