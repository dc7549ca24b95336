"""What `uvtex data maps` found, camera by camera."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from uvtex.data.found_maps import shares_by_stiffness

SURE = 0.9
ENOUGH = 0.8
"""Share of the painted pixels that should be known."""
TYPICAL = ((1, 0.0), (2, 0.19), (3, 0.52), (4, 0.73), (8, 0.93), (16, 0.98))
"""Liveries, and the share of the painted pixels that is then known, on rendered sets.

It is the mean of three cars at 64 pixels (docs/results.md). One livery tells nothing.
"""


@dataclass(frozen=True)
class FoundMap:
    """A camera and what is known of it."""

    camera: str
    liveries: int
    """Different training liveries that the map was found from."""
    views: int
    """All views of the camera, also those of other sides of the split."""
    painted: float
    """Share of the picture that changes with the livery, in [0, 1]."""
    known: float
    """Share of the painted pixels whose position is written, in [0, 1]."""
    sure: float
    """Share of the painted pixels with a confidence of at least SURE, in [0, 1]."""
    known_by: dict[str, float]
    """Stiffness -> ``known`` of the map of this stiffness; empty without a map."""
    more: int
    """How many liveries more it would take until ENOUGH is known; 0 where it is."""
    uv_map: str | None
    """The map's file in the set; None where nothing is known, and the views are left out."""
    notes: list[str] = field(default_factory=list)


@dataclass
class MapsReport:
    """The result of a search for UV maps."""

    out: str
    side: int
    """Longer side of the maps, in pixels."""
    used: list[str]
    """The training liveries, from which alone the maps were found."""
    split: dict[str, Any]
    """The split's settings: ``val_split``, ``test_split`` and ``split_seed``; empty for all."""
    stiffness: list[float]
    """Each camera has a map for each. All other figures are of the first."""
    cameras: list[FoundMap] = field(default_factory=list)
    left_out: int = 0
    """Number of views of cameras without a map. The written set does not have them."""
    notes: list[str] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for ``--json`` and ``maps.json``."""
        return asdict(self)

    @property
    def more(self) -> int:
        """How many liveries more it would take for the median camera."""
        return int(np.median([camera.more for camera in self.cameras])) if self.cameras else 0

    def lines(self) -> Iterator[str]:
        """The report in sentences, without the table of cameras."""
        found = [camera for camera in self.cameras if camera.uv_map]
        yield (
            f"{self.out}: UV maps of {len(found)} of {len(self.cameras)} cameras, from "
            f"{len(self.used)} training liveries"
        )
        if len(self.stiffness) > 1:
            shares = shares_by_stiffness([camera.known_by for camera in self.cameras])
            yield (
                f"one map for each stiffness. Training uses that of {self.stiffness[0]:g} where "
                f"map_stiffness is not set. Known of the paint: {shares}"
            )
        if self.left_out:
            if self.left_out == 1:
                yield "1 view is left out: nothing is known of its camera"
            else:
                yield f"{self.left_out} views are left out: nothing is known of their cameras"
        if self.more:
            yield (
                f"too few liveries: about {self.more} more would make {ENOUGH:.0%} of the painted "
                "pixels known. Liveries that differ everywhere tell the most"
            )
        yield from (f"note: {note}" for note in self.notes)
        for camera in self.cameras:
            yield from (f"note: {camera.camera}: {note}" for note in camera.notes)


def liveries_missing(known: float, liveries: int) -> int:
    """How many liveries more it takes until ENOUGH of the painted pixels are known.

    ``known`` tells how many typical liveries the set's liveries are worth. Liveries of the same
    kind are worth as much each.
    """
    if known >= ENOUGH:
        return 0
    shares = [share for _, share in TYPICAL]
    logs = [math.log(count) for count, _ in TYPICAL]
    worth = math.exp(float(np.interp(known, shares, logs))) / max(liveries, 1)
    wanted = math.exp(float(np.interp(ENOUGH, shares, logs)))
    return max(1, math.ceil(wanted / worth) - liveries)
