"""Standard output, kept for this package alone.

Libraries print too: MLflow prints links, and C libraries print warnings. A command's output must
stay what the command documents, such as one JSON document. While a command runs, everything that
other code prints to standard output therefore goes to standard error.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import TYPE_CHECKING, Any, TextIO, cast

import click

if TYPE_CHECKING:
    from rich.console import Console

_kept: list[TextIO] = []


def stdout() -> TextIO:
    """The standard output for this package's own text."""
    return _kept[-1] if _kept else sys.stdout


def echo(text: object = "", *, err: bool = False) -> None:
    """Prints a line to this package's standard output, or to standard error."""
    click.echo(text, file=sys.stderr if err else stdout())


def rich_console(file: TextIO | None = None, **options: Any) -> Console:
    """A rich Console that prints names as they are: square brackets in a name are no markup.

    Args:
        file: by default this package's standard output.
        options: further arguments of Console.
    """
    from rich.console import Console

    return Console(file=file or stdout(), markup=False, highlight=False, emoji=False, **options)


@contextmanager
def own_stdout() -> Iterator[None]:
    """Inside the block only :func:`echo` and :func:`stdout` reach standard output.

    The prints of Python code and of C libraries go to standard error. Characters that an output's
    encoding lacks are printed as escapes, so that no name and no library can end a command.
    """
    _escape_unencodable(sys.stdout)
    _escape_unencodable(sys.stderr)
    descriptor = _descriptor(sys.stdout)
    errors = _descriptor(sys.stderr)
    if descriptor is None or errors is None:
        _kept.append(sys.stdout)
        try:
            with redirect_stdout(sys.stderr):
                yield
        finally:
            _kept.pop()
        return
    sys.stdout.flush()
    own = open(  # noqa: SIM115  (closed below, after the descriptor is restored)
        os.dup(descriptor),
        "w",
        encoding=sys.stdout.encoding,
        errors="backslashreplace",
        buffering=1 if sys.stdout.isatty() else -1,
    )
    saved = os.dup(descriptor)
    os.dup2(errors, descriptor)
    _kept.append(own)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _kept.pop()
        os.dup2(saved, descriptor)
        os.close(saved)
        own.close()


class _Lasting:
    """See :func:`lasting`."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        self._try(self._stream.write, text)
        return len(text)

    def flush(self) -> None:
        self._try(self._stream.flush)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _try(self, action: Callable[..., object], *args: object) -> None:
        try:
            action(*args)
        except OSError:
            _silence(self._stream)


def lasting(stream: TextIO) -> TextIO:
    """``stream`` as one whose reader may go away: what is written after that goes nowhere.

    The reader is a terminal that was closed, or a pipe's other end. Standard error goes nowhere too
    if it had the same reader.
    """
    return cast(TextIO, _Lasting(stream))


def _silence(stream: TextIO) -> None:
    descriptor = _descriptor(stream)
    if descriptor is None:
        return
    gone = os.fstat(descriptor)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for file in (descriptor, 1, 2):
        with suppress(OSError):
            if os.path.samestat(os.fstat(file), gone):
                os.dup2(nowhere, file)
    os.close(nowhere)
    with suppress(OSError):
        stream.flush()  # what was not written yet


def _escape_unencodable(stream: TextIO) -> None:
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")


def _descriptor(stream: TextIO) -> int | None:
    try:
        return stream.fileno()
    except (OSError, ValueError, AttributeError):
        return None  # a stream in memory, as in tests
