"""Fingerprints of the sides of a split.

They decide whether figures can be compared and whether a run may resume. They cover all inputs of a
figure: views, textures, masks, and the texels that each view sees. Composed views are covered by
their textures and plates.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from uvtex.data.storage import digests
from uvtex.data.storage.loaded_set import COLUMNS, LoadedSet
from uvtex.data.storage.partners import Partners
from uvtex.imaging.uv_maps import checksums

CHUNK = 64
"""Number of views digested at once."""


def of_held_out(loaded: LoadedSet, held_out: Sequence[int]) -> str:
    """The fingerprint of the records of validation or test, in 16 hexadecimal digits.

    It covers the records ``held_out`` and the texels over which both sides are measured. The
    figures of two runs can be compared if their fingerprints are equal.
    """
    covered = [] if loaded.covered is None else [loaded.covered.cpu().numpy()]
    return digests.joined(_tables(loaded, held_out), *covered)


def of_training(loaded: LoadedSet, train: Sequence[int], partners: Partners) -> str:
    """The fingerprint of the training records, in 16 hexadecimal digits.

    It covers the records ``train`` and the possible partners of each, and the maps of other
    stiffness that the cameras' files have. So it is the same whichever maps a run learns from. A
    run may resume if this fingerprint and :func:`of_held_out` are equal to those at its start.
    """
    firsts = np.array([(i, partners.first(i)) for i in train], np.int64)
    return digests.joined(_tables(loaded, train), firsts, *_other_maps(loaded, train))


def _other_maps(loaded: LoadedSet, train: Sequence[int]) -> list[NDArray[np.uint8]]:
    """A digest of the training cameras' maps of other stiffness; none if there are none."""
    if loaded.files is None or loaded.maps is None:
        return []
    files = [loaded.files.maps[k] for k in loaded.places(train, "map").tolist()]
    sums = [checksums(loaded.files.folder / str(file)) for file in files]
    told = hashlib.sha256(repr(sums).encode()).digest()
    return [np.frombuffer(told, np.uint8)] if any(sums) else []


def _tables(loaded: LoadedSet, samples: Sequence[int]) -> list[digests.Table]:
    """Digests of each part of each of ``samples``."""
    rows = loaded.rows(torch.tensor(samples, dtype=torch.int64))
    places = {name: rows.part(name).host for name in COLUMNS}
    tables = [digests.of_stack(loaded.masks, places["mask"])]
    if loaded.maps is not None:
        maps = digests.each(loaded.maps.flow, loaded.maps.seen, loaded.maps.paint)
        tables.append(maps[places["map"].numpy()])
    if loaded.plates is not None and loaded.paints is not None:
        plates = digests.each(*loaded.plates.parts)
        paints = loaded.paints[places["texture"].numpy()]
        return [*tables, paints, plates[places["plate"].numpy()]]
    views = [digests.each(loaded.take_views(chunk)) for chunk in rows.chunks(CHUNK)]
    textures = digests.of_stack(loaded.textures, places["texture"])
    return [*tables, textures, *views]
