"""Predicts one UV texture of each livery from several photos of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from uvtex.device import resolve_device
from uvtex.errors import ConfigError
from uvtex.evaluation.grids import encode_png, to_picture
from uvtex.files import make_folder, write_atomic
from uvtex.inference.choosing import LITTLE, Choice, choose, worth
from uvtex.inference.full_size import samples_photos
from uvtex.inference.infer import (
    as_views,
    locate,
    prepare_all,
    source_of,
)
from uvtex.inference.liveries import Livery, liveries_of
from uvtex.inference.outputs import FULL, distinct_names, fused_files, refuse_overwriting
from uvtex.inference.photos import Photo
from uvtex.inference.placement import BLURRED, placement_record
from uvtex.inference.textures import check_alpha, texture_files, write_results
from uvtex.models import Predictor, Renderer
from uvtex.runs import checkpoint


@dataclass(frozen=True)
class Fused:
    """The texture of one livery, and the steps that led to it."""

    livery: str
    photos: tuple[Photo, ...]
    """All photos that were given."""
    left_out: dict[str, str]
    """Photo -> why it has no part in the texture."""
    coverage: float | None
    """Share of the texels that a photo with a part in the texture sees. None: not known."""
    files: dict[str, Path]
    """``texture``, ``record``, and ``view NAME`` and ``reprojection NAME`` of each photo."""
    warnings: tuple[str, ...]
    checkpoint: dict[str, Any]
    """As :attr:`uvtex.inference.infer.Inferred.checkpoint`."""
    network_size: int
    texture_size: int

    def to_dict(self) -> dict[str, Any]:
        """The record as plain values: the content of ``LIVERY_infer.json``."""
        return {
            "livery": self.livery,
            "photos": [str(photo.path) for photo in self.photos],
            "placements": {str(p.path): placement_record(p) for p in self.photos},
            "left_out": self.left_out,
            "coverage": None if self.coverage is None else round(self.coverage, 4),
            "checkpoint": self.checkpoint,
            "texture": {"network_size": self.network_size, "size": self.texture_size},
            "files": {kind: str(file) for kind, file in self.files.items()},
            "warnings": list(self.warnings),
        }


def fuse(
    name: str,
    given: Sequence[Path],
    out: Path,
    device: str = "auto",
    masks: Path | None = None,
    texture_size: int | None = None,
    whole: bool = False,
    keep_all: bool = False,
    dds: bool = False,
    alpha: bool = False,
) -> list[Fused]:
    """Predicts one texture of each livery from all of its photos, and writes it to ``out``.

    The photos' evidence is combined first, and mended once. Each livery gets ``LIVERY_uv.png``,
    ``LIVERY_infer.json``, and for each photo ``LIVERY_PHOTO_view.png`` and
    ``LIVERY_PHOTO_reproj.png``. All photos are read and compared before anything is written.

    Args:
        given: photos of one livery, folders with the photos of a livery each, or tables: see
            :func:`uvtex.inference.liveries.liveries_of`.
        masks: a folder with a mask for each photo; a table's own masks go first.
        keep_all: use photos that contradict the others, or could not be registered, too.

    The other arguments are those of :func:`uvtex.inference.infer.infer`.

    Raises:
        CheckpointError: the checkpoint cannot be used.
        DataError: photos or masks cannot be used, or the photos of a livery contradict each other
            and no group of them is the larger one.
        ConfigError: a result would overwrite a photo or a mask, or a photo is given twice.
    """
    liveries = liveries_of(given)
    if masks is not None and not masks.is_dir():
        raise ConfigError(f"{masks}: is one mask; with --fuse give a folder of masks")
    target = resolve_device(device)
    loaded = checkpoint.load(locate(name))
    check_alpha(alpha, loaded)
    networks = loaded.predictor.to(target), loaded.renderer.to(target)
    full = samples_photos(loaded.predictor, loaded.config.image_size, texture_size)
    more = (*(FULL if full else ()), *(("dds",) if dds else ()))
    work = [_prepared(loaded, livery, out, masks, whole, more) for livery in liveries]
    used = [file for job in work for photo in job.photos for file in (photo.path, photo.mask.file)]
    refuse_overwriting([job.files for job in work], [file for file in used if file is not None])
    chosen = [choose(job.livery.name, job.photos, networks[0], target, keep_all) for job in work]
    make_folder(out)
    source = source_of(name, loaded)
    return [
        _fuse_one(job, kept, networks, target, source, texture_size, alpha)
        for job, kept in zip(work, chosen, strict=True)
    ]


@dataclass(frozen=True)
class _Job:
    """The photos of one livery, prepared."""

    livery: Livery
    names: list[str]
    photos: list[Photo]
    files: dict[str, Path]


def _prepared(
    loaded: checkpoint.Checkpoint,
    livery: Livery,
    out: Path,
    masks: Path | None,
    whole: bool,
    more: Sequence[str],
) -> _Job:
    names = distinct_names(livery.photos)
    given = [mask or masks for mask in livery.masks]
    photos = prepare_all(loaded, livery.photos, names, given, whole)
    return _Job(livery, names, photos, fused_files(out, livery.name, names, more))


def _fuse_one(
    job: _Job,
    choice: Choice,
    networks: tuple[Predictor, Renderer],
    device: torch.device,
    source: dict[str, Any],
    texture_size: int | None,
    alpha: bool,
) -> Fused:
    """Predicts the texture of one livery, and writes its pictures and its record."""
    predictor, renderer = networks
    used = [job.photos[i] for i in choice.kept]
    views, counted = as_views(used, device), worth(used)
    with torch.no_grad():
        texture, camera = predictor.fuse(views[None], counted[None].to(device))
        back = renderer(texture.expand(len(views), -1, -1, -1), camera)
        shown = predictor.texels_of(views)
    coverage = None if shown is None else float((shown[1] > 0).any(dim=0).float().mean())
    native = texture.shape[-1]
    side = texture_size or native
    made, notes = texture_files(predictor, used, views, texture[0], side, alpha)
    for i, photo in enumerate(job.photos):
        made[f"view {job.names[i]}"] = encode_png(Image.fromarray(photo.view))
    for i, picture in zip(choice.kept, back, strict=True):
        made[f"reprojection {job.names[i]}"] = encode_png(to_picture(picture))
    files = {k: file for k, file in job.files.items() if k in made or k in ("record", "dds")}
    write_results(files, made)
    warnings = [
        *(f"{photo.path}: {warning}" for photo in job.photos for warning in photo.warnings),
        *(f"{path}: {why}; left out" for path, why in choice.left_out.items()),
        *choice.warnings,
        *(f"{p.path}: {BLURRED}" for p, n in zip(used, counted, strict=True) if n < LITTLE),
        *notes,
    ]
    result = Fused(
        job.livery.name,
        tuple(job.photos),
        choice.left_out,
        coverage,
        files,
        tuple(dict.fromkeys(warnings)),
        source,
        native,
        side,
    )
    write_atomic(files["record"], (json.dumps(result.to_dict(), indent=1) + "\n").encode())
    return result
