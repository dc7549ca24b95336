"""What a data set holds and what is wrong with it, before anything is trained on it.

The figures: what is known of each view, how much of the atlas the cameras see, which files are
broken or odd, and how much of the validation side the training side gives away.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from uvtex.data import duplicates, flow, manifest, masks, pictures, sources, splits
from uvtex.errors import DataError

COVERAGE_SIZE = 64
"""Side of the grid on which coverage is counted. Coarse, so that a small view's pixels leave no
gaps between them that a larger one of the same camera would fill."""
LEAST_SIDE = 32
"""Pixels; smaller pictures are odd, no network here takes them without enlarging."""
MOST_MATCHES = 200
"""Listed; all are counted."""


@dataclass(frozen=True)
class Problem:
    """A file or record that is broken (cannot be used) or odd (can be, and should be looked at)."""

    kind: Literal["broken", "odd"]
    file: str
    what: str


@dataclass(frozen=True)
class Livery:
    """A livery's views and where the split puts them."""

    name: str
    texture: str
    views: int
    train: int
    val: int

    @property
    def side(self) -> str:
        """``train``, ``val`` or ``both``; empty where there is no split."""
        if self.train and self.val:
            return "both"
        return "train" if self.train else "val" if self.val else ""


@dataclass(frozen=True)
class Camera:
    """A camera's views."""

    name: str
    views: int
    masks: int  # views with a mask
    uv_maps: int  # views with a UV map
    coverage: float | None
    """Share of the atlas it sees, in [0, 1]; None without a UV map."""
    example: str


@dataclass(frozen=True)
class Match:
    """Two nearly equal pictures, one on each side of the split."""

    val: str
    train: str
    colours: float
    """Mean difference, of 255."""
    same_livery: bool


@dataclass(frozen=True)
class Leakage:
    """What the training side tells of the validation side."""

    by: str
    fraction: float
    seed: int
    train: int = 0  # views
    val: int = 0
    train_liveries: int = 0
    val_liveries: int = 0
    shared_liveries: tuple[str, ...] = ()
    leaked_views: int = 0
    """Validation views whose livery is trained on, or that have a near-duplicate that is, in
    picture or in texture."""
    view_matches: tuple[Match, ...] = ()
    texture_matches: tuple[Match, ...] = ()
    matches: int = 0
    error: str | None = None
    """Why the set cannot be split so, where it cannot."""

    @property
    def share(self) -> float:
        """Of the validation views, in [0, 1]."""
        return self.leaked_views / self.val if self.val else 0.0


@dataclass
class Report:
    """All figures of a data set."""

    folder: str
    views: int
    masks: int
    uv_maps: int
    sizes: dict[str, int]
    """Of views, ``WxH`` to their number, the most frequent first."""
    liveries: list[Livery]
    cameras: list[Camera]
    unnamed: int
    """Views whose camera is not known."""
    unseen: float | None
    """Share of the atlas that no camera sees; None without UV maps."""
    leakage: Leakage
    problems: list[Problem]
    seen_by: np.ndarray | None = field(default=None, repr=False)
    """int [COVERAGE_SIZE, COVERAGE_SIZE]: how many UV maps see each texel."""
    records: tuple[manifest.Record, ...] = field(default=(), repr=False)
    sides: tuple[str, ...] = field(default=(), repr=False)
    """``train`` or ``val`` of each record; empty where there is no split."""

    def to_json(self) -> dict[str, Any]:
        """Plain values, for ``--json``."""
        hidden = ("seen_by", "records", "sides")
        values = {key: value for key, value in asdict(self).items() if key not in hidden}
        for livery, facts in zip(values["liveries"], self.liveries, strict=True):
            livery["side"] = facts.side
        values["leakage"]["share"] = self.leakage.share
        values["coverage_size"] = COVERAGE_SIZE
        return values


def measure(
    folder: Path,
    by: str = "livery",
    fraction: float = 0.1,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Report:
    """Reads every file of a data set and says what it found.

    Args:
        folder: with a ``manifest.json``.
        by: ``livery`` or ``sample``; with ``fraction`` and ``seed`` as
            :func:`uvtex.data.splits.split` takes them.
        progress: called with the records done and their number.

    Raises:
        DataError: no manifest, or none of its records can be read.
    """
    path = folder / "manifest.json"
    if not path.is_file():
        raise DataError(
            f"{folder}: no manifest.json there; `uvtex data import` makes a data set of pictures, "
            "`uvtex showroom build` renders one"
        )
    good, refused = sources.lenient(path)
    problems = [Problem("broken", item.where, item.reason) for item in refused]
    records = [record for _, record in good]
    if not records:
        raise DataError("\n".join([f"{path}: no usable record", *(p.what for p in problems[:5])]))
    look = _Look(folder, problems)
    for number, record in enumerate(records):
        look.at(record)
        progress(number + 1, len(records))
    problems += _shared_names(records)
    leakage, sides = _leakage(records, look, by, fraction, seed)
    coverage, seen_by = _coverage(look.seen)
    return Report(
        folder=str(folder),
        views=len(records),
        masks=sum(r.mask is not None for r in records),
        uv_maps=sum(r.uv_map is not None for r in records),
        sizes=dict(Counter(look.sizes).most_common()),
        liveries=list(_liveries(records, sides)),
        cameras=list(_cameras(records, coverage)),
        unnamed=sum(r.camera is None for r in records),
        unseen=None if seen_by is None else float((seen_by == 0).mean()),
        leakage=leakage,
        problems=sorted(problems, key=lambda p: (p.kind, p.file)),
        seen_by=seen_by,
        records=tuple(records),
        sides=sides,
    )


class _Look:
    """Opens each file once; keeps prints, sizes and coverage, and notes problems."""

    def __init__(self, folder: Path, problems: list[Problem]) -> None:
        self._folder, self._problems = folder, problems
        self._masks: dict[str, np.ndarray | None] = {}
        self.sizes: list[str] = []
        self.views: dict[str, duplicates.Print] = {}
        self.textures: dict[str, duplicates.Print | None] = {}
        self.seen: dict[str, np.ndarray | None] = {}  # UV map -> bool [S, S]

    def at(self, record: manifest.Record) -> None:
        """Looks at a record's files."""
        view = self._picture(record.view)
        mask = self._mask(record.mask) if record.mask else None
        if view is not None:
            self.sizes.append(f"{view.shape[1]}x{view.shape[0]}")
            # Without one, a shared backdrop would make all views of a camera look alike.
            cut = masks.by_backdrop(view) if mask is None else mask
            self.views[record.view] = duplicates.fingerprint(view, cut)
            if mask is not None and mask.shape != view.shape[:2]:
                sizes = f"{mask.shape[1]}x{mask.shape[0]}, its view {self.sizes[-1]}"
                self._note("odd", str(record.mask), f"is {sizes} ({record.view})")
        if record.texture not in self.textures:
            self._texture(record.texture)
        if record.uv_map and record.uv_map not in self.seen:
            self._uv_map(record.uv_map)

    def _note(self, kind: Literal["broken", "odd"], file: str, what: str) -> None:
        self._problems.append(Problem(kind, file, what))

    def _picture(self, name: str) -> np.ndarray | None:
        path = self._folder / name
        try:
            pixels = pictures.read_rgb(path)
            oddities = pictures.describe(path).oddities
        except DataError as error:
            self._note("broken", name, str(error).removeprefix(f"{path}: "))
            return None
        for what in oddities:
            self._note("odd", name, what)
        height, width = pixels.shape[:2]
        if min(height, width) < LEAST_SIDE:
            self._note("odd", name, f"only {width}x{height} pixels")
        if pixels.reshape(-1, 3).std(axis=0).max() < 1:
            self._note("odd", name, "one colour all over")
        return pixels

    def _texture(self, name: str) -> None:
        pixels = self._picture(name)
        self.textures[name] = None if pixels is None else duplicates.fingerprint(pixels)
        if pixels is not None and pixels.shape[0] != pixels.shape[1]:
            self._note("odd", name, f"not square: {pixels.shape[1]}x{pixels.shape[0]}")

    def _mask(self, name: str) -> np.ndarray | None:
        if name not in self._masks:
            try:
                mask = pictures.read_grey(self._folder / name) > 127
            except DataError as error:
                self._masks[name] = None
                self._note("broken", name, str(error).removeprefix(f"{self._folder / name}: "))
                return None
            self._masks[name] = mask
            if not mask.any():
                self._note("odd", name, "marks nothing as paint")
            elif mask.mean() > 0.98:
                self._note("odd", name, "marks the whole picture as paint")
        return self._masks[name]

    def _uv_map(self, name: str) -> None:
        self.seen[name] = None
        try:
            uv = flow.read_uv_map(self._folder / name)
        except DataError as error:
            self._note("broken", name, str(error).removeprefix(f"{self._folder / name}: "))
            return
        painted = uv[np.isfinite(uv).all(axis=2)]
        if not len(painted):
            self._note("odd", name, "sees no paint")
        elif painted.min() < 0 or painted.max() > 1:
            self._note("odd", name, "leads outside the atlas (below 0 or above 1)")
        self.seen[name] = flow.invert(uv, COVERAGE_SIZE)[1]


def _shared_names(records: Sequence[manifest.Record]) -> Iterator[Problem]:
    textures: dict[str, set[str]] = {}
    for record in records:
        textures.setdefault(record.livery, set()).add(record.texture)
    for livery, names in textures.items():
        if len(names) > 1:
            yield Problem("broken", f"livery {livery!r}", f"has {len(names)} textures")


def _coverage(
    seen: dict[str, np.ndarray | None],
) -> tuple[dict[str, float], np.ndarray | None]:
    known = {name: texels for name, texels in seen.items() if texels is not None}
    if not known:
        return {}, None
    shares = {name: float(texels.mean()) for name, texels in known.items()}
    return shares, np.sum(list(known.values()), axis=0)


def _liveries(records: Sequence[manifest.Record], sides: Sequence[str]) -> Iterator[Livery]:
    groups: dict[str, list[int]] = {}
    for number, record in enumerate(records):
        groups.setdefault(record.livery, []).append(number)
    for name, members in sorted(groups.items()):
        count = Counter(sides[number] for number in members) if sides else Counter[str]()
        texture = records[members[0]].texture
        yield Livery(name, texture, len(members), count["train"], count["val"])


def _cameras(records: Sequence[manifest.Record], coverage: dict[str, float]) -> Iterator[Camera]:
    groups: dict[str, list[manifest.Record]] = {}
    for record in records:
        if record.camera is not None:
            groups.setdefault(record.camera, []).append(record)
    for name, members in sorted(groups.items()):
        maps = [r.uv_map for r in members if r.uv_map is not None]
        shares = [coverage[uv_map] for uv_map in dict.fromkeys(maps) if uv_map in coverage]
        yield Camera(
            name,
            len(members),
            sum(r.mask is not None for r in members),
            len(maps),
            max(shares) if shares else None,
            members[0].view,
        )


def _leakage(
    records: Sequence[manifest.Record], look: _Look, by: str, fraction: float, seed: int
) -> tuple[Leakage, tuple[str, ...]]:
    names = [record.livery for record in records]
    try:
        train, val = splits.split(names, by, fraction, seed)
    except DataError as error:
        return Leakage(by, fraction, seed, error=str(error)), ()
    trained = {names[i] for i in train}
    shared = sorted(trained & {names[i] for i in val})
    views = _matches(records, val, train, "view", look.views)
    textures = _matches(records, val, train, "texture", look.textures)
    twins = {match.val for match in textures}
    copies = {match.val for match in views}
    leaked = [
        i
        for i in val
        if names[i] in trained or records[i].view in copies or records[i].texture in twins
    ]
    held = set(val)
    sides = tuple("val" if i in held else "train" for i in range(len(records)))
    return Leakage(
        by,
        fraction,
        seed,
        len(train),
        len(val),
        len(trained),
        len({names[i] for i in val}),
        tuple(shared),
        len(leaked),
        tuple(views[:MOST_MATCHES]),
        tuple(textures[:MOST_MATCHES]),
        len(views) + len(textures),
    ), sides


def _matches(
    records: Sequence[manifest.Record],
    val: Sequence[int],
    train: Sequence[int],
    kind: Literal["view", "texture"],
    prints: dict[str, Any],
) -> list[Match]:
    """Near-duplicates across the split. One file on both sides is one if its liveries differ;
    else it is a shared livery, which is counted apart."""

    def files(side: Sequence[int]) -> dict[str, set[str]]:
        named: dict[str, set[str]] = {}
        for i in side:
            if prints.get(file := getattr(records[i], kind)) is not None:
                named.setdefault(file, set()).add(records[i].livery)
        return named

    held, trained = files(val), files(train)
    a, b = list(held), list(trained)
    found = duplicates.matches([prints[file] for file in a], [prints[file] for file in b])
    pairs = [(m, bool(held[a[m.a]] & trained[b[m.b]])) for m in found]
    return [
        Match(a[m.a], b[m.b], m.colours, same) for m, same in pairs if a[m.a] != b[m.b] or not same
    ]
