"""The search space as Optuna sees it."""

from __future__ import annotations

from optuna.distributions import CategoricalDistribution, FloatDistribution

from sweep.study import space
from sweep.study.config import Range, Search
from sweep.study.distributions import distributions
from uvtex.config import TERMS
from uvtex.training.schedule import weights


def test_the_ten_parameters_keep_the_order_of_earlier_studies() -> None:
    ends = [f"{term}_{end}" for term in TERMS for end in ("start", "end")]
    assert list(distributions(Search())) == [*ends, "lr_scheduler", "tmax"]


def test_a_searched_learning_rate_is_drawn_in_log_scale_before_tmax() -> None:
    found = distributions(Search(lr=Range(low=1e-4, high=1e-2, log=True)))
    assert found["lr"] == FloatDistribution(1e-4, 1e-2, log=True)
    assert list(found)[-2:] == ["lr", "tmax"]
    assert found["tmax"] == FloatDistribution(0.5, 2.0)


def test_weights_cannot_all_be_zero_even_at_every_lower_bound() -> None:
    lowest: space.Params = {}
    for name, of in distributions(Search()).items():
        if isinstance(of, FloatDistribution):
            lowest[name] = of.low
        else:
            assert isinstance(of, CategoricalDistribution)
            lowest[name] = str(of.choices[0])
    assert sum(weights(space.schedule(lowest, 20), 20, 20).values()) > 0
