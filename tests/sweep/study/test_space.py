"""The search space: named schedules and parameters."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.study import space
from sweep.study.config import NamedSchedule
from uvtex.config import TERMS
from uvtex.training.schedule import weights

weight = st.floats(0, 1, allow_subnormal=False)

param_sets = st.fixed_dictionaries(
    {f"{term}_{end}": weight for term in TERMS if term != "direct" for end in ("start", "end")}
    | {f"direct_{end}": st.floats(0.05, 1) for end in ("start", "end")}
    | {"lr_scheduler": st.sampled_from(["none", "cosine"]), "tmax": st.floats(0.5, 2)}
)


@given(param_sets)
def test_params_of_a_named_schedule_read_back_equal(params: dict[str, Any]) -> None:
    assert space.params(space.named(params)) == params


@given(param_sets, st.integers(1, 200))
def test_schedule_keeps_both_ends_and_scales_t_max(params: dict[str, Any], epochs: int) -> None:
    schedule = space.schedule(params, epochs)
    for term in TERMS:
        assert weights(schedule, 1, epochs)[term] == pytest.approx(params[f"{term}_start"])
        if epochs > 1:
            last = weights(schedule, epochs, epochs)[term]
            assert last == pytest.approx(params[f"{term}_end"], abs=1e-12)
    if params["lr_scheduler"] == "none":
        assert schedule.lr_scheduler_tmax is None
    else:
        tmax = schedule.lr_scheduler_tmax
        assert tmax is not None
        assert tmax == 1 or abs(tmax - params["tmax"] * epochs) <= 0.5


def test_baseline_of_the_original_is_the_default_schedule() -> None:
    params = space.params(NamedSchedule())
    assert space.schedule(params, 40) == space.schedule(params, 20)
    assert weights(space.schedule(params, 40), 7, 40) == {
        "cycle": 0.30,
        "uv": 0.25,
        "direct": 0.30,
        "cross": 0.15,
    }
