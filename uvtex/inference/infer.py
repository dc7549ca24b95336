"""Photos of any size to UV textures."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from uvtex.device import resolve_device
from uvtex.errors import CheckpointError, ConfigError, DataError
from uvtex.evaluation.grids import encode_png, make_folder, to_picture
from uvtex.files import write_atomic
from uvtex.imaging.framing import Framing
from uvtex.inference.outputs import distinct_names, refuse_overwriting, result_files
from uvtex.inference.photos import Photo, find_mask, prepare
from uvtex.runs import checkpoint


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


@dataclass(frozen=True)
class Inferred:
    """One photo's results, and what was done to get them; ``to_dict`` is its record."""

    photo: Photo
    files: dict[str, Path]
    """``texture``, ``reprojection``, ``view`` (what the network saw) and ``record``."""
    warnings: tuple[str, ...]
    to_dict: dict[str, Any]


def infer(
    name: str,
    photos: Sequence[Path],
    out: Path,
    device: str = "auto",
    masks: Path | None = None,
    texture_size: int | None = None,
    whole: bool = False,
) -> list[Inferred]:
    """Writes ``NAME_uv.png``, ``_reproj.png``, ``_view.png`` and ``_infer.json`` for each photo.

    ``NAME`` is the photo's stem; of photos that share it, with as much of the path before it, or
    the ending behind it, as tells them apart. Every photo is read before anything is written.

    Args:
        masks: a mask for the one photo, or a folder with ``NAME.png`` or ``STEM.png`` for each.
        texture_size: side of the texture written; None: the network's own.
        whole: show the network whole photos, however large the car is in them.

    Raises:
        CheckpointError: the checkpoint cannot be used.
        DataError: photos or masks cannot be used; every one is named.
        ConfigError: a file would be written over a photo or a mask, or a photo is given twice.
    """
    names = distinct_names(photos)
    if masks is not None and len(photos) > 1 and not masks.is_dir():
        raise ConfigError(f"{masks}: one mask for {len(photos)} photos; give a folder of masks")
    path = locate(name)
    loaded = checkpoint.load(path)
    size = loaded.config.image_size
    ready = _prepared(photos, names, masks, size, loaded.header.framing, whole)
    results = [result_files(out, stem) for stem in names]
    refuse_overwriting(results, [*photos, *(p.mask.file for p in ready if p.mask.file)])
    make_folder(out)
    where = resolve_device(device)
    predictor, renderer = loaded.predictor.to(where), loaded.renderer.to(where)
    done = []
    for photo, files in zip(ready, results, strict=True):
        view = torch.from_numpy(photo.view).to(where).permute(2, 0, 1)[None].float() / 127.5 - 1
        with torch.no_grad():
            texture, sight = predictor.predict(view)
            reprojection = renderer(texture, sight)
        side = texture_size or texture.shape[-1]
        pictures = {
            "texture": resampled(to_picture(texture[0]), side),
            "reprojection": to_picture(reprojection[0]),
            "view": Image.fromarray(photo.view),
        }
        for kind, picture in pictures.items():
            write_atomic(files[kind], encode_png(picture))
        warnings = [*photo.warnings, *_of_texture(texture.shape[-1], side)]
        record = _record(photo, loaded, name, files, texture.shape[-1], side, warnings)
        write_atomic(files["record"], (json.dumps(record, indent=1) + "\n").encode())
        done.append(Inferred(photo, files, tuple(warnings), record))
    return done


def resampled(texture: Image.Image, size: int) -> Image.Image:
    """``texture`` at ``size`` pixels a side."""
    if texture.size == (size, size):
        return texture
    return texture.resize((size, size), Image.Resampling.LANCZOS)


def _prepared(
    photos: Sequence[Path],
    names: Sequence[str],
    masks: Path | None,
    size: int,
    framing: Framing | None,
    whole: bool,
) -> list[Photo]:
    ready, problems = [], []
    for path, name in zip(photos, names, strict=True):
        try:
            mask = None if masks is None else find_mask(masks, path, name)
            ready.append(prepare(path, size, framing, mask, whole))
        except DataError as error:
            problems.append(str(error))
    if problems:
        raise DataError("\n".join([*problems, "nothing was written"]))
    return ready


def _of_texture(native: int, size: int) -> list[str]:
    if size > native:
        return [f"texture upsampled from {native} to {size} px: larger, not more detailed"]
    return [f"texture reduced from {native} to {size} px"] if size < native else []


def _record(
    photo: Photo,
    loaded: checkpoint.Checkpoint,
    name: str,
    files: dict[str, Path],
    native: int,
    size: int,
    warnings: Sequence[str],
) -> dict[str, Any]:
    square = photo.square
    edges = (square.left, square.top, square.right, square.bottom)
    return {
        "photo": str(photo.path),
        "checkpoint": {
            "name": name,
            "file": str(loaded.path),
            "preset": loaded.config.preset,
            "epoch": loaded.header.epoch,
            "metrics": loaded.header.metrics,
        },
        "stored_size": [photo.facts.width, photo.facts.height],
        "oddities": list(photo.facts.oddities),
        "exif_orientation": photo.facts.orientation,
        "upright_size": list(photo.upright),
        "mask": {
            "source": photo.mask.source,
            "guessed": photo.mask.guessed,
            "share": round(photo.mask.share, 4),
        },
        "square": [round(edge, 2) for edge in edges],
        "cropped": photo.cropped,
        "padding": {"share": round(photo.padding, 4), "colour": list(photo.ground)},
        "view_size": len(photo.view),
        "texture": {"network_size": native, "size": size, "resampled": size != native},
        "files": {kind: str(file) for kind, file in files.items()},
        "warnings": list(warnings),
    }
