"""The thread that tells MLflow: its order, its repetitions, and what it gives up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from sweep.tracking import client, delivery
from sweep.tracking.delivery import MOST_ATTEMPTS, Delivery
from uvtex.errors import UvtexError


class Service:
    """A service that can be away, and a delivery to it."""

    def __init__(self) -> None:
        self.up = True
        self.done: list[str] = []
        self.told: list[str] = []
        self.dropped: list[str] = []
        self.delivery = Delivery(
            self.call,
            lambda error: self.told.append("lost"),
            lambda: self.told.append("found"),
            lambda error: self.told.append(f"refused: {error}"),
        )

    def call(self) -> None:
        with client.mapped_errors("do it", "http://service"):
            if not self.up:
                raise OSError("away")

    def put(self, name: str, after: Callable[[], None] = lambda: None, last: bool = False) -> None:
        def action() -> None:
            self.call()
            after()
            self.done.append(name)

        self.delivery.put(name, action, dropped=lambda: self.dropped.append(name), last=last)

    def drain(self) -> None:
        until = time.monotonic() + 60
        while self.delivery.pending:
            assert time.monotonic() < until
            self.delivery.wait(1)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    monkeypatch.setattr(delivery, "LONGEST_PAUSE", 0.001)
    made = Service()
    yield made
    made.delivery.close()


def test_everything_is_done_in_its_order_after_an_outage(service: Service) -> None:
    service.up = False
    for name in "abc":
        service.put(name)
    while "lost" not in service.told:
        service.delivery.wait(1)
    service.put("d")
    service.up = True
    service.drain()
    assert service.done == list("abcd")
    assert service.told == ["lost", "found"]
    assert not service.delivery.away


def test_a_newer_action_takes_the_place_of_one_that_waits(service: Service) -> None:
    held, entered = threading.Event(), threading.Event()

    def hold() -> None:
        entered.set()
        held.wait(60)

    service.put("first", hold)
    assert entered.wait(60)
    service.put("run", lambda: service.done.append("old"))
    service.put("question", lambda: service.done.append("old"))
    service.put("other")
    service.put("run")
    service.put("question", last=True)
    held.set()
    service.drain()
    assert service.done == ["first", "run", "other", "question"]


def test_one_action_that_fails_alone_is_left_out_after_some_attempts(service: Service) -> None:
    attempts = []

    def fail() -> None:
        attempts.append(1)
        with client.mapped_errors("log it", "http://service"):
            raise OSError("too long")

    service.put("bad", fail)
    service.put("good")
    service.drain()
    assert service.done == ["good"]
    assert service.dropped == ["bad"]
    assert len(attempts) == MOST_ATTEMPTS
    assert len(service.told) == 1
    assert "too long" in service.told[0]


@pytest.mark.parametrize("error", [UvtexError("no checkpoint"), KeyError("a fault")])
def test_what_no_repetition_can_mend_is_left_out_at_once(
    service: Service, error: Exception
) -> None:
    attempts = []

    def fail() -> None:
        attempts.append(1)
        raise error

    service.put("bad", fail)
    service.put("good")
    service.drain()
    assert (service.done, len(attempts), service.dropped) == (["good"], 1, ["bad"])


def test_a_closed_delivery_forgets_what_is_queued(service: Service) -> None:
    service.up = False
    service.put("a")
    while "lost" not in service.told:
        service.delivery.wait(1)
    service.delivery.close()
    service.drain()
    assert service.done == []
