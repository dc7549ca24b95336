"""The search space as Optuna sees it."""

from __future__ import annotations

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from sweep.study.search.distributions import distributions
from sweep.study.search.settings import Choices, Range, Search, whole_schedule
from uvtex.config import TERMS


def test_the_ten_parameters_keep_the_order_of_earlier_studies() -> None:
    ends = [f"{term}_{end}" for term in TERMS for end in ("start", "end")]
    assert list(distributions(Search())) == [*ends, "lr_scheduler", "tmax"]


def test_the_order_of_suggestion_is_not_that_of_the_file() -> None:
    rate = Range(low=1e-4, high=1e-2, log=True)
    first = Search(space={"w_flow": Range(low=0, high=1), "lr": rate, **whole_schedule()})
    found = distributions(first)
    assert list(found)[-4:] == ["lr_scheduler", "lr", "w_flow", "tmax"]
    assert found["lr"] == FloatDistribution(1e-4, 1e-2, log=True)
    assert found["tmax"] == FloatDistribution(0.5, 2.0)


def test_whole_numbers_and_choices_have_distributions_of_their_own() -> None:
    found = distributions(
        Search(
            space={
                "batch_size": Range(low=2, high=12),
                "width": Range(low=1, high=3, integer=True),
                "preset": Choices(choices=("poc05", "atlas")),
                "augment.noise": Range(low=0, high=0.1),
                "schedule.cross": Range(low=0, high=1),
            }
        )
    )
    assert found == {
        "cross": FloatDistribution(0, 1),
        "preset": CategoricalDistribution(("poc05", "atlas")),
        "width": IntDistribution(1, 3),
        "batch_size": IntDistribution(2, 12),
        "augment.noise": FloatDistribution(0, 0.1),
    }
