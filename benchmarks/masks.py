"""Agreement of the masks that `uvtex data` draws with the exact masks of a rendered set.

    uvtex showroom build /tmp/set --size 128 --cameras 8 --liveries 24 --samples 16
    python -m benchmarks.masks /tmp/set

The measure is intersection over union (IoU). The exact masks cover the paint only, without windows
and wheels. The colour and backdrop masks cover the whole car, so the column `filled` has their IoU
with the exact mask after its holes are filled. --grabcut also refines the backdrop mask by OpenCV's
GrabCut; it needs cv2. --turned rotates each picture by up to 6 degrees with black corners and adds
noise, as an earlier script did.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

import click
import numpy as np
from PIL import Image
from scipy import ndimage

from uvtex.console import PATH, CleanErrorCommand
from uvtex.data import manifest, pictures
from uvtex.imaging import masks

Method = Callable[[np.ndarray, manifest.Record], np.ndarray]


@click.command(cls=CleanErrorCommand)
@click.argument("folder", type=PATH)
@click.option("--views", type=int, default=120, help="Number of random views to measure.")
@click.option("--grabcut", is_flag=True, help="Also measure OpenCV's GrabCut.")
@click.option("--turned", is_flag=True, help="Rotate the pictures and add noise.")
def main(folder: Path, views: int, grabcut: bool, turned: bool) -> None:
    """Print the mean and tenth percentile of each method's IoU on FOLDER, and its time a view.

    \b
    Example:
      python -m benchmarks.masks /tmp/set
    """
    records = [r for r in manifest.read(folder).records if r.mask]
    chosen = random.Random(0).sample(records, min(views, len(records)))
    methods: dict[str, Method] = {
        "everything": lambda rgb, _: np.ones(rgb.shape[:2], bool),
        "colour": lambda rgb, _: masks.by_colour(rgb),
        "backdrop": lambda rgb, _: masks.by_backdrop(rgb),
    }
    if grabcut:
        methods["backdrop + GrabCut"] = lambda rgb, _: refine(rgb, masks.by_backdrop(rgb))
    for count in () if turned else (3, 6, 24):
        methods[f"variation, {count} liveries"] = variation(folder, records, count)
    print(f"{len(chosen)} views\nmethod                   paint    p10  filled  ms a view")
    for name, method in methods.items():
        print(f"{name:22s} {measure(folder, chosen, method, turned)}")


def variation(folder: Path, records: list[manifest.Record], count: int) -> Method:
    """Draws masks by variation over the first ``count`` views of each camera."""

    def method(_: np.ndarray, record: manifest.Record) -> np.ndarray:
        same = [r for r in records if r.camera == record.camera][:count]
        return masks.by_variation([pictures.read_rgb(folder / r.view) for r in same])

    return method


def measure(folder: Path, records: list[manifest.Record], method: Method, turned: bool) -> str:
    """The table row of a method, without its name."""
    paint, filled, seconds = [], [], 0.0
    rng = np.random.default_rng(0)
    for record in records:
        rgb = pictures.read_rgb(folder / record.view)
        exact = pictures.read_grey(folder / str(record.mask)) > 127
        if turned:
            rgb, exact = turn(rgb, exact, rng)
        start = time.perf_counter()
        found = method(rgb, record)
        seconds += time.perf_counter() - start
        paint.append(masks.iou(found, exact))
        filled.append(masks.iou(found, ndimage.binary_fill_holes(exact)))
    low = np.percentile(paint, 10)
    time_each = seconds / len(records) * 1e3
    return f"{np.mean(paint):7.3f}{low:7.3f}{np.mean(filled):8.3f}{time_each:11.1f}"


def turn(
    rgb: np.ndarray, mask: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Rotates picture and mask by up to 6 degrees, with black corners; adds noise of 4 levels."""
    angle = rng.uniform(-6, 6)
    picture = Image.fromarray(rgb).rotate(angle, Image.Resampling.BICUBIC)
    noisy = np.asarray(picture) + rng.normal(0, 4, rgb.shape)
    marked = np.asarray(Image.fromarray(mask.astype(np.uint8)).rotate(angle))
    return np.clip(noisy, 0, 255).astype(np.uint8), marked > 0


def refine(rgb: np.ndarray, rough: np.ndarray) -> np.ndarray:
    """GrabCut after four iterations, bool [H, W]; the rim outside ``rough`` is background."""
    import cv2  # optional: needed for this comparison only

    labels = np.where(ndimage.binary_dilation(rough, iterations=2), cv2.GC_PR_FGD, cv2.GC_PR_BGD)
    rim = np.ones_like(rough)
    rim[1:-1, 1:-1] = False
    labels[rim & ~rough] = cv2.GC_BGD
    labels = labels.astype(np.uint8)
    if not rough.any():
        return rough
    cv2.setRNGSeed(0)
    ground, car = np.zeros((1, 65)), np.zeros((1, 65))
    bgr = np.ascontiguousarray(rgb[..., ::-1])
    cv2.grabCut(bgr, labels, None, ground, car, 4, cv2.GC_INIT_WITH_MASK)
    return (labels & 1).astype(bool)


if __name__ == "__main__":
    main()
