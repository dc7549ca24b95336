import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from uvtex.config import TERMS, Ramp, Schedule
from uvtex.training.schedule import learning_rate, weights

weight = st.floats(0, 10)


@st.composite
def schedules(draw: st.DrawFn) -> Schedule:
    ramps = {term: Ramp(start=draw(weight), end=draw(st.none() | weight)) for term in TERMS[:3]}
    return Schedule(**ramps, cross=Ramp(start=0.1, end=0.2))


@given(schedules(), st.integers(2, 60))
def test_weights_start_and_end_at_the_values_of_the_schedule(
    schedule: Schedule, epochs: int
) -> None:
    first, last = weights(schedule, 1, epochs), weights(schedule, epochs, epochs)
    for term in TERMS:
        ramp = getattr(schedule, term)
        assert first[term] == pytest.approx(ramp.start)
        assert last[term] == pytest.approx(ramp.start if ramp.end is None else ramp.end)


@given(schedules(), st.integers(1, 60), st.data())
def test_weights_stay_between_start_and_end(
    schedule: Schedule, epochs: int, data: st.DataObject
) -> None:
    epoch = data.draw(st.integers(1, epochs))
    for term, value in weights(schedule, epoch, epochs).items():
        ramp = getattr(schedule, term)
        ends = (ramp.start, ramp.start if ramp.end is None else ramp.end)
        assert min(ends) - 1e-9 <= value <= max(ends) + 1e-9


def test_weights_match_the_formula_at_a_third_of_the_way() -> None:
    schedule = Schedule(uv=Ramp(start=0.45, end=0.25))
    assert weights(schedule, 2, 4)["uv"] == pytest.approx(
        0.25 + 0.2 * (1 + math.cos(math.pi / 3)) / 2
    )


@pytest.mark.parametrize("epoch", [0, 5])
def test_weights_refuse_an_epoch_outside_the_run(epoch: int) -> None:
    with pytest.raises(ValueError, match=r"1\.\.4"):
        weights(Schedule(), epoch, 4)


@given(st.integers(1, 30), st.none() | st.integers(1, 60))
def test_learning_rate_equals_that_of_torch(epochs: int, tmax: int | None) -> None:
    schedule = Schedule(lr_scheduler="cosine", lr_scheduler_tmax=tmax)
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=0.1)
    reference = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=tmax or epochs)
    for epoch in range(1, epochs + 1):
        expected = optimizer.param_groups[0]["lr"]
        assert learning_rate(0.1, schedule, epoch, epochs) == pytest.approx(expected, abs=1e-9)
        optimizer.step()
        reference.step()


def test_learning_rate_is_constant_without_a_scheduler() -> None:
    assert {learning_rate(0.1, Schedule(lr_scheduler_tmax=3), e, 9) for e in range(1, 10)} == {0.1}
