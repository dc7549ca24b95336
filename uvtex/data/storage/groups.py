"""Groups of views of one livery, whose textures are made and measured together."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from uvtex.data.storage.batching import colours
from uvtex.data.storage.buffers import Indices
from uvtex.data.storage.loaded_set import LoadedSet


@dataclass(frozen=True)
class Groups:
    """G groups of V views of a livery each."""

    places: Tensor  # int64 [G] on the host: place of each group's first view among the samples
    views: Tensor  # [G, V, 3, S, S] in [-1, 1]
    texture: Tensor  # [G, 3, S, S] in [-1, 1]
    seen: Tensor | None  # [G, 1, S, S] in {0, 1}: texels that a view of the group sees


def grouped(liveries: Sequence[str], count: int) -> list[list[int]]:
    """Places of samples in groups of ``count``, each of one livery, as many as there are.

    The views of a livery are drawn into groups by its name alone, and each view is in one group at
    most. Views that are left over are in no group.

    >>> [len(group) for group in grouped(["red"] * 5 + ["blue"] * 2, 2)]
    [2, 2, 2]
    """
    by_livery: dict[str, list[int]] = {}
    for place, livery in enumerate(liveries):
        by_livery.setdefault(livery, []).append(place)
    found = []
    for livery, places in by_livery.items():
        random.Random(f"group/{count}/{livery}").shuffle(places)
        for start in range(0, len(places) - count + 1, count):
            found.append(places[start : start + count])
    return found


def load_groups(
    loaded: LoadedSet, samples: Sequence[int], groups: Sequence[Sequence[int]], at_once: int
) -> Iterator[Groups]:
    """The views of ``groups``, which hold places in ``samples``; ``at_once`` groups at a time."""
    if not groups:
        return
    places = torch.tensor([list(group) for group in groups]).T  # [V, G]
    records = torch.tensor(list(samples))[places]
    for start, rows in enumerate(loaded.rows(records).chunks(at_once)):
        count, batch = rows.host.shape[:2]
        flat = rows.flat()
        first = rows.part("texture")
        texture = loaded.textures.take(Indices(first.host[0], first.device[0]))
        seen = None
        if loaded.maps is not None:
            each = loaded.maps.seen.index_select(0, flat.part("map").device)
            seen = each.reshape(count, batch, *each.shape[1:]).any(dim=0).float()
        views = colours(loaded.take_views(flat), loaded.device)
        yield Groups(
            places[0, start * at_once :][:batch],
            views.reshape(count, batch, *views.shape[1:]).transpose(0, 1).contiguous(),
            colours(texture, loaded.device),
            seen,
        )
