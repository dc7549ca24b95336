"""Photos of any size to UV textures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from uvtex import checkpoint
from uvtex.data.pictures import read_rgb
from uvtex.device import resolve_device
from uvtex.errors import CheckpointError, ConfigError, DataError
from uvtex.files import write_atomic
from uvtex.grids import encode_png, make_folder, to_picture

SMALLEST = 16


def locate(name: str) -> Path:
    """The checkpoint file that ``name`` means: a path, or a URI of an installed scheme.

    Schemes are entry points of the group ``uvtex.checkpoint_schemes``; ``sweep`` brings
    ``models:/NAME@ALIAS``, so that this package needs to know no registry.

    Raises:
        CheckpointError: no such file, or nobody knows the scheme.
    """
    scheme, colon, _ = name.partition(":/")
    if not colon or len(scheme) < 2:  # one letter is a Windows drive
        path = Path(name)
        if not path.is_file():
            raise CheckpointError(f"{path}: no such checkpoint")
        return path
    known = {entry.name: entry for entry in entry_points(group="uvtex.checkpoint_schemes")}
    if scheme not in known:
        raise CheckpointError(
            f"{name}: nobody here knows {scheme}:/ ({', '.join(known) or 'none'} "
            "installed); give a file"
        )
    fetch: Callable[[str], Path] = known[scheme].load()
    return fetch(name)


def infer(name: str, photos: Sequence[Path], out: Path, device: str = "auto") -> list[Path]:
    """Writes ``STEM_uv.png`` and ``STEM_reproj.png`` for each photo.

    A photo that is not square is padded to a square by its border's median colour, never
    stretched. Every photo is read before anything is written.

    Raises:
        CheckpointError, DataError: the checkpoint or a photo cannot be used.
        ConfigError: two photos would write the same file.
    """
    stems = [photo.stem for photo in photos]
    twice = sorted({stem for stem in stems if stems.count(stem) > 1})
    if twice:
        raise ConfigError(
            f"photos share the name {', '.join(twice)} and would overwrite each "
            "other; rename them or give separate --out"
        )
    loaded = checkpoint.load(locate(name))
    where = resolve_device(device)
    predictor, renderer = loaded.predictor.to(where), loaded.renderer.to(where)
    pictures = [_square(photo, loaded.config.image_size) for photo in photos]
    make_folder(out)
    files = []
    for stem, picture in zip(stems, pictures, strict=True):
        view = torch.from_numpy(picture).to(where).permute(2, 0, 1)[None].float() / 127.5 - 1
        with torch.no_grad():
            texture = predictor(view)
            reprojection = renderer(texture)
        for kind, image in (("uv", texture), ("reproj", reprojection)):
            files.append(out / f"{stem}_{kind}.png")
            write_atomic(files[-1], encode_png(to_picture(image[0])))
    return files


def _square(photo: Path, size: int) -> np.ndarray:
    pixels = read_rgb(photo)
    height, width = pixels.shape[:2]
    if min(height, width) < SMALLEST:
        raise DataError(f"{photo}: {width}x{height} pixels; at least {SMALLEST} a side are needed")
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    ground = tuple(int(c) for c in np.median(border, axis=0))
    side = max(height, width)
    sheet = Image.new("RGB", (side, side), ground)
    sheet.paste(Image.fromarray(pixels), ((side - width) // 2, (side - height) // 2))
    return np.array(sheet.resize((size, size), Image.Resampling.LANCZOS, reducing_gap=3.0))
