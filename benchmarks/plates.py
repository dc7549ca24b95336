"""Time and remaining noise of a plate: `python -m benchmarks.pair_store plates`.

Each camera of the built-in car is traced once for every size and number of samples. The view in one
livery is then compared with two long renders under another seed, as PSNR inside the mask:

- noise: compares with the same view composed from a plate of `--long` samples, which has all other
  errors in common;
- error: compares with a direct path trace of the car in that livery. It also contains what the
  composition neglects: paint lit by other paint, and the average over a grid within a pixel.

A long render has noise of its own. Its share is the quotient of the samples, so values of 64
samples against 400 are too low by at most 0.6 dB.
"""

from __future__ import annotations

import os
import time

import click
import numpy as np
import torch

from uvtex.imaging.compose import compose, linear_from_srgb, srgb_from_linear
from uvtex.showroom.liveries.procedural import paint
from uvtex.showroom.rendering.cameras import Camera, cameras
from uvtex.showroom.rendering.plates import Plate, render, trace

LIVERY, SEED, LONG_SEED = 5, 0, 1000


@click.command()
@click.option(
    "--size",
    "sizes",
    type=int,
    multiple=True,
    default=(64, 128, 256),
    help="Side of the views, in pixels; may be repeated.",
)
@click.option(
    "--samples",
    "counts",
    type=int,
    multiple=True,
    default=(16, 64),
    help="Light paths a pixel; may be repeated.",
)
@click.option("--supersample", type=int, default=3, help="UV samples along a pixel's side.")
@click.option("--cameras", "count", type=int, default=2, help="Cameras to measure, of twelve.")
@click.option("--long", "long", type=int, default=400, help="Light paths of the long renders.")
def plates(
    sizes: tuple[int, ...], counts: tuple[int, ...], supersample: int, count: int, long: int
) -> None:
    """Print the seconds for a camera's plate and the noise left, by size and samples.

    \b
    Example:
      python -m benchmarks.pair_store plates --size 64 --samples 16
    """
    stands = cameras(12, 0)[:: 12 // count][:count]
    trace(stands[0], 16, 1, 1, SEED)  # loads the tracer, which must not count
    cores = len(os.sched_getaffinity(0))
    print(f"{count} cameras, supersample {supersample}, long renders of {long} samples; ", end="")
    print(f"{cores} cores, load {os.getloadavg()[0]:.1f}")
    print("size samples  wall s   CPU s   noise dB   error dB  (a camera; inside the mask)")
    for size in sizes:
        references = [Reference(stand, size, supersample, long) for stand in stands]
        for samples in counts:
            rows = np.array([measure(r, samples) for r in references])
            wall, cpu, noise, error = rows.mean(axis=0)
            print(
                f"{size:4d} {samples:7d} {wall:7.2f} {cpu:7.2f} {noise:10.1f} {error:10.1f}",
                flush=True,
            )
    print(f"load at the end {os.getloadavg()[0]:.1f}")


class Reference:
    """Two long renders of a camera's view in one livery."""

    def __init__(self, camera: Camera, size: int, supersample: int, samples: int) -> None:
        self.camera, self.size, self.supersample = camera, size, supersample
        self.texture = paint(LIVERY, 2 * size)
        linear = linear_from_srgb(torch.from_numpy(self.texture).float() / 255).numpy()
        traced = render(camera, size, samples, LONG_SEED, linear)
        self.direct = srgb_from_linear(torch.from_numpy(traced)).numpy()
        self.composed = self.dress(trace(camera, size, samples, supersample, LONG_SEED + 1))

    def dress(self, plate: Plate) -> np.ndarray:
        """The view composed from a plate and the livery, sRGB [h, w, 3] in [0, 1]."""
        batch = torch.from_numpy(self.texture).permute(2, 0, 1)[None].float() / 255
        light = map(torch.from_numpy, (plate.uv, plate.falling, plate.reflected))
        view: np.ndarray = compose(batch, *light)[0].permute(1, 2, 0).numpy()
        return view


def measure(reference: Reference, samples: int) -> tuple[float, float, float, float]:
    """Wall and CPU seconds of one plate, and its noise and error in dB (see the module)."""
    wall, cpu = time.perf_counter(), time.process_time()
    plate = trace(reference.camera, reference.size, samples, reference.supersample, SEED)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    view, mask = reference.dress(plate), plate.mask > 0
    noise, error = (psnr(view[mask], of[mask]) for of in (reference.composed, reference.direct))
    return wall, cpu, noise, error


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB, of values in [0, 1]."""
    return float(-10 * np.log10(np.mean((a - b) ** 2)))
