"""The camera bank of a data set, from its UV maps, its plates or views, and its liveries."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from uvtex.data.storage.buffers import Indices
from uvtex.data.storage.fine_cameras import fine_cameras
from uvtex.data.storage.loaded_set import LoadedSet, Maps, train_textures
from uvtex.errors import DataError
from uvtex.imaging import camera_bank as banks
from uvtex.imaging import light_fit
from uvtex.imaging.camera_bank import CameraBank
from uvtex.imaging.compose import linear_from_srgb

MOST_CAMERAS = 256
"""Largest number of cameras that preset atlas distinguishes.

If every photo has its own UV map, the set has too few views of each camera to learn it. The bank
takes 10 MB for each camera at 256 pixels.
"""
CHUNK = 32
"""Number of views in one step of the light fit."""


def camera_bank_of(loaded: LoadedSet, train: Sequence[int]) -> CameraBank | None:
    """The set's camera bank. None without UV maps.

    The records ``train`` alone decide the donor texels. A set of photos has only the cameras of
    ``train`` in its bank, and no set has those that the test side alone shows.

    Raises:
        DataError: there are more than MOST_CAMERAS cameras.
    """
    maps = loaded.maps
    if maps is None:
        return None
    if loaded.plates is None:
        maps = maps.first(len(loaded.places(train, "map")))
    elif loaded.cameras is not None:
        maps = maps.first(loaded.cameras)
    if len(maps.flow) > MOST_CAMERAS:
        raise DataError(
            f"the training views have {len(maps.flow)} different UV maps, and preset atlas "
            f"tells up to {MOST_CAMERAS} cameras apart; give views from one place the same "
            "UV map, or leave `uv_map` out of every record of manifest.json to learn from the "
            "pairs alone, or take preset poc05"
        )
    chosen = train_textures(loaded.index, train)
    liveries = loaded.textures.take(Indices(chosen, chosen.to(loaded.device))).to(loaded.device)
    falling, reflected = _lights(loaded, maps, train)
    fine = fine_cameras(loaded, maps, train)
    placed = banks.painted(maps.paint, loaded.size) > 0
    trust = None if (maps.trust[placed] == 1).all() else maps.trust
    return banks.build_camera_bank(
        maps.flow, maps.seen, maps.paint, falling, reflected, liveries, trust, fine or ()
    )


def _lights(loaded: LoadedSet, maps: Maps, train: Sequence[int]) -> tuple[Tensor, Tensor]:
    """The falling and the reflected light [K, 3, S, S] of the cameras of ``maps``."""
    plates = loaded.plates
    if plates is not None and loaded.plates_are_cameras:
        falling, reflected = (
            x[: len(maps.flow)].float().permute(0, 3, 1, 2)
            for x in (plates.falling, plates.reflected)
        )
        return falling, reflected
    return light_fit.fit_lights(_shown(loaded, maps, train), len(maps.flow))


def _shown(
    loaded: LoadedSet, maps: Maps, train: Sequence[int]
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """The camera, the linear albedo and the view in [0, 1] of the training views, in batches."""
    for rows in loaded.rows(torch.tensor(train)).chunks(CHUNK):
        texture = loaded.textures.take(rows.part("texture")).to(loaded.device)
        view = loaded.take_views(rows).to(loaded.device)
        camera = rows.part("map").device
        paint = linear_from_srgb(texture.float() / 255)
        at = banks.aim(maps.paint[camera], loaded.size, loaded.size)
        yield camera, banks.project(paint, at), view.float() / 255
