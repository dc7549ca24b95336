"""What a plate costs and how much noise is left in it: `python -m benchmarks.pair_store plates`.

Each camera of the built-in car is traced once at every size and number of samples. Two long
renders say how far off that is, both with another seed and in one livery, inside the mask:

- noise: against the same view composed from a plate of `--long` samples, which shares every other
  error with it;
- error: against a direct path trace with the livery on the car, which holds what the composition
  leaves out as well (paint lit by other paint, texels of a view's pixel averaged by a grid).

A long render is not free of noise either: its own share of the noise is the quotient of samples, so
figures of 64 samples against 400 are pessimistic by at most 0.6 dB.
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
@click.option("--size", "sizes", type=int, multiple=True, default=(64, 128, 256))
@click.option("--samples", "counts", type=int, multiple=True, default=(16, 64))
@click.option("--supersample", type=int, default=3)
@click.option("--cameras", "count", type=int, default=2, help="Measured, of a set of twelve.")
@click.option("--long", "long", type=int, default=400, help="Samples of the long renders.")
def plates(
    sizes: tuple[int, ...], counts: tuple[int, ...], supersample: int, count: int, long: int
) -> None:
    """Seconds a camera, and the noise left, by size and samples."""
    stands = cameras(12, 0)[:: 12 // count][:count]
    trace(stands[0], 16, 1, 1, SEED)  # loading the tracer is no camera's time
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
    """A camera's view in one livery, as well as it can be known."""

    def __init__(self, camera: Camera, size: int, supersample: int, samples: int) -> None:
        self.camera, self.size, self.supersample = camera, size, supersample
        self.texture = paint(LIVERY, 2 * size)
        linear = linear_from_srgb(torch.from_numpy(self.texture).float() / 255).numpy()
        traced = render(camera, size, samples, LONG_SEED, linear)
        self.direct = srgb_from_linear(torch.from_numpy(traced)).numpy()
        self.composed = self.dress(trace(camera, size, samples, supersample, LONG_SEED + 1))

    def dress(self, plate: Plate) -> np.ndarray:
        """The plate in the livery, sRGB [h, w, 3] in [0, 1]."""
        batch = torch.from_numpy(self.texture).permute(2, 0, 1)[None].float() / 255
        light = map(torch.from_numpy, (plate.uv, plate.falling, plate.reflected))
        view: np.ndarray = compose(batch, *light)[0].permute(1, 2, 0).numpy()
        return view


def measure(reference: Reference, samples: int) -> tuple[float, float, float, float]:
    """Wall and CPU seconds of one plate; PSNR of its view against both long renders."""
    wall, cpu = time.perf_counter(), time.process_time()
    plate = trace(reference.camera, reference.size, samples, reference.supersample, SEED)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    view, mask = reference.dress(plate), plate.mask > 0
    noise, error = (psnr(view[mask], of[mask]) for of in (reference.composed, reference.direct))
    return wall, cpu, noise, error


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """In dB, of values in [0, 1]."""
    return float(-10 * np.log10(np.mean((a - b) ** 2)))
