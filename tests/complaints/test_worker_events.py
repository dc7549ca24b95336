"""Whatever a worker sends: it is an event, or is named as none."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sweep.launchers.base import Ended, EpochEnded, Failed, Note
from sweep.launchers.channel import LONGEST, Channel, NotAMessage
from sweep.launchers.process import _event
from uvtex.runs.epochs import EpochReport


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, Channel]]:
    ours, theirs = socket.socketpair()
    channel = Channel(ours)
    yield theirs, channel
    channel.close()
    theirs.close()


def everything(sent: bytes) -> list[object]:
    """What the driver's end of a channel makes of these bytes, to the end."""
    ours, theirs = socket.socketpair()
    channel, found = Channel(ours), list[object]()
    with theirs:
        theirs.sendall(sent)
    try:
        while True:
            message = channel.receive(1)
            assert message is not None
            found.append(_event("s", message))
    except EOFError:
        return found
    except NotAMessage as error:
        return [*found, error]
    finally:
        channel.close()


@given(st.binary(max_size=300))
def test_any_bytes_are_events_or_named_as_none(sent: bytes) -> None:
    assert all(isinstance(one, Note | Failed | Ended | NotAMessage) for one in everything(sent))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
REPORT = EpochReport(1, {"uv": 0.2}, 1e-4, {}, {"margin": -0.1}, 2.5, 8, True).to_dict()


@settings(max_examples=50)
@given(st.sampled_from(["hello", "epoch", "note", "failed", "ended", "?"]), JSON, JSON)
def test_an_event_with_wrong_values_is_no_event(kind: str, report: Any, text: Any) -> None:
    message = {"event": kind, "report": report, "message": text}
    sent = json.dumps(message).encode() + b"\n"
    (found,) = everything(sent)
    if isinstance(found, NotAMessage):
        assert kind != "ended"
        assert str(found)
    elif isinstance(found, Note | Failed):
        assert found.message == text
    else:
        assert isinstance(found, Ended)


@settings(max_examples=50)
@given(st.sampled_from(sorted(REPORT.keys() - {"best"})), JSON)
def test_a_report_with_a_wrong_value_is_no_report(key: str, value: Any) -> None:
    (found,) = everything(
        json.dumps({"event": "epoch", "report": {**REPORT, key: value}}).encode() + b"\n"
    )
    if isinstance(found, EpochEnded):
        report = EpochReport.from_json(found.report)
        assert isinstance(report.epoch, int)
        assert "margin" in report.val
    else:
        assert isinstance(found, NotAMessage)


def test_a_true_report_is_an_event_and_one_without_a_key_is_none() -> None:
    def sent(report: dict[str, Any]) -> bytes:
        return json.dumps({"event": "epoch", "report": report}).encode() + b"\n"

    assert everything(sent(REPORT)) == [EpochEnded("s", REPORT)]
    for key in REPORT:
        (found,) = everything(sent({k: v for k, v in REPORT.items() if k != key}))
        assert isinstance(found, NotAMessage)


def test_a_line_without_an_end_is_no_message(ends: tuple[socket.socket, Channel]) -> None:
    theirs, channel = ends
    theirs.setblocking(False)
    with pytest.raises(NotAMessage, match="without an end"):  # noqa: PT012
        for _ in range(LONGEST):
            with suppress(BlockingIOError):
                theirs.send(b"x" * 65536)
            assert channel.receive(0) is None


def test_brackets_without_end_are_no_message() -> None:
    (found,) = everything(b"[" * 20_000 + b"\n")
    assert isinstance(found, NotAMessage)


def test_messages_that_come_in_pieces_are_whole(ends: tuple[socket.socket, Channel]) -> None:
    theirs, channel = ends
    for piece in (b'{"eve', b'nt": "en', b'ded"}\n{"a": 1}\n{'):
        theirs.sendall(piece)
        received = channel.receive(0)
    assert received == {"event": "ended"}
    assert channel.receive(0) == {"a": 1}
    assert channel.receive(0) is None
