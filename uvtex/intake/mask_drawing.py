"""Draws masks for a data set's views, and overlays by which people judge the masks."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from uvtex.data import manifest, pictures
from uvtex.data.view_files import ViewFile, ViewReader
from uvtex.errors import DataError
from uvtex.files import refuse_existing, whole_folder
from uvtex.imaging import masks
from uvtex.progress import Progress, no_progress

Method = Literal["auto", "backdrop", "colour"]
METHODS: tuple[Method, ...] = ("auto", "backdrop", "colour")
MOST_VIEWS = 24
"""Largest number of views of a camera that are compared. More do not improve the mask
(benchmarks/masks.py)."""
SHEET_TILES, TILE = 48, 160  # on the overview; pixels a side


@dataclass(frozen=True)
class Drawn:
    """One view's drawn mask."""

    view: str
    mask: str
    method: str
    """``variation``, ``alpha``, ``backdrop``, ``colour``, or ``everything`` where no car was
    found."""
    share: float
    """Fraction of the picture that the mask marks, in [0, 1]."""
    iou: float | None
    """IoU with the set's own mask; None where the set has none."""


def draw(rgb: np.ndarray, method: Method) -> tuple[str, np.ndarray]:
    """The name of the method that was used, and the mask, bool [H, W], of ``rgb``, uint8 [H, W, 3].

    Where no car is found the mask is the whole picture, and the name is ``everything``. An empty
    mask would silently remove the view from the loss.
    """
    if method == "colour":
        name, mask = "colour", masks.by_colour(rgb)
    else:
        name, mask = "backdrop", masks.by_backdrop(rgb)
    return (name, mask) if mask.any() else ("everything", np.ones_like(mask))


def draw_shot(shots: ViewReader, shot: ViewFile, method: Method) -> tuple[str, np.ndarray]:
    """:func:`draw` for a view. With ``auto``, a file that has transparent pixels is its own mask,
    named ``alpha``.

    Raises:
        DataError: the view can be neither read nor composed.
    """
    alpha = pictures.read_alpha(shot.view) if method == "auto" and not shot.composed else None
    if alpha is not None:
        opaque = alpha > 127
        if opaque.any() and not opaque.all():
            return "alpha", opaque
    return draw(shots.read(shot), method)


def of_camera(shots: ViewReader, views: Sequence[ViewFile]) -> np.ndarray | None:
    """The paint's mask, bool [H, W], from the views of one camera, each with a different livery.

    None where the views cannot be compared: there are too few, their sizes differ, or pixels along
    the picture's edges change, which means that the camera moved.
    """
    if len(views) < masks.ENOUGH_LIVERIES:
        return None
    pixels = [shots.read(shot) for shot in views[:MOST_VIEWS]]
    if len({picture.shape for picture in pixels}) > 1:
        return None
    mask = masks.by_variation(pixels)
    rim = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    return mask if mask.any() and rim.mean() < 0.5 else None


def masks_by_variation(
    shots: ViewReader, views: Iterable[tuple[str | None, str, ViewFile]]
) -> dict[str, np.ndarray]:
    """Camera -> the paint's mask, bool [H, W], of the cameras where variation gives one.

    Args:
        views: camera, livery and file of each view. Views without a camera are skipped; of several
            views of one livery from one camera the first counts.
    """
    cameras: dict[str, dict[str, ViewFile]] = {}
    for camera, livery, file in views:
        if camera:
            cameras.setdefault(camera, {}).setdefault(livery, file)
    found = {camera: of_camera(shots, list(files.values())) for camera, files in cameras.items()}
    return {camera: mask for camera, mask in found.items() if mask is not None}


def write_masks(
    folder: Path,
    out: Path,
    method: Method = "auto",
    progress: Progress = no_progress,
) -> list[Drawn]:
    """Draws a mask for every view of a data set into the new folder ``out``, for people to check.

    ``out`` gets ``masks/``, ``overlays/`` (each view with its mask's outline) and ``sheet.png``, an
    overview. The data set is not changed.

    Raises:
        DataError: the set cannot be read, or ``out`` exists or cannot be written.
    """
    refuse_existing(out)
    records = manifest.read(folder).records
    shots = ViewReader()
    varied: dict[str, np.ndarray] = {}
    if method == "auto":
        varied = masks_by_variation(
            shots, ((r.camera, r.livery, ViewFile.of(folder, r)) for r in records)
        )
    stride = -(-len(records) // SHEET_TILES)
    drawn, tiles = [], []
    with whole_folder(out) as target:
        for number, record in enumerate(records):
            shot = ViewFile.of(folder, record)
            rgb = shots.read(shot)
            known = varied.get(record.camera or "")
            name, mask = "variation", known
            if mask is None:
                name, mask = draw_shot(shots, shot, method)
            place = _place(folder, record.view)
            _save(target / "masks" / place, (mask * 255).astype(np.uint8))
            picture = _save(target / "overlays" / place, masks.overlay(rgb, mask))
            if number % stride == 0:
                tiles.append(_tile(picture))
            drawn.append(
                Drawn(
                    record.view,
                    f"masks/{place.as_posix()}",
                    name,
                    float(mask.mean()),
                    _against(folder, record, mask),
                )
            )
            progress("masks", number + 1, len(records))
        _sheet(tiles).save(target / "sheet.png")
    return drawn


def _place(folder: Path, view: str) -> Path:
    """Relative path of a view's mask: the view's path, normalised so that it stays in ``out``."""
    root = os.path.realpath(folder)
    place = os.path.relpath(os.path.join(root, view), root)
    return Path(place if place.endswith(".png") else f"{place}.png")


def _against(folder: Path, record: manifest.Record, mask: np.ndarray) -> float | None:
    if record.mask is None:
        return None
    try:
        known = pictures.read_grey(folder / record.mask) > 127
    except DataError:
        return None  # `uvtex data report` names broken files.
    return masks.iou(mask, known) if known.shape == mask.shape else None


def _save(path: Path, pixels: np.ndarray) -> Image.Image:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(pixels)
    picture.save(path)
    return picture


def _tile(picture: Image.Image) -> Image.Image:
    scale = TILE / max(picture.size)
    width, height = (max(1, round(side * scale)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.LANCZOS)


def _sheet(tiles: Sequence[Image.Image]) -> Image.Image:
    columns = min(8, len(tiles))
    rows = -(-len(tiles) // columns)
    sheet = Image.new("RGB", (columns * (TILE + 4) + 4, rows * (TILE + 4) + 4), (24, 24, 28))
    for number, tile in enumerate(tiles):
        row, column = divmod(number, columns)
        sheet.paste(tile, (column * (TILE + 4) + 4, row * (TILE + 4) + 4))
    return sheet
