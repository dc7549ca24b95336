"""Tables of two pictures, written in any dialect."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from uvtex.intake.sources import Source

HEAD = ["view", "livery", "texture"]
ROWS = [["pics/red view.png", "red", "pics/red_uv.png"], ["pics/b.png", "blau", "pics/b_uv.png"]]


def table(folder: Path, text: str | bytes, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def lines(rows: Sequence[Sequence[str]] = ROWS, head: Sequence[str] = HEAD, sign: str = ",") -> str:
    return "".join(sign.join(row) + "\n" for row in (head, *rows))


def views(source: Source) -> list[tuple[str, str]]:
    return [(candidate.view.name, candidate.livery) for candidate in source.candidates]


BOTH = [("red view.png", "red"), ("b.png", "blau")]
