"""Reads OBJ files, as any program writes them.

Lines, points and free-form surfaces are left out.
"""

from __future__ import annotations

import codecs
import contextlib
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from uvtex.errors import DataError
from uvtex.showroom.cars.mesh import Ints
from uvtex.showroom.cars.mesh_files.geometry import Geometry, Material, referenced
from uvtex.showroom.cars.mesh_files.obj_numbers import ABSENT, Rows, corners, decimals
from uvtex.showroom.cars.mesh_files.triangulate import triangulate

NAMELESS = "material_0"
"""Name of the material of faces without ``usemtl``."""
UNDEFINED = (0.5, 0.5, 0.5, 1.0)
"""Colour of a material that no library defines."""
LEFT_OUT = {"l": "lines", "p": "points", "curv": "curves", "curv2": "curves", "surf": "surfaces"}
IGNORED = frozenset(
    "vp deg bmat step cstype parm trim hole scrv sp end con g s mg o bevel c_interp d_interp lod "
    "shadow_obj trace_obj ctech stech usemap maplib csh".split()
)


class _Statements:
    """The statements of an OBJ file, with their lines."""

    def __init__(self) -> None:
        self.rows = {keyword: Rows() for keyword in ("v", "vt", "vn", "f")}
        self.materials: list[tuple[int, str]] = []
        self.libraries: list[str] = []
        self.left_out: dict[str, int] = {}
        self.unknown: tuple[int, str] | None = None


def read(path: Path, content: bytes) -> list[Geometry]:
    """The triangles of each material of the OBJ file ``path``.

    Raises:
        DataError: the file is no OBJ file, a statement is wrong, or there are no faces. The
            message names the line.
    """
    statements = _statements(path, decode(content))
    if not statements.rows["f"].count:
        raise DataError(f"{path}: {_without_faces(statements)}")
    rows = [statements.rows[keyword] for keyword in ("v", "vt", "vn")]
    position = decimals(path, rows[0], 3, 3, "the vertex")
    uv = decimals(path, rows[1], 1, 2, "the texture coordinate")
    normal = decimals(path, rows[2], 3, 3, "the normal")
    face_lines = statements.rows["f"].lines()
    before = [np.searchsorted(r.lines(), face_lines) for r in rows]
    corner, sizes = corners(path, statements.rows["f"], before, [r.count for r in rows])
    triangles, owner = triangulate(position[corner[:, 0]], sizes)
    notes = tuple(
        f"{count} {kind} are left out; only faces are read"
        for kind, count in statements.left_out.items()
    )
    names = _names(path, statements)
    chosen = np.searchsorted(np.array([n for n, _ in statements.materials]), face_lines)[owner]
    number = {material.name: n for n, material in enumerate(dict.fromkeys(names))}
    kinds = np.array([number[material.name] for material in names])[chosen]
    lines = [np.concatenate([r.lines(), [0]]) for r in rows[:2]]
    found = []
    for n, material in enumerate(dict.fromkeys(names)):
        own, inverse = _unique(corner[triangles[kinds == n].ravel()])
        has_uv = not (own[:, 1] == ABSENT).any()
        v, t, k = (np.where(own[:, c] == ABSENT, -1, own[:, c]) for c in range(3))
        normals = np.concatenate([normal, np.full((1, 3), np.nan)])[k]
        found.append(
            Geometry(
                material,
                position[v],
                normals,
                uv[t] if has_uv else None,
                inverse.reshape(-1, 3),
                notes,
                np.stack([lines[0][v], lines[1][t]], 1),
            )
        )
    return found


def decode(content: bytes) -> str:
    """The text of an OBJ or MTL file, with line feeds as line ends."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = content.decode("utf-16", errors="replace")
    elif b"\0" in content[:2]:
        text = content.decode("utf-16-be" if content[:1] == b"\0" else "utf-16-le", "replace")
    else:
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = content.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _statements(path: Path, text: str) -> _Statements:
    if "\0" in text:
        raise DataError(f"{path}: holds binary data, so it is no OBJ file; export it as OBJ")
    if "\\" in text:
        text = "\n".join(_continued(text.split("\n")))
    statements = _Statements()
    raw = f"{text}\n".encode()
    data = np.frombuffer(raw + b"\n\n", np.uint8)
    ends = np.flatnonzero(data[: len(raw)] == 10)
    starts = np.concatenate([[0], ends[:-1] + 1])
    # Runs of lines with one keyword are taken at once: a car may have millions of lines.
    kind = np.zeros(len(starts), np.int64)
    for code, keyword in enumerate(statements.rows, 1):
        letters = enumerate(f"{keyword} ".encode())
        kind[np.logical_and.reduce([data[starts + n] == letter for n, letter in letters])] = code
    changes = np.flatnonzero(np.diff(kind, prepend=-1)).tolist()
    rows = [None, *statements.rows.items()]
    for first, last in itertools.pairwise([*changes, len(starts)]):
        run, entry = raw[starts[first] : ends[last - 1]], rows[kind[first]]
        if entry is None:
            for number, line in enumerate(run.decode().split("\n"), first + 1):
                _other(path, statements, line, number)
        else:
            keyword, own = entry
            bare = run[len(keyword) + 1 :].replace(f"\n{keyword} ".encode(), b"\n")
            own.add(bare.decode(), first + 1, last - first)
    return statements


def _continued(lines: list[str]) -> Iterator[str]:
    """``lines`` with those that end in a backslash joined to the next.

    Empty lines follow a joined line, so that later lines keep their numbers. A comment that ends
    in a backslash, for example in a path, goes on no further.
    """
    joined: list[str] = []
    for line in lines:
        bare = line.rstrip()
        joined.append(bare.removesuffix("\\"))
        if not bare.endswith("\\") or "#" in bare:
            yield " ".join(joined) if len(joined) > 1 else line
            yield from [""] * (len(joined) - 1)
            joined.clear()
    if joined:
        yield " ".join(joined)


def _other(path: Path, statements: _Statements, line: str, number: int) -> None:
    line = line.strip()
    if not line or line[0] == "#":
        return
    keyword, rest = (*line.split(None, 1), "")[:2]
    keyword = keyword.lower()
    if keyword in statements.rows:
        statements.rows[keyword].add(rest, number, 1)
    elif keyword == "usemtl":
        statements.materials.append((number, rest.strip()))
    elif keyword == "mtllib":
        statements.libraries.append(rest.strip())
    elif keyword in LEFT_OUT:
        kind = LEFT_OUT[keyword]
        statements.left_out[kind] = statements.left_out.get(kind, 0) + 1
    elif keyword == "call":
        raise DataError(
            f"{path}: line {number}: 'call' includes another file, which is not supported; export "
            "the car as one OBJ file"
        )
    elif keyword not in IGNORED and statements.unknown is None:
        statements.unknown = number, line[:40]


def _without_faces(statements: _Statements) -> str:
    if statements.left_out:
        kinds = ", ".join(f"{count} {kind}" for kind, count in statements.left_out.items())
        return f"holds no faces, only {kinds}; export the mesh with its faces, as polygons"
    if statements.unknown and not statements.rows["v"].count:
        line, text = statements.unknown
        return f"holds no faces: line {line} ({text!r}) is no OBJ; export it as OBJ"
    return "holds no faces; export the mesh with its triangles"


def _unique(corner: Ints) -> tuple[Ints, Ints]:
    """The different rows of ``corner`` [c, 3], sorted, and the row [c] that each one became."""
    order = np.lexsort(corner.T[::-1])
    ranked = corner[order]
    new = np.ones(len(corner), dtype=bool)
    new[1:] = (ranked[1:] != ranked[:-1]).any(1)
    inverse = np.empty(len(corner), dtype=np.int64)
    inverse[order] = np.cumsum(new) - 1
    return ranked[new], inverse


def _names(path: Path, statements: _Statements) -> list[Material]:
    """The material before the first ``usemtl``, and that of every ``usemtl``."""
    known: dict[str, Material] = {}
    for statement in statements.libraries:
        for library in _libraries(path, statement):
            # People often forget to send the library, and its colours do not matter much.
            with contextlib.suppress(OSError):
                known.update(_defined(decode(library.read_bytes())))
    found = [Material(NAMELESS)]
    for _, name in statements.materials:
        # A number sign begins a comment, but 3ds Max calls its materials "Material #25".
        bare = re.split(r"\s#(?:\s|$)", name, maxsplit=1)[0].strip()
        if not bare:
            found.append(found[0])
        else:
            right = name if name in known else bare
            found.append(known.setdefault(right, Material(right, UNDEFINED)))
    return found


def _libraries(path: Path, statement: str) -> list[Path]:
    """The files of a ``mtllib``: one whose name has spaces, or several."""
    whole = referenced(path, statement)
    if whole is not None:
        return [whole]
    names = re.findall(r"\S.*?\.mtl(?=\s|$)", statement, re.IGNORECASE) or statement.split()
    return [found for name in names if (found := referenced(path, name)) is not None]


def _defined(text: str) -> dict[str, Material]:
    found: dict[str, Material] = {}
    name = None
    for line in text.split("\n"):
        keyword, rest = (*line.strip().split(None, 1), "", "")[:2]
        if keyword.lower() == "newmtl":
            name = rest.strip()
            found[name] = Material(name)
        elif keyword.lower() == "kd" and name is not None:
            try:
                colour = [float(word) for word in rest.split()[:3]]
            except ValueError:  # "Kd spectral FILE" and "Kd xyz ..." give no RGB.
                continue
            if colour and np.isfinite(colour).all():
                # One number stands for all three.
                found[name] = Material(name, (*(colour * 3)[:3], 1.0))
    return found
