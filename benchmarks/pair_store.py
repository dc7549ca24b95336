"""Speed of the data store against a plain DataLoader, memory of a large set, cost of plates.

    uvtex showroom build /tmp/set --size 256 --cameras 6 --liveries 40 --samples 4
    python -m benchmarks.pair_store speed /tmp/set --image-size 64
    python -m benchmarks.pair_store memory
    python -m benchmarks.pair_store plates

`speed` reads the same files in two ways: by the store, and by a `torch.utils.data.DataLoader` that
opens, resizes and masks each sample with Pillow. The DataLoader runs once without workers and once
with a worker for each core; the faster counts. `memory` makes a set of 64 cameras and 10,000
liveries of 256 px in a temporary folder and opens it in a new process. It compares that process's
peak memory with the bytes of plates and textures. `plates` is in plates.py.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import click
import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from benchmarks.plates import plates
from uvtex.config import TrainConfig
from uvtex.console import PATH, CleanErrorGroup
from uvtex.data import manifest
from uvtex.data.store import PairStore
from uvtex.files import npz, png

MIB = 2**20


@click.group(cls=CleanErrorGroup)
def main() -> None:
    """Benchmark the data store and the plates that it reads.

    \b
    Example:
      python -m benchmarks.pair_store speed /tmp/set --image-size 64
    """


main.add_command(plates)


# -- speed


class Plain(Dataset[tuple[torch.Tensor, ...]]):
    """Pairs as most scripts read them: every file of a sample is opened for each batch."""

    def __init__(self, folder: Path, size: int, samples: list[int]) -> None:
        self.records = manifest.read(folder).records
        self.folder, self.size, self.samples = folder, size, samples
        self.mates: dict[str, list[int]] = {}
        for i in samples:
            self.mates.setdefault(self.records[i].livery, []).append(i)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, place: int) -> tuple[torch.Tensor, ...]:
        a = self.records[self.samples[place]]
        b = self.records[random.choice(self.mates[a.livery])]
        masks = [self.open(str(record.mask), "L") for record in (a, b)]
        views = [self.open(record.view, "RGB") for record in (a, b)]
        views = [view * mask for view, mask in zip(views, masks, strict=True)]
        return (*views, self.open(a.texture, "RGB") * 2 - 1, *masks)

    def open(self, name: str, mode: str) -> torch.Tensor:
        """[C, S, S] in [0, 1]."""
        with Image.open(self.folder / name) as file:
            picture = file.convert(mode)
            if picture.size != (self.size, self.size):
                picture = picture.resize((self.size, self.size), Image.Resampling.LANCZOS)
            pixels = np.asarray(picture).reshape(self.size, self.size, -1)
        return torch.from_numpy(pixels.astype(np.float32) / 255).permute(2, 0, 1)


@main.command()
@click.argument("folder", type=PATH)
@click.option("--image-size", type=int, default=64, help="Side of the views, in pixels.")
@click.option("--batch-size", type=int, default=16, help="Pairs of views in a batch.")
@click.option("--device", default="cpu", help="Device of the store: cpu, cuda, cuda:1, ...")
@click.option("--seconds", type=float, default=10.0, help="Least seconds of each measurement.")
def speed(folder: Path, image_size: int, batch_size: int, device: str, seconds: float) -> None:
    """Print the samples a second of the store and of a DataLoader on FOLDER, and their ratio.

    \b
    Example:
      python -m benchmarks.pair_store speed /tmp/set --image-size 64
    """
    config = TrainConfig(image_size=image_size, device=device)
    start = time.perf_counter()
    store = PairStore.open(folder, config)
    opened = time.perf_counter() - start
    ours = rate(lambda epoch: store.train_batches(batch_size, 0, epoch), len(store.train), seconds)
    cores = len(os.sched_getaffinity(0))
    plain = Plain(folder, image_size, store.train)
    theirs = {
        workers: rate(loading(plain, batch_size, workers), len(plain), seconds)
        for workers in (0, cores)
    }
    views = type(store.loaded.views).__name__
    print(
        f"{len(store.train)} training samples, {image_size} px, batches of {batch_size}, {device}"
    )
    print(f"{torch.get_num_threads()} torch threads, {cores} cores")
    print(f"store (views: {views}; opened in {opened:.1f} s) {ours:12,.0f} samples/s")
    for workers, value in theirs.items():
        print(f"DataLoader, {workers} workers            {value:12,.0f} samples/s")
    print(f"ratio to the faster {ours / max(theirs.values()):.1f}")


def loading(plain: Plain, batch_size: int, workers: int) -> Callable[[int], Iterable[object]]:
    """Epoch number -> its batches by a DataLoader whose workers live on between epochs."""
    loader = DataLoader(
        plain, batch_size, True, num_workers=workers, persistent_workers=workers > 0
    )
    return lambda epoch: loader


def rate(batches: Callable[[int], Iterable[object]], count: int, seconds: float) -> float:
    """Samples a second over whole epochs, without the first."""
    for _ in batches(0):
        pass
    start, epochs = time.perf_counter(), 0
    while (taken := time.perf_counter() - start) < seconds:
        epochs += 1
        for _ in batches(epochs):
            pass
        if torch.cuda.is_available():
            torch.cuda.synchronize()
    return epochs * count / taken


# -- memory


@main.command()
@click.option("--cameras", type=int, default=64, help="Number of cameras.")
@click.option("--liveries", type=int, default=10_000, help="Number of liveries.")
@click.option("--size", type=int, default=256, help="Side of views and textures, in pixels.")
def memory(cameras: int, liveries: int, size: int) -> None:
    """Print the peak memory of opening a large set, and its ratio to plates and textures.

    \b
    Example:
      python -m benchmarks.pair_store memory --liveries 1000
    """
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), cameras, liveries, size)
        module = [sys.executable, "-m", "benchmarks.pair_store"]
        subprocess.run([*module, "open", folder, "--image-size", str(size)], check=True)


@main.command("open", hidden=True)
@click.argument("folder", type=PATH)
@click.option("--image-size", type=int, help="Side of the views, in pixels.")
def open_(folder: Path, image_size: int) -> None:
    """Open FOLDER and print this process's memory; `memory` runs it in a new process."""
    torch.zeros(1)
    before, start = resident(), time.perf_counter()
    store = PairStore.open(folder, TrainConfig(image_size=image_size, device="cpu"))
    opened, after = time.perf_counter() - start, peak()
    contents = store.loaded
    plates = contents.views.plates.nbytes  # type: ignore[attr-defined]
    textures = contents.textures.pixels.nbytes
    samples = len(store.train) + len(store.val)
    print(
        f"{samples:,} views of {image_size} px; as pictures {samples * 3 * image_size**2:,} bytes"
    )
    print(f"plates            {plates / MIB:10,.0f} MiB")
    print(f"textures          {textures / MIB:10,.0f} MiB")
    print(f"peak of opening   {(after - before) / MIB:10,.0f} MiB beyond {before / MIB:,.0f} MiB")
    print(f"peak / (plates + textures) {(after - before) / (plates + textures):.2f}")
    print(f"opened in {opened:.0f} s", flush=True)
    start = time.perf_counter()
    for _ in zip(range(4), store.batches("val", 16), strict=False):
        pass
    print(
        f"4 batches of 16 in {time.perf_counter() - start:.1f} s; peak then "
        f"{(peak() - before) / MIB:,.0f} MiB"
    )


def resident() -> int:
    """Memory of this process now, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def peak() -> int:
    """Peak memory of this process, in bytes."""
    # getrusage is of no use here: a process inherits its figure from the one that started it.
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


def make(folder: Path, cameras: int, liveries: int, size: int, distinct: int = 16) -> None:
    """Writes a set without views, of ``distinct`` textures and one plate in many hard links."""
    from uvtex.showroom.liveries.procedural import paint

    for name in ("textures", "masks", "uv_maps", "plates"):
        (folder / name).mkdir()
    for i in range(liveries):
        path = folder / f"textures/{i:05d}.png"
        if i < distinct:
            path.write_bytes(png(paint(i, size)))
        else:
            path.hardlink_to(folder / f"textures/{i % distinct:05d}.png")
    rng = np.random.default_rng(0)
    for name, content in camera_files(rng, size).items():
        for k in range(cameras):
            path = folder / name.format(k)
            path.write_bytes(content) if k == 0 else path.hardlink_to(folder / name.format(0))
    manifest.write(folder, [record(k, i) for k in range(cameras) for i in range(liveries)])


def camera_files(rng: np.random.Generator, size: int) -> dict[str, bytes]:
    """Files of a camera that sees a disc of paint, 3 x 3 UV samples a pixel, in random light."""
    y, x = (np.mgrid[: 3 * size, : 3 * size] + 0.5) / (3 * size)
    uv = np.stack([x, 1 - y], axis=2).astype(np.float32)
    uv[(x - 0.5) ** 2 + (y - 0.5) ** 2 > 0.12] = np.nan
    light = rng.uniform(0, 1, (2, size, size, 3)).astype(np.float16)
    mask = np.isfinite(uv[1::3, 1::3, 0]).astype(np.uint8) * 255
    return {
        "masks/{:02d}.png": png(mask),
        "uv_maps/{:02d}.npz": npz(uv=uv),
        "plates/{:02d}.npz": npz(falling=light[0], reflected=light[1]),
    }


def record(camera: int, livery: int) -> manifest.Record:
    """The manifest record of a livery seen by a camera."""
    return manifest.Record(
        view=f"views/{camera:02d}/{livery:05d}.png",
        livery=f"{livery:05d}",
        texture=f"textures/{livery:05d}.png",
        mask=f"masks/{camera:02d}.png",
        uv_map=f"uv_maps/{camera:02d}.npz",
        plate=f"plates/{camera:02d}.npz",
        camera=f"{camera:02d}",
    )


if __name__ == "__main__":
    main()
