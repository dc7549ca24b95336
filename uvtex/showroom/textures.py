"""The textures of a set: procedural liveries or a folder's pictures, and the template over them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from uvtex.data.pictures import read_rgb
from uvtex.files import make_folder, png, write_atomic
from uvtex.imaging.constant_texels import LEAST
from uvtex.progress import Echo, Eta, Progress
from uvtex.showroom.cars.own_car import OwnCar
from uvtex.showroom.cars.own_texel_map import own_texels
from uvtex.showroom.cars.subject import PAINT
from uvtex.showroom.liveries.files import check, find, skipped
from uvtex.showroom.liveries.procedural import paint, samples
from uvtex.showroom.liveries.template import Template, read
from uvtex.showroom.reporting import LIVERIES
from uvtex.showroom.settings import ShowroomSettings

Painter = Callable[[], NDArray[np.uint8]]
"""Returns one texture [S, S, 3], sRGB."""


def livery_seed(settings: ShowroomSettings, number: int) -> int:
    """The seed of the procedural livery ``number``."""
    return settings.seed * 100_000 + number


def check_liveries(settings: ShowroomSettings, echo: Echo) -> None:
    """Decodes every picture of ``livery_dir``, where the settings have one.

    Raises:
        DataError: a picture cannot be used.
    """
    if settings.livery_dir is not None:
        files = _found(Path(settings.livery_dir), echo)
        echo(f"checking {len(files)} liveries")
        check(files, echo)


def _found(folder: Path, echo: Echo) -> dict[str, Path]:
    files = find(folder)
    if sentence := skipped(folder):
        echo(f"{folder}: {sentence}")
    return files


def read_template(settings: ShowroomSettings, echo: Echo) -> Template | None:
    """The template of the settings, or None where they have none.

    Raises:
        DataError: the template cannot be used.
    """
    if settings.template is None:
        return None
    path = Path(settings.template)
    files = _found(path, echo) if path.is_dir() else {path.stem: path}
    check(files, echo, usual=() if path.is_dir() else ("alpha",))
    if path.is_dir() and len(files) < LEAST:
        echo(f"{path}: only {len(files)} liveries, so texels may be equal in all of them by chance")
    template = read(path, settings.texture_size)
    echo(f"{settings.template}: covers {100 * template.share.mean():.1f} % of the atlas")
    return template


def painters(
    settings: ShowroomSettings, sealed: ShowroomSettings, car: OwnCar | None, layer: Template | None
) -> dict[str, Painter]:
    """Livery -> what makes its texture.

    Args:
        settings: with the paths that were given.
        sealed: the same with hashes and counts, and names in place of paths.
        car: your own car; None for the built-in one.
        layer: the template over procedural liveries.
    """
    size = settings.texture_size
    if settings.livery_dir is not None:
        files = find(Path(settings.livery_dir))
        return {name: partial(read_rgb, path, size) for name, path in files.items()}
    surface = own_texels(car.subject.meshes[PAINT], samples(size)) if car else None

    def livery(seed: int) -> NDArray[np.uint8]:
        picture = paint(seed, size, surface)
        return picture if layer is None else layer.over(picture)

    seeds = {f"livery_{n:03d}": livery_seed(settings, n) for n in range(sealed.liveries)}
    return {name: partial(livery, seed) for name, seed in seeds.items()}


def write_textures(textures: dict[str, Painter], out: Path, advance: Progress) -> list[Path]:
    """Writes the textures that ``out`` lacks; returns the paths of all, in order."""
    make_folder(out / "textures")
    paths: list[Path] = []
    remaining = Eta()
    for name, painter in textures.items():
        advance(LIVERIES, len(paths), len(textures), remaining.text(len(textures) - len(paths)))
        path = out / "textures" / f"{name}.png"
        if path.exists():
            remaining.skipped()
        else:
            write_atomic(path, png(painter()))
            remaining.done()
        paths.append(path)
    advance(LIVERIES, len(paths), len(textures), "")
    return paths
