"""The UV maps that `uvtex data maps` finds, beside the true maps of rendered sets.

    uvtex showroom build /tmp/sets/builtin-64 --size 64 --cameras 6 --liveries 44 --samples 48
    python -m benchmarks.maps measure /tmp/sets/builtin-64 --liveries 4,8,16,34

Errors are in texels of an atlas of 256. A pixel's truth is the mean of the places that its samples
show. A pixel whose samples lie on two sides of a jump shows two places, and its error is to the
nearest sample. Pixels that change with the livery and show no paint count as wrong.
"""

from __future__ import annotations

import itertools
import resource
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor

from benchmarks.additive_fit import fitted
from benchmarks.shots import Shot, photographed
from uvtex.console import PATH, CleanErrorGroup
from uvtex.data import manifest, pictures
from uvtex.files import write_atomic
from uvtex.imaging.compose import linear_from_srgb
from uvtex.imaging.map_estimation.certainty.confidence import WITHIN, AdditiveModel, fitted_model
from uvtex.imaging.map_estimation.certainty.support import Support
from uvtex.imaging.map_estimation.changing import changing_pixels
from uvtex.imaging.map_estimation.estimate import estimate_map
from uvtex.imaging.map_estimation.levels import COARSEST
from uvtex.imaging.uv_maps import read_uv_map

SMOOTH = 6.0
"""Distance of a pixel's samples from their mean up to which the pixel shows one place."""
PAINTED = 2.0
"""Standard deviation of a texel, in levels of 255, from which liveries paint it."""
EDGES = (0.0, 0.1, 0.3, 0.5, 0.7, 0.85, 0.95, 1.01)


@dataclass
class Case:
    """One camera, estimated from some liveries."""

    name: str
    side: int
    liveries: int
    error: np.ndarray  # [P] of the pixels that were found
    features: Tensor  # [P, F]
    recall: float
    seconds: float

    @property
    def car(self) -> str:
        """The first word of the set's name: `lynx` of `lynx-64`."""
        return self.name.split("-")[0]


@click.group(cls=CleanErrorGroup)
def main() -> None:
    """Measure the maps that are found on rendered sets.

    \b
    Example:
      python -m benchmarks.maps measure /tmp/sets/builtin-64 --liveries 4,8,16,34
    """


@main.command()
@click.argument("folders", nargs=-1, required=True, type=PATH)
@click.option("--liveries", default="4,8,16,34", help="Numbers of liveries, with commas.")
@click.option("--cameras", default=3, help="Cameras of each set.")
@click.option("--seeds", default="0", help="Seeds of the choices of liveries, with commas.")
@click.option(
    "--jpeg",
    type=int,
    help="Quality of JPEG files of the views, at their own size; none.",
)
@click.option("--size", type=int, help="Side to which the pictures are reduced; none.")
@click.option("--exposure", default=0.0, help="Most by which each view's exposure differs.")
@click.option("--stiffness", default=1.0, help="Stiffness of the maps.")
@click.option("--save", type=PATH, help="File for the cases, for `calibrate`.")
def measure(
    folders: Sequence[Path],
    liveries: str,
    cameras: int,
    seeds: str,
    jpeg: int | None,
    size: int | None,
    exposure: float,
    stiffness: float,
    save: Path | None,
) -> None:
    """Print errors, recall and calibration for each set, number of liveries and seed.

    \b
    Example:
      python -m benchmarks.maps measure /tmp/sets/builtin-64 --liveries 8,16
    """
    print(HEADS)
    every: list[Case] = []
    shot = Shot(jpeg, size, exposure)
    for folder, count in itertools.product(folders, _numbers(liveries)):
        for seed in _numbers(seeds):
            cases = list(_cases(folder, count, cameras, seed, shot, stiffness))
            every += cases
            print(_row(cases), flush=True)
    _print_calibration(every, fitted_model())
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"\nlargest memory of all: {most / 1024**2:.2f} GB")
    if save is not None:
        torch.save([vars(case) for case in every], save)


@main.command()
@click.argument("files", nargs=-1, required=True, type=PATH)
@click.option("--write", type=PATH, help="File for the model of all cars.")
def calibrate(files: Sequence[Path], write: Path | None) -> None:
    """Fit the confidence to saved cases, and test it on the car left out.

    A set's car is the first word of its folder's name. All sets of a car are left out together.

    \b
    Example:
      python -m benchmarks.maps calibrate /tmp/cases.pt \\
        --write uvtex/imaging/map_estimation/certainty/confidence.json
    """
    saved = [Case(**values) for f in files for values in torch.load(f, weights_only=False)]
    cases = [case for case in saved if len(case.error)]
    cars = sorted({case.car for case in cases})
    for left_out in cars if len(cars) > 1 else ():
        model = _fitted([case for case in cases if case.car != left_out])
        print(f"{left_out}, by a model of the others:")
        _print_calibration([case for case in cases if case.car == left_out], model)
    model = _fitted(cases)
    print(HEADS)
    for some in _cells(cases):
        print(_row(some, model))
    print(f"all: {_calibration(cases, model)}")
    if write is not None:
        write_atomic(write, model.text().encode())


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _cases(
    folder: Path,
    count: int,
    cameras: int,
    seed: int,
    shot: Shot,
    stiffness: float,
) -> Iterator[Case]:
    records = manifest.read(folder).records
    names = sorted({record.camera for record in records if record.camera})
    for number, camera in enumerate(names[:cameras]):
        members = [record for record in records if record.camera == camera]
        generator = np.random.default_rng((seed, count, number))
        chosen = [members[k] for k in generator.permutation(len(members))[:count]]
        views, coded = photographed([folder / record.view for record in chosen], shot)
        textures, _ = photographed([folder / record.texture for record in chosen], Shot())
        start = time.process_time()
        found = estimate_map(
            views,
            linear_from_srgb(textures.float() / 255),
            changing_pixels(views, coded),
            stiffness=stiffness,
        )
        seconds = time.process_time() - start
        samples = true_samples(read_uv_map(folder / str(members[0].uv_map)), len(found.uv))
        there = np.isfinite(found.uv[..., 0].numpy())
        painted = paintable(samples, folder, sorted({record.texture for record in records}))
        off = errors(samples, found.uv.numpy())[there]
        recall = float((there & painted).sum() / painted.sum())
        name = shot.name(folder.name)
        name = name if stiffness == 1 else f"{name}, stiffness {stiffness:g}"
        yield Case(name, len(found.uv), count, off, found.support.features(), recall, seconds)


def paintable(samples: np.ndarray, folder: Path, textures: Sequence[str]) -> np.ndarray:
    """The pixels with a sample whose texel changes between liveries: bool [size, size].

    Glass and interior of a real car are in the atlas, and no livery paints them.

    Args:
        samples: of :func:`true_samples`.
        textures: files in ``folder``, of which the first 24 are used.
    """
    paints = np.stack([pictures.read_rgb(folder / name) for name in textures[:24]])
    changes = paints.astype(np.float32).std(axis=0).max(axis=2) > PAINTED
    there = np.isfinite(samples).all(axis=3)
    u, v = np.moveaxis(np.where(there[..., None], samples, 0.5), 3, 0)
    side = len(changes)
    row, column = (np.clip(x * side, 0, side - 1).astype(int) for x in (1 - v, u))
    found: np.ndarray = (there & changes[row, column]).any(axis=2)
    return found


def true_samples(uv: np.ndarray, size: int) -> np.ndarray:
    """The true places of each pixel's samples, [size, size, k * k, 2]."""
    k = len(uv) // size
    parts = uv.reshape(size, k, size, k, 2).transpose(0, 2, 1, 3, 4)
    return parts.reshape(size, size, k * k, 2)


def errors(samples: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """The error of each pixel of ``uv`` [h, w, 2], in texels of 256; infinite without paint."""
    painted = np.isfinite(samples[..., 0])
    count = painted.sum(axis=2)
    middle = np.where(painted[..., None], samples, 0).sum(axis=2) / np.maximum(count, 1)[..., None]
    far = np.linalg.norm(samples - middle[:, :, None], axis=3)
    spread = np.where(painted, far, 0).max(axis=2) * 256
    off = np.linalg.norm(samples - uv[:, :, None], axis=3)
    nearest = np.where(painted, off, np.inf).min(axis=2)
    error = np.where(spread < SMOOTH, np.linalg.norm(middle - uv, axis=2), nearest) * 256
    return np.where(count > 0, error, np.inf)


HEADS = """
| set | liveries | cases | median | within 2 | painted found | known | of it right | s |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |"""


def _row(cases: Sequence[Case], model: AdditiveModel | None = None) -> str:
    """A line of the table. In brackets are the smallest and the largest share of a case."""
    off = np.concatenate([case.error for case in cases])
    known = _sure(cases, model or fitted_model()) >= 0.5
    recall = np.mean([case.recall for case in cases])
    seconds = np.mean([case.seconds for case in cases])
    right = (off[known] < WITHIN).mean() if known.any() else np.nan
    within = [(case.error < WITHIN).mean() for case in cases]
    return (
        f"| {cases[0].name} | {cases[0].liveries} | {len(cases)} | {np.median(off):.2f} | "
        f"{(off < WITHIN).mean():.1%} ({min(within):.0%} to {max(within):.0%}) | {recall:.1%} | "
        f"{known.mean():.1%} | {right:.1%} | {seconds:.1f} |"
    )


def _sure(cases: Sequence[Case], model: AdditiveModel) -> np.ndarray:
    """The confidence of the pixels of cases, float [P]."""
    found: np.ndarray = torch.cat([model.probability(case.features) for case in cases]).numpy()
    return found


def _print_calibration(cases: Sequence[Case], model: AdditiveModel) -> None:
    """A line for each set and number of liveries."""
    for some in _cells(cases):
        print(f"  {some[0].name} {some[0].liveries:3d} liveries {_calibration(some, model)}")


def _cells(cases: Sequence[Case]) -> Iterator[list[Case]]:
    """The cases of each set and number of liveries."""
    for cell in sorted({(case.name, case.liveries) for case in cases}):
        yield [case for case in cases if (case.name, case.liveries) == cell]


def _calibration(cases: Sequence[Case], model: AdditiveModel) -> str:
    """The log loss; for each range of the confidence its mean, the share within 2, the pixels."""
    sure = _sure(cases, model).astype(np.float64)
    right = np.concatenate([case.error for case in cases]) < WITHIN
    loss = -np.log(np.where(right, sure, 1 - sure).clip(1e-6)).mean()
    parts = []
    for low, high in itertools.pairwise(EDGES):
        inside = (sure >= low) & (sure < high)
        if inside.sum() >= 20:
            told, true = sure[inside].mean(), right[inside].mean()
            parts.append(f"{told:.2f}: {true:.2f} ({inside.sum()})")
    return f"log loss {loss:.3f}, stated: true (pixels)  " + "  ".join(parts)


def _fitted(cases: Sequence[Case]) -> AdditiveModel:
    """A model of ``error < WITHIN``.

    Small and large pictures have half the weight each, and so has each case among its like: not
    each pixel, of which large pictures have more.
    """
    large = [case.side > COARSEST for case in cases]
    shares = [
        np.full(len(case.error), 1 / (len(case.error) * large.count(size)))
        for case, size in zip(cases, large, strict=True)
    ]
    share = np.concatenate(shares)
    features = torch.cat([case.features for case in cases])
    right = np.concatenate([case.error for case in cases]) < WITHIN
    return fitted(features, right, share / share.mean(), Support.names())


if __name__ == "__main__":
    main()
