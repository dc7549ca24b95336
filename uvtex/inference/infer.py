"""Predicts the UV textures of photos of any size, and writes them with a record of each step."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from uvtex.device import resolve_device
from uvtex.errors import CheckpointError, ConfigError, DataError
from uvtex.evaluation.grids import encode_png, to_picture
from uvtex.files import make_folder, write_atomic
from uvtex.inference.full_size import samples_photos
from uvtex.inference.outputs import FULL, distinct_names, refuse_overwriting, result_files
from uvtex.inference.photos import Photo, find_mask, prepare
from uvtex.inference.placement import (
    NOT_PLACED,
    USED_AS_IT_LIES,
    not_placed,
    placed,
    placement_record,
)
from uvtex.inference.textures import check_alpha, texture_files, write_results
from uvtex.models import Predictor, Renderer
from uvtex.runs import checkpoint
from uvtex.typed.paths import why_missing


def locate(name: str) -> Path:
    """The checkpoint file that ``name`` stands for: a path, or a URI of an installed scheme.

    A scheme is an entry point of the group ``uvtex.checkpoint_schemes``. ``sweep`` installs
    ``models:/NAME@ALIAS``, so this package depends on no registry.

    Raises:
        CheckpointError: the file does not exist, or the scheme is not installed.
    """
    scheme, colon, _ = name.partition(":/")
    if not colon or len(scheme) < 2:  # a single letter is a Windows drive
        path = Path(name)
        if not path.is_file():
            if path.is_dir():
                raise CheckpointError(f"{path}: is a folder; give a checkpoint file in it")
            raise CheckpointError(f"{path}: no such checkpoint file{why_missing(name)}")
        return path
    known = {entry.name: entry for entry in entry_points(group="uvtex.checkpoint_schemes")}
    if scheme not in known:
        raise CheckpointError(
            f"{name}: the scheme {scheme}:/ is not installed (installed: "
            f"{', '.join(known) or 'none'}); give the path of a checkpoint file"
        )
    fetch: Callable[[str], Path] = known[scheme].load()
    return fetch(name)


@dataclass(frozen=True)
class Inferred:
    """The results of one photo, and the steps that led to them."""

    photo: Photo
    files: dict[str, Path]
    """``texture``, ``reprojection``, ``view`` (what the network saw) and ``record``."""
    warnings: tuple[str, ...]
    checkpoint: dict[str, Any]
    """``name`` as it was given, ``file``, ``preset``, ``epoch`` and ``metrics``."""
    network_size: int
    """Side of the texture that the network predicts, in texels."""
    texture_size: int
    """Side of the texture file, in texels."""

    @property
    def resampled(self) -> bool:
        """Whether the texture file has another size than the network's texture."""
        return self.texture_size != self.network_size

    def to_dict(self) -> dict[str, Any]:
        """The record as plain values: the content of ``NAME_infer.json``."""
        photo, square = self.photo, self.photo.square
        edges = (square.left, square.top, square.right, square.bottom)
        return {
            "photo": str(photo.path),
            "checkpoint": self.checkpoint,
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
            "placement": placement_record(photo),
            "padding": {"share": round(photo.padding, 4), "colour": list(photo.border_colour)},
            "view_size": len(photo.view),
            "texture": {
                "network_size": self.network_size,
                "size": self.texture_size,
                "resampled": self.resampled,
            },
            "files": {kind: str(file) for kind, file in self.files.items()},
            "warnings": list(self.warnings),
        }


def infer(
    name: str,
    photos: Sequence[Path],
    out: Path,
    device: str = "auto",
    masks: Path | None = None,
    texture_size: int | None = None,
    whole: bool = False,
    dds: bool = False,
    alpha: bool = False,
) -> list[Inferred]:
    """Predicts the texture of each photo and writes it to ``out``.

    Each photo gets ``NAME_uv.png`` (the texture), ``NAME_reproj.png`` (the texture rendered back
    into the view), ``NAME_view.png`` (what the network saw) and ``NAME_infer.json`` (the record).
    ``NAME`` is the photo's stem; see :func:`uvtex.inference.outputs.distinct_names` for photos that
    share one. All photos are read before anything is written.

    Args:
        name: checkpoint file, or a URI that :func:`locate` knows.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ..., ``mps`` or ``xpu``.
        masks: mask of the only photo, or a folder with ``NAME.png`` or ``STEM.png`` for each; None:
            from the photo's transparency, else guessed.
        texture_size: side of the texture file in texels; None: the network's own.
        whole: show the network the whole photo instead of cropping it to the car.
        dds: also write the texture as ``NAME_uv.dds``.
        alpha: texels that are neither seen nor mended are transparent in the texture.

    A texture larger than the network's is sampled from the photo itself, where the network knows
    the cameras. It has ``NAME_confidence.png`` and ``NAME_layers.png`` beside it; see
    :class:`uvtex.inference.full_size.FullSize`.

    Raises:
        CheckpointError: the checkpoint cannot be used.
        DataError: photos or masks cannot be used; the message names all of them.
        ConfigError: a result would overwrite a photo or a mask, a photo is given twice, or
            ``alpha`` is asked of a checkpoint that does not know which texels are unknown.

    >>> [result] = infer("best.safetensors", [Path("photo.png")], out=Path("textures"))
    >>> result.files["texture"].name
    'photo_uv.png'
    >>> result.to_dict()["mask"]["source"]
    'backdrop'
    """
    names = distinct_names(photos)
    target = resolve_device(device)
    if masks is not None and len(photos) > 1 and not masks.is_dir():
        raise ConfigError(f"{masks}: is one mask for {len(photos)} photos; give a folder of masks")
    path = locate(name)
    loaded = checkpoint.load(path)
    check_alpha(alpha, loaded)
    ready = prepare_all(loaded, photos, names, [masks] * len(photos), whole)
    full = samples_photos(loaded.predictor, loaded.config.image_size, texture_size)
    more = (*(FULL if full else ()), *(("dds",) if dds else ()))
    results = [result_files(out, stem, more) for stem in names]
    refuse_overwriting(results, [*photos, *(p.mask.file for p in ready if p.mask.file)])
    make_folder(out)
    source = source_of(name, loaded)
    networks = loaded.predictor.to(target), loaded.renderer.to(target)
    return [
        _infer_one(photo, files, networks, target, source, texture_size, alpha)
        for photo, files in zip(ready, results, strict=True)
    ]


def _infer_one(
    photo: Photo,
    files: dict[str, Path],
    networks: tuple[Predictor, Renderer],
    device: torch.device,
    source: dict[str, Any],
    texture_size: int | None,
    alpha: bool,
) -> Inferred:
    """Predicts one texture, and writes the photo's pictures and its record."""
    predictor, renderer = networks
    view = as_views([photo], device)
    with torch.no_grad():
        texture, camera = predictor.predict(view)
        reprojection = renderer(texture, camera)
    native = texture.shape[-1]
    side = texture_size or native
    made, notes = texture_files(predictor, [photo], view, texture[0], side, alpha)
    made["reprojection"] = encode_png(to_picture(reprojection[0]))
    made["view"] = encode_png(Image.fromarray(photo.view))
    write_results(files, made)
    lost = [f"{NOT_PLACED}; {USED_AS_IT_LIES}"] if not_placed(photo) else []
    warnings = (*photo.warnings, *lost, *notes)
    result = Inferred(photo, files, warnings, source, native, side)
    write_atomic(files["record"], (json.dumps(result.to_dict(), indent=1) + "\n").encode())
    return result


def source_of(name: str, loaded: checkpoint.Checkpoint) -> dict[str, Any]:
    """What a record says of the checkpoint: see :attr:`Inferred.checkpoint`."""
    return {
        "name": name,
        "file": str(loaded.path),
        "preset": loaded.config.preset,
        "epoch": loaded.header.epoch,
        "metrics": loaded.header.metrics,
    }


def as_views(photos: Sequence[Photo], device: torch.device) -> torch.Tensor:
    """The views of prepared photos as a network takes them: [N, 3, S, S] in [-1, 1]."""
    pixels = torch.from_numpy(np.stack([photo.view for photo in photos]))
    return pixels.to(device).permute(0, 3, 1, 2).float() / 127.5 - 1


def prepare_all(
    loaded: checkpoint.Checkpoint,
    photos: Sequence[Path],
    names: Sequence[str],
    masks: Sequence[Path | None],
    whole: bool,
) -> list[Photo]:
    """Prepares the photos for the networks of a checkpoint.

    Args:
        names: the names that the photos' results begin with.
        masks: for each photo its mask, a folder of masks, or None.

    Raises:
        DataError: photos or masks cannot be used; the message names all of them.
    """
    ready, problems = [], []
    size, framing = loaded.config.image_size, loaded.header.framing
    for path, name, given in zip(photos, names, masks, strict=True):
        try:
            mask = None if given is None else find_mask(given, path, name)
            photo = prepare(path, size, framing, mask, whole)
            ready.append(placed(loaded.predictor, photo))
        except DataError as error:
            problems.append(str(error))
    if problems:
        raise DataError("\n".join([*problems, "nothing was written"]))
    return ready
