"""The cells of a replay, file by pass rate by policy, and the file that keeps their results."""

from __future__ import annotations

import gzip
import json
import multiprocessing
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.promotion import policies
from benchmarks.promotion.replay import Study, replay
from benchmarks.promotion.summary import summarise
from benchmarks.promotion.task import Task, load
from uvtex.errors import DataError
from uvtex.files import write_atomic

KEY = ("file", "policy", "pass_rate", "risk", "replays", "seed")
"""What tells a result from others; ``earlier`` too, in a result that has it."""


@dataclass(frozen=True)
class Cell:
    """One file, pass rate and policy to simulate."""

    path: Path
    pass_rate: float
    policy: str
    risk: float
    replays: int
    seed: int
    earlier: tuple[Path, ...] = ()

    @property
    def key(self) -> tuple[Any, ...]:
        """What tells its result from others."""
        return key_of(self._named)

    @property
    def _named(self) -> dict[str, Any]:
        own = (self.path.stem, self.policy, self.pass_rate, self.risk, self.replays, self.seed)
        named: dict[str, Any] = dict(zip(KEY, own, strict=True))
        return {**named, "earlier": [path.stem for path in self.earlier]} if self.earlier else named

    def measure(self) -> dict[str, Any]:
        """Simulates the studies and sums them up."""
        task = load(self.path, self.pass_rate)
        studies = self._studies(task, self.policy)
        unpruned = self._studies(task, "none")
        figures = summarise(task, studies, unpruned)
        return {**self._named, **rounded(figures)}

    def _studies(self, task: Task, name: str) -> list[Study]:
        prior = [load(path, self.pass_rate) for path in self.earlier]
        rule = policies.policy(name, self.risk, prior)
        return [replay(task, rule, self.seed, number) for number in range(self.replays)]


def measured(cells: Sequence[Cell], jobs: int) -> Iterator[dict[str, Any]]:
    """The results of ``cells``, in their order, each as soon as it is there."""
    if jobs == 1:
        yield from (cell.measure() for cell in cells)
        return
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        yield from pool.imap(Cell.measure, cells, chunksize=1)


def rounded(figures: dict[str, Any]) -> dict[str, Any]:
    """``figures`` to five significant digits."""
    out = {}
    for key, value in figures.items():
        if isinstance(value, dict):
            value = rounded(value)
        out[key] = float(f"{value:.5g}") if isinstance(value, float) else value
    return out


def key_of(result: dict[str, Any]) -> tuple[Any, ...]:
    """The key of a result's cell."""
    return (*(result[key] for key in KEY), *result.get("earlier", ()))


def read(path: Path) -> list[dict[str, Any]]:
    """The results of a file, a line of JSON each; gzipped if its name ends in ``.gz``.

    Raises:
        DataError: the file is damaged, or a line is not a result.
    """
    lines = _content(path).splitlines()
    return [_result(path, number, text) for number, text in enumerate(lines, 1)]


def resume(path: Path) -> list[dict[str, Any]]:
    """The results of a file to append to, of which a last line without its end is dropped.

    The file is replaced at once where it does not end with a whole line. It may be absent.

    Raises:
        DataError: the file is gzipped, or another line is not a result.
    """
    if path.suffix == ".gz":
        raise DataError(f"{path}: cannot append to a gzipped file; gunzip it first")
    if not path.exists():
        return []
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    results = [_result(path, number, text) for number, text in enumerate(whole.splitlines(), 1)]
    if whole != content:
        write_atomic(path, whole)
    return results


def _content(path: Path) -> bytes:
    content = path.read_bytes()
    if path.suffix != ".gz":
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(f"{path}: the gzipped file is damaged ({error}); make it again") from error


def _result(path: Path, number: int, text: bytes) -> dict[str, Any]:
    try:
        result: dict[str, Any] = json.loads(text)
        key_of(result)
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}: line {number} is not a result of `replay --append`; delete that line, and "
            "`replay --append` computes it again"
        ) from error
    return result
