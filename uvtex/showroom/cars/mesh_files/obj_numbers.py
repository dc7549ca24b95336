"""The numbers of an OBJ file: rows of decimals, and the corners of faces.

Uniform files, which are the rule, are read by numpy at once. All others are read line by line.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from uvtex.errors import DataError
from uvtex.showroom.cars.mesh import Floats, Ints

ABSENT = np.iinfo(np.int64).max
"""Index of a corner that has no UV, or no normal."""
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf|infinity)", re.I | re.A)
CORNER = re.compile(r"([+-]?\d{1,18})(?:/([+-]?\d{1,18})?(?:/([+-]?\d{1,18})?)?)?", re.ASCII)
BROKEN = re.compile(r"-?\d\.#(IND|QNAN|SNAN|INF)\w*|-?nan\(\w+\)", re.I)
"""How Windows writes NaN and infinity."""
KINDS = ("vertex", "texture coordinate", "normal")


class Rows:
    """The statements of one keyword: what follows the keyword, and the lines they stand in."""

    def __init__(self) -> None:
        self.count = 0
        self._texts: list[str] = []
        self._lines: list[Ints] = [np.zeros(0, np.int64)]

    def add(self, text: str, line: int, count: int) -> None:
        """Adds ``count`` statements, of which the first stands in ``line``."""
        self.count += count
        self._texts.append(text)
        self._lines.append(np.arange(line, line + count))

    def lines(self) -> Ints:
        """The line of each statement, [n]."""
        return np.concatenate(self._lines)

    def text(self) -> str:
        """All statements, one a line, without comments."""
        joined = "\n".join(self._texts)
        if "#" not in joined and "(" not in joined:
            return joined
        return re.sub("#[^\n]*", "", BROKEN.sub("nan", joined))


def decimals(path: Path, rows: Rows, least: int, most: int, what: str) -> Floats:
    """The first ``most`` numbers [n, most] of each row; zeros where a row has fewer.

    Raises:
        DataError: a row has fewer than ``least`` numbers, or something that is no number.
    """
    if not rows.count:
        return np.zeros((0, most))
    joined = rows.text()
    counts = np.diff(_words(joined)[1], prepend=0)
    flat = _fast(joined, np.float64, int(counts.sum()))
    if flat is None:
        split = [text.split() for text in joined.split("\n")]
        counts = np.array([len(words) for words in split])
        numbered = zip(split, rows.lines().tolist(), strict=True)
        flat = np.array([_number(path, word, line) for words, line in numbered for word in words])
    few = np.flatnonzero(counts < least)
    if len(few):
        raise DataError(
            f"{path}: line {rows.lines()[few[0]]}: {what} has {counts[few[0]]} numbers, and needs "
            f"{least}; export the mesh again"
        )
    values = np.zeros((rows.count, most))
    starts = np.cumsum(counts) - counts
    for k in range(most):
        there = counts > k
        values[there, k] = flat[starts[there] + k]
    return values


def _number(path: Path, word: str, line: int) -> float:
    if NUMBER.fullmatch(word):
        return float(word)
    if NUMBER.fullmatch(word.replace(",", ".")):
        raise DataError(
            f"{path}: line {line}: {word!r} has a decimal comma; export the mesh with decimal "
            "points (English number format)"
        )
    raise DataError(f"{path}: line {line}: {word!r} is not a number; export the mesh again")


def _words(joined: str) -> tuple[Ints, Ints]:
    """The place of each word of ``joined``, and the number of words up to the end of each line."""
    data = np.frombuffer(f"{joined}\n".encode(), np.uint8)
    begins = data > 32
    begins[1:] &= data[:-1] <= 32
    places = np.flatnonzero(begins)
    return places, np.searchsorted(places, np.flatnonzero(data == 10))


def _fast(joined: str, kind: Any, count: int) -> Any:
    """``count`` numbers; None if there are other things than numbers in ``joined``."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            flat = np.fromstring(joined, kind, sep=" ")
    except (ValueError, DeprecationWarning):
        return None
    return flat if len(flat) == count else None


def corners(path: Path, rows: Rows, before: Sequence[Ints], totals: Sequence[int]) -> tuple[Ints, Ints]:  # fmt: skip  # noqa: E501
    """The corners of faces, and the number of corners [f] of each face.

    A corner is [3]: indices from 0 of its position, its UV and its normal. ABSENT stands for none.

    Args:
        before: for each of the three, the number [f] that stand in the file before each face;
            negative indices count back from there.
        totals: for each of the three, the number in the file.

    Raises:
        DataError: an index is 0 or out of range, or a corner is not written as OBJ files write it.
    """
    joined = rows.text()
    places, up_to = _words(joined)
    sizes = np.diff(up_to, prepend=0)
    raw = _uniform_corners(joined, places)
    if raw is None:
        raw, sizes = _any_corners(path, joined, rows)
    face = np.repeat(np.arange(len(sizes)), sizes)
    for k in range(3):
        column, there = raw[:, k], raw[:, k] != ABSENT
        absolute = np.where(column < 0, column + before[k][face], column - 1)
        wrong = np.flatnonzero(there & ((column == 0) | (absolute < 0) | (absolute >= totals[k])))
        if len(wrong):
            owner = face[wrong[0]]
            raise DataError(
                f"{path}: line {rows.lines()[owner]}: "
                + _out_of_range(int(column[wrong[0]]), KINDS[k], int(before[k][owner]), totals[k])
            )
        raw[:, k] = np.where(there, absolute, ABSENT)
    return raw, sizes


def _out_of_range(index: int, kind: str, before: int, total: int) -> str:
    if index == 0:
        return f"the face refers to {kind} 0, but OBJ files count from 1; export the mesh again"
    there = f"{before} stand before it" if index < 0 else f"the file has {total}"
    return (
        f"the face refers to {kind} {index}, but {there}; the file is cut off or badly written, "
        "export the mesh again"
    )


def _uniform_corners(joined: str, places: Ints) -> Ints | None:
    """The corners, which begin at ``places``, if all are of one form; otherwise None."""
    count = len(places)
    slashes, doubled = joined.count("/"), joined.count("//")
    forms = {
        (0, 0): (0,),
        (count, 0): (0, 1),
        (2 * count, 0): (0, 1, 2),
        (2 * count, count): (0, 2),
    }
    columns = forms.get((slashes, doubled))
    if columns is None or not count:
        return None
    text = joined
    if slashes:
        if joined.endswith("/") or "/ " in joined or "/\n" in joined:
            return None
        of_each = np.flatnonzero(np.frombuffer(joined.encode(), np.uint8) == 47).reshape(count, -1)
        if (of_each[:, 0] < places).any() or (of_each[:-1, -1] > places[1:]).any():
            return None
        text = joined.replace("/", " ")
    flat = _fast(text, np.int64, count * len(columns))
    if flat is None or (flat == ABSENT).any():
        return None
    found = np.full((count, 3), ABSENT, dtype=np.int64)
    found[:, columns] = flat.reshape(count, -1)
    return found


def _any_corners(path: Path, joined: str, rows: Rows) -> tuple[Ints, Ints]:
    known: dict[str, list[int]] = {}
    found, sizes = [], []
    for text, line in zip(joined.split("\n"), rows.lines().tolist(), strict=True):
        words = text.split()
        sizes.append(len(words))
        for word in words:
            if word not in known:
                known[word] = _corner(path, word, line)
            found.append(known[word])
    return np.array(found, dtype=np.int64).reshape(-1, 3), np.array(sizes)


def _corner(path: Path, word: str, line: int) -> list[int]:
    match = CORNER.fullmatch(word)
    if match is None:
        raise DataError(
            f"{path}: line {line}: {word!r} is not a corner of a face, which is written as 7, "
            "7/5, 7//3 or 7/5/3; export the mesh again"
        )
    return [int(group) if group else ABSENT for group in match.groups()]
