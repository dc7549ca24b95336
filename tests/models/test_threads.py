"""Work shared out among threads: the same as all at once, and nothing left behind."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from uvtex.models import ConvRenderer
from uvtex.models.poc05 import threads
from uvtex.models.poc05.threads import apart, shared


@pytest.mark.usefixtures("threads_put_back")
def test_shared_work_keeps_its_order_and_torchs_threads() -> None:
    torch.set_num_threads(3)
    weight = torch.ones(2, requires_grad=True)
    callers = torch.get_num_threads(), torch.is_grad_enabled()

    def work(items: Sequence[int]) -> tuple[list[int], int, Tensor]:
        return list(items), torch.get_num_threads(), weight * len(items)

    done = shared(work, range(10))
    assert [item for items, _, _ in done for item in items] == list(range(10))
    assert sorted(len(items) for items, _, _ in done) == [3, 3, 4]
    assert [threads for _, threads, _ in done] == [1, 1, 1]
    assert not any(made.requires_grad for _, _, made in done)
    assert (torch.get_num_threads(), torch.is_grad_enabled()) == callers
    few = shared(work, [7, 8])  # torch's own threads do better at these
    assert [(items, threads) for items, threads, _ in few] == [([7, 8], 3)]
    with ThreadPoolExecutor(1) as later:
        assert later.submit(torch.get_num_threads).result() == 3


@pytest.mark.usefixtures("threads_put_back")
@settings(
    deadline=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # puts back after all examples
)
@given(
    count=st.integers(0, 9),
    most=st.integers(1, 4),
    at_once=st.integers(1, 3),
    learns=st.booleans(),
    asked=st.booleans(),
    seed=st.integers(0, 10**6),
)
def test_pictures_worked_on_apart_equal_all_at_once(
    count: int, most: int, at_once: int, learns: bool, asked: bool, seed: int
) -> None:
    """Values and gradients, of the pictures, of the parameters, or of both."""
    torch.set_num_threads(at_once)
    torch.manual_seed(seed)
    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Tanh(), nn.Conv2d(4, 2, 1)).double()
    network.requires_grad_(learns)
    x = torch.randn(count, 3, 6, 5, dtype=torch.float64, requires_grad=asked)
    into = torch.randn(count, 2, 6, 5, dtype=torch.float64)
    wanted = [*([x] if asked else []), *(network.parameters() if learns else [])]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(threads, "PIXELS", most * 6 * 5)
        made = apart(network, x)
        pieces = count > most if at_once == 1 else count >= at_once
        assert was_apart(made) == (bool(wanted) and pieces)
        torch.testing.assert_close(made, network(x))
        if wanted:
            torch.testing.assert_close(
                torch.autograd.grad(made, wanted, into),
                torch.autograd.grad(network(x), wanted, into),
            )


def was_apart(made: Tensor) -> bool:
    return getattr(type(made.grad_fn), "_forward_cls", None) is threads.Apart


def test_nothing_is_worked_on_apart_where_it_does_not_pay() -> None:
    network, x = nn.Conv2d(3, 4, 1), torch.randn(40, 3, 64, 64)
    assert was_apart(apart(network, x))
    with torch.autocast("cpu", torch.bfloat16):
        assert not was_apart(apart(network, x))
    calls = []
    network.register_forward_hook(lambda *_: calls.append(None))
    with torch.no_grad():
        apart(network, x)
    assert len(calls) == 1


def test_the_renderers_pictures_are_worked_on_apart() -> None:
    assert was_apart(ConvRenderer(0.1)(torch.randn(40, 3, 32, 32)))


@pytest.mark.usefixtures("threads_put_back")
def test_a_thread_that_cannot_be_started_is_said_and_nobody_waits_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As where memory for its stack has run out."""
    torch.set_num_threads(7)  # a number that has no pool yet
    start, started = threading.Thread.start, []

    def starting(thread: threading.Thread) -> None:
        if len(started) == 3:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", starting)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        shared(len, range(7))
    assert torch.get_num_threads() == 7
    for thread in started:
        thread.join(10)
    assert not any(thread.is_alive() for thread in started)


@pytest.mark.usefixtures("threads_put_back")
def test_an_error_in_shared_work_reaches_the_caller_when_all_have_ended() -> None:
    torch.set_num_threads(3)
    ended = []

    def work(items: Sequence[int]) -> None:
        if items[0] == 6:  # first in order, first to end
            raise ValueError(f"no such thing as {items[0]}")
        time.sleep(0.1)
        ended.append(items[0])

    with pytest.raises(ValueError, match="no such thing as 6"):
        shared(work, [6, 5, 7])
    assert sorted(ended) == [5, 7]
