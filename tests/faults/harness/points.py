"""A process that kills itself, as ``kill -9`` would, just before, within or after a named step."""

from __future__ import annotations

import functools
import importlib
import itertools
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest


@dataclass(frozen=True)
class Point:
    """The moment around one call of a function.

    No code of the product knows of it: the function is replaced in the process that is to die. A
    function that was renamed fails the process at once, and one that is never called fails the
    test, because its process does not die.
    """

    target: str
    """``module:name``, the name perhaps with dots: ``uvtex.files:os.replace``."""
    when: Literal["before", "halfway", "after"]
    """``halfway``: the target is ``write_atomic``, and half of the content was written."""
    nth: int = 1
    """Which of its calls, counted from 1 in each process."""
    where: str = ""
    """Only calls count that have this text in one of their arguments."""

    def __str__(self) -> str:
        of = f" of {self.where}" if self.where else ""
        return f"{self.when} {self.target.rpartition(':')[2]} {self.nth}{of}"


def file_points(name: str, module: str, nth: int = 1) -> list[Point]:
    """The points of the ``nth`` writing of a file ``name``, which ``module`` writes.

    The content is written beside the file, half of it and then all; then it gets its name.
    """
    part = f"/.{name}."
    return [
        Point(f"{module}:write_atomic", "before", nth, f"/{name}"),
        Point(f"{module}:write_atomic", "halfway", nth, f"/{name}"),
        Point("uvtex.files:os.replace", "before", nth, part),
        Point("uvtex.files:os.replace", "after", nth, part),
    ]


def points_as_parameters(points: Sequence[Point], every: int) -> list[Any]:
    """Parameters of a test. Only one of ``every`` runs in the ordinary suite, all as ``slow``."""
    return [
        pytest.param(point, id=str(point), marks=[pytest.mark.slow] if index % every else [])
        for index, point in enumerate(points)
    ]


def install(point: Point, reached: Path) -> None:
    """Makes this process die at ``point``, once: it leaves the file ``reached``.

    Raises:
        AttributeError, ImportError: there is no such function.
    """
    if reached.exists():
        return
    module, _, path = point.target.partition(":")
    owner: Any = importlib.import_module(module)
    *parts, name = path.split(".")
    for part in parts:
        owner = getattr(owner, part)
    original: Callable[..., Any] = getattr(owner, name)
    calls = itertools.count(1)

    @functools.wraps(original)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        given = [*args, *kwargs.values()]
        texts = [str(one) for one in given if isinstance(one, str | Path)]
        counts = not point.where or any(point.where in text for text in texts)
        due = counts and next(calls) == point.nth
        if due and point.when == "before":
            _die(reached)
        if due and point.when == "halfway":
            _write_half(reached, *args)
        result = original(*args, **kwargs)
        if due:
            _die(reached)
        return result

    setattr(owner, name, wrapped)


def _write_half(reached: Path, path: Path, content: bytes) -> None:
    from uvtex.files import replacing

    with replacing(path) as file:
        file.write(content[: len(content) // 2])
        file.flush()
        _die(reached)


def _die(reached: Path) -> None:
    reached.touch()
    os.kill(os.getpid(), signal.SIGKILL)
    signal.pause()  # until the signal has arrived
