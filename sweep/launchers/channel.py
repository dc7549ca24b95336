"""Messages between driver and worker: one JSON object a line, over a socket of their own.

Whatever else writes to a process's standard output or error can not end up between them.
"""

from __future__ import annotations

import json
import selectors
import socket
from contextlib import suppress
from typing import Any

LONGEST = 1 << 20
"""Bytes of the longest message. An epoch's report has about two thousand."""


class NotAMessage(Exception):
    """The other end sent what no version of it sends. The text says what."""


class Channel:
    """One end of a connected socket. One thread may send while another receives."""

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._received = bytearray()
        self._selector = selectors.DefaultSelector()
        self._selector.register(end, selectors.EVENT_READ)

    def send(self, message: dict[str, Any]) -> None:
        """Sends a message.

        Raises:
            OSError: the other end is closed.
        """
        self._socket.sendall(json.dumps(message).encode() + b"\n")

    def receive(self, timeout: float) -> dict[str, Any] | None:
        """The next message; None if there is no whole one after ``timeout`` idle seconds.

        Raises:
            EOFError: the other end is closed, and all its messages were received.
            NotAMessage: the next line is no JSON object.
        """
        while (end := self._received.find(b"\n")) < 0:
            if len(self._received) > LONGEST:
                raise NotAMessage(f"over {LONGEST} bytes without an end: {self._shown()}")
            if not self._selector.select(timeout):
                return None
            if not (part := self._read()):
                raise EOFError
            self._received += part
        line = bytes(self._received[:end])
        del self._received[: end + 1]
        return _parsed(line)

    def shut(self) -> None:
        """Ends the conversation: a thread in :meth:`receive` gets EOFError. Closes no file."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Closes this end. A second call does nothing."""
        self._selector.close()
        self._socket.close()

    def _read(self) -> bytes:
        try:
            return self._socket.recv(1 << 16)
        except ConnectionError:  # the other end died with messages unread
            return b""

    def _shown(self) -> str:
        return repr(bytes(self._received[:60]))


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        raise NotAMessage(f"{line[:60]!r} is not JSON") from None
    if not isinstance(message, dict):
        raise NotAMessage(f"{line[:60]!r} is no JSON object")
    return message
