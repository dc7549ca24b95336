"""Text files as people's programs write them: their encodings, and JSON."""

from __future__ import annotations

import codecs
import json
from pathlib import Path
from typing import Any, NoReturn

from uvtex.errors import UvtexError
from uvtex.typed.paths import why_missing

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # begins as UTF-16's does
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_OFFICE = {
    b"PK\x03\x04": "a spreadsheet or another ZIP file",
    b"\xd0\xcf\x11\xe0": "an old Excel or Word file",
    b"%PDF": "a PDF file",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"\x1f\x8b": "a compressed file",
}


def read_bytes(path: Path, error: type[UvtexError], most: int | None = None) -> bytes:
    """The content of a file.

    Args:
        error: the class of the errors.
        most: the largest size that is read, in bytes.

    Raises:
        UvtexError: of class ``error``: the file cannot be read, or is larger.
    """
    try:
        with path.open("rb") as file:
            content = file.read(-1 if most is None else most + 1)
    except FileNotFoundError:
        raise error(f"{path}: no such file{why_missing(str(path))}") from None
    except IsADirectoryError:
        raise error(f"{path}: cannot be read: it is a folder; give a file") from None
    except (OSError, ValueError) as problem:  # ValueError: a NUL in the path
        why = getattr(problem, "strerror", None) or problem
        raise error(f"{path}: cannot be read: {why}") from None
    if most is not None and len(content) > most:
        raise error(f"{path}: cannot be read: it is larger than {most:,} bytes")
    return content


def read_text(path: Path, error: type[UvtexError], most: int | None = None) -> str:
    """The text of a UTF-8 or UTF-16 file, without a byte-order mark.

    Args:
        error: the class of the errors.
        most: the largest size that is read, in bytes.

    Raises:
        UvtexError: of class ``error``: the file cannot be read, or is no such text.
    """
    content = read_bytes(path, error, most)
    try:
        return decoded(content)
    except ValueError as problem:
        raise error(f"{path}: cannot be read as UTF-8 text: {problem}") from None


def decoded(content: bytes) -> str:
    """``content`` as text, by its byte-order mark. Without a mark it is UTF-8 or UTF-16.

    Raises:
        ValueError: it is no such text. The message says why.
    """
    for start, kind in _OFFICE.items():
        if content.startswith(start):
            raise ValueError(f"it is {kind}")
    mark, encoding = next(
        ((mark, name) for mark, name in _MARKS if content.startswith(mark)),
        (b"", _unmarked(content)),
    )
    body = content[len(mark) :]
    try:
        return body.decode(encoding)
    except UnicodeDecodeError as error:
        line = body[: error.start].count(b"\n") + 1
        raise ValueError(
            f"line {line}: byte 0x{body[error.start]:02x} is not {encoding.upper()}; save the file "
            "as UTF-8"
        ) from None


def _unmarked(content: bytes) -> str:
    """UTF-16 shows by the zero bytes of its ASCII characters."""
    start = content[:1000]
    if b"\0" not in start:
        return "utf-8"
    half = len(start) // 2
    if start[1::2].count(0) > half * 0.7 and start[::2].count(0) < half * 0.1:
        return "utf-16-le"
    if start[::2].count(0) > half * 0.7 and start[1::2].count(0) < half * 0.1:
        return "utf-16-be"
    return "utf-8"


def read_json(path: Path, error: type[UvtexError]) -> Any:
    """The values of a JSON file. A key that an object has twice is refused.

    Raises:
        UvtexError: of class ``error``: the file cannot be read, or is not JSON.
    """
    return parse_json(read_text(path, error), path, error)


def parse_json(text: str, path: Path, error: type[UvtexError]) -> Any:
    """The values of the JSON ``text`` of the file ``path``; see :func:`read_json`."""

    def refuse(why: object) -> NoReturn:
        raise error(f"{path}: cannot be read as JSON: {why}") from None

    def mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values = dict(pairs)
        if len(values) < len(pairs):
            refuse(repeated_key(pairs))
        return values

    try:
        return json.loads(text, object_pairs_hook=mapping)
    except json.JSONDecodeError as problem:
        refuse(f"{problem}{_hint(text, problem)}" if text.strip() else "the file is empty")
    except RecursionError:
        refuse("it is nested too deeply")
    except ValueError as problem:  # a number of 5,000 digits
        refuse(problem)


def refuse_repeated_keys(content: bytes, path: Path, error: type[UvtexError]) -> None:
    """Refuses JSON in which an object has a key twice. It takes no memory for the values.

    Raises:
        UvtexError: of class ``error``: a key is there twice.
    """

    def check(pairs: list[tuple[str, Any]]) -> None:
        if len({key for key, _ in pairs}) < len(pairs):
            raise error(f"{path}: cannot be read as JSON: {repeated_key(pairs)}")

    json.loads(content, object_pairs_hook=check)


def repeated_key(pairs: list[tuple[str, Any]]) -> str:
    """What to say of the first key that is there twice in ``pairs``."""
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            return f"an object has the key {key!r} twice; keep one"
        seen.add(key)
    raise ValueError("no key is there twice")


def _hint(text: str, problem: json.JSONDecodeError) -> str:
    before = text[: problem.pos].rstrip()
    here = text[problem.pos : problem.pos + 1]
    if before.endswith(",") and here in ("]", "}"):
        return f"; remove the comma before {here}"
    if here == "'":
        return '; JSON has texts in double quotes, "like this"'
    if text[problem.pos : problem.pos + 2] in ("//", "/*") or here == "#":
        return "; JSON has no comments"
    return ""
