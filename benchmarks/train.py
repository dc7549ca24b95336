"""A training step against a plain loop on the same files, and where its time goes.

    uvtex showroom build /tmp/set --size 64 --cameras 12 --liveries 40 --samples 4
    python -m benchmarks.train compare /tmp/set
    python -m benchmarks.train compare /tmp/set --device cuda --image-size 256
    python -m benchmarks.train profile /tmp/set

`compare` trains preset poc05 at width 1 in three ways by turns, each in a process of its own: while
one works the others wait. The rival is benchmarks/reference_loop.py, in float32; ours is the
Trainer's own step on the store's batches, in float32 and in bf16. First all take one batch from the
same weights, and the gradients' differences to the rival's are printed: the mathematics is the
same. On CUDA model FLOPs utilisation is stated against a matrix product measured beside it, both in
bf16. `profile` prints the operators that the time goes to.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import click
import torch
from torch.profiler import ProfilerActivity
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.pair_store import peak
from benchmarks.reference_loop import Reference, separate
from uvtex.config import TrainConfig, resolve
from uvtex.console import CleanErrorGroup
from uvtex.data.batch import Batch
from uvtex.data.store import PairStore
from uvtex.device import autocast
from uvtex.models.forward import forward
from uvtex.training.losses import terms, total
from uvtex.training.schedule import weights
from uvtex.training.trainer import Trainer

REFERENCE = "reference"
PRECISIONS = ("float32", "bf16")
Rates = dict[str, list[float]]

DATA = click.argument("folder", type=click.Path(path_type=Path))
SIZE = click.option("--image-size", type=int, default=64)
BATCH = click.option("--batch-size", type=int, default=6)
DEVICE = click.option("--device", default="cpu")
THREADS = click.option("--threads", type=int, default=2, help="Of each process.")


@click.group(cls=CleanErrorGroup)
def main() -> None:
    """Benchmarks of the trainer."""


# -- against the plain loop


@main.command()
@DATA
@SIZE
@BATCH
@DEVICE
@THREADS
@click.option("--workers", type=int, default=0, help="Of the rival's DataLoader.")
@click.option("--steps", type=int, default=2, help="Timed in a row.")
@click.option("--turns", type=int, default=9)
def compare(
    folder: Path,
    image_size: int,
    batch_size: int,
    device: str,
    threads: int,
    workers: int,
    steps: int,
    turns: int,
) -> None:
    """Images a second of each, by turns, the ratios, and each one's peak memory."""
    config = settings(image_size, batch_size, device)
    print(f"poc05, width 1, {image_size} px, batches of {batch_size}, {device}")
    print(
        f"{threads} threads each, {len(os.sched_getaffinity(0))} cores, torch {torch.__version__}"
    )
    for name, apart in differences(folder, config).items():
        print(f"gradients of {name} are off by {apart:.1e} of their norm")
    names = (REFERENCE, *PRECISIONS)
    ends = {name: start(name, folder, config, threads, workers) for name in names}
    for end in ends.values():
        ask(end, 2)  # the first steps take memory and choose kernels
    wall: Rates = {name: [] for name in names}
    busy: Rates = {name: [] for name in names}
    for _ in range(turns):
        for name, end in ends.items():
            images, seconds, cpu = ask(end, steps)
            wall[name].append(images / seconds)
            busy[name].append(images / cpu)
    for name, end in ends.items():
        print(f"{name:10}{spread(wall[name])} images/s {spread(busy[name])} a CPU second")
        print(f"{'':10}{stop(end)}")
    for name in PRECISIONS:
        by_turn = [o / r for o, r in zip(wall[name], wall[REFERENCE], strict=True)]
        print(
            f"{name:10}{spread(by_turn)} times the reference by turn; of the medians "
            f"{ratio(wall, name):.2f}, by CPU time {ratio(busy, name):.2f}"
        )
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{turns} turns of {steps} steps; median [least, most]; load averages {load}")
    if device.startswith("cuda"):
        utilisation(folder, config, statistics.median(wall["bf16"]))


def settings(image_size: int, batch_size: int, device: str) -> TrainConfig:
    """The original preset with the default schedule."""
    thresholds = [{"metric": "ssim_uv", "at_least": 0.245}]
    given = {"image_size": image_size, "batch_size": batch_size, "device": device}
    return resolve(given, {"preset": "poc05", "thresholds": thresholds})


def spread(values: list[float]) -> str:
    """Median, least and most."""
    return f"{statistics.median(values):8.2f} [{min(values):.2f}, {max(values):.2f}]"


def ratio(rates: Rates, name: str) -> float:
    """That way's to the reference's, of the medians."""
    return statistics.median(rates[name]) / statistics.median(rates[REFERENCE])


def differences(folder: Path, config: TrainConfig) -> dict[str, float]:
    """By precision, of its gradients on one batch to the reference's, relative to their norm."""
    trainer, batches = begin(folder, config)
    plain = Reference(folder, config)
    plain.predictor.load_state_dict(trainer.predictor.state_dict())
    plain.renderer.load_state_dict(trainer.renderer.state_dict())
    pair, now = next(batches).pair, weights(config.schedule, 1, config.epochs)

    def gradient(passes: Any, networks: tuple[torch.nn.Module, ...], precision: str) -> Any:
        parameters = [p for n in networks for p in n.parameters()]
        with autocast(trainer.data.device, precision):
            out = passes(*networks, pair)
        loss = total(terms(pair, out.float32()), now)
        return torch.cat([g.flatten() for g in torch.autograd.grad(loss, parameters)]).double()

    theirs = gradient(separate, (plain.predictor, plain.renderer), "float32")
    ours = (trainer.predictor, trainer.renderer)
    return {
        precision: float((gradient(forward, ours, precision) - theirs).norm() / theirs.norm())
        for precision in PRECISIONS
    }


# -- a process for each way


def start(name: str, folder: Path, config: TrainConfig, threads: int, workers: int) -> Connection:
    """A process that trains in the way of that name when it is asked to."""
    context = multiprocessing.get_context("spawn")
    end, theirs = context.Pipe()
    args = (name, str(folder), config.model_dump(mode="json"), threads, workers, theirs)
    context.Process(target=serve, args=args).start()
    return end


def ask(end: Connection, steps: int) -> tuple[int, float, float]:
    """Images, wall and CPU seconds of so many steps."""
    end.send(steps)
    images, seconds, cpu = end.recv()
    return images, seconds, cpu


def stop(end: Connection) -> str:
    """Ends the process; its peak memory."""
    end.send(0)
    return str(end.recv())


def serve(
    name: str, folder: str, values: dict[str, Any], threads: int, workers: int, end: Connection
) -> None:
    """Answers :func:`ask` until :func:`stop`."""
    torch.set_num_threads(threads)
    config = TrainConfig.model_validate(values)
    step = (
        Reference(Path(folder), config, workers).step
        if name == REFERENCE
        else stepping(Path(folder), config.model_copy(update={"precision": name}))
    )
    while steps := end.recv():
        wall, cpu = time.perf_counter(), time.process_time()
        images = sum(step()[0] for _ in range(steps))
        synchronise(config.device)
        end.send((images, time.perf_counter() - wall, time.process_time() - cpu))
    most = f"peak {peak() / 2**20:,.0f} MiB resident"
    if config.device.startswith("cuda"):
        most += f", {torch.cuda.max_memory_allocated() / 2**20:,.0f} MiB on the device"
    end.send(most)


def stepping(folder: Path, config: TrainConfig) -> Callable[[], tuple[int, Any]]:
    """The Trainer's step; its losses stay where they are, as in an epoch."""
    trainer, batches = begin(folder, config)
    now = weights(config.schedule, 1, config.epochs)

    def step() -> tuple[int, Any]:
        batch = next(batches)
        return len(batch.pair.a), trainer._step(batch, now, torch.Generator(config.device))

    return step


def begin(folder: Path, config: TrainConfig) -> tuple[Trainer, Iterator[Batch]]:
    """A trainer that saves nothing, and its batches without end."""
    store = PairStore.open(folder, config)
    with tempfile.TemporaryDirectory() as run:
        trainer = Trainer(config, store, Path(run))
    trainer.predictor.train()
    trainer.renderer.train()

    def batches() -> Iterator[Batch]:
        epoch = 0
        while True:
            epoch += 1
            yield from store.train_batches(config.batch_size, config.seed, epoch)

    return trainer, batches()


def synchronise(device: str) -> None:
    """Waits for the device's queue."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)


# -- how much of the device is used


def utilisation(folder: Path, config: TrainConfig, images: float) -> None:
    """Prints the share of a measured peak that the networks' arithmetic takes."""
    trainer, batches = begin(folder, config)
    batch, now = next(batches), weights(config.schedule, 1, config.epochs)
    with FlopCounterMode(display=False) as counter:
        trainer._step(batch, now, torch.Generator(config.device))
    flops = counter.get_total_flops() / len(batch.pair.a)
    most = matrix_peak(config.device)
    print(f"{flops / 1e9:.1f} GFLOP an image, forward and backward")
    print(f"measured peak of a bf16 matrix product {most / 1e12:.0f} TFLOP/s")
    print(f"model FLOPs utilisation {images * flops / most:.1%}")


def matrix_peak(device: str, side: int = 8192, repeats: int = 20) -> float:
    """FLOP a second of a square product in bf16."""
    x, y = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    for _ in range(3):
        x @ y
    synchronise(device)
    started = time.perf_counter()
    for _ in range(repeats):
        x @ y
    synchronise(device)
    return repeats * 2 * side**3 / (time.perf_counter() - started)


# -- where the time goes


@main.command()
@DATA
@SIZE
@BATCH
@DEVICE
@THREADS
@click.option("--precision", type=click.Choice(PRECISIONS), default="float32")
@click.option("--steps", type=int, default=3)
@click.option("--rows", type=int, default=20)
def profile(
    folder: Path,
    image_size: int,
    batch_size: int,
    device: str,
    threads: int,
    precision: str,
    steps: int,
    rows: int,
) -> None:
    """The operators of a step by the time that they take themselves."""
    torch.set_num_threads(threads)
    config = settings(image_size, batch_size, device)
    step = stepping(folder, config.model_copy(update={"precision": precision}))
    step()
    kinds = [ProfilerActivity.CPU]
    if device.startswith("cuda"):
        kinds.append(ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=kinds) as found:
        for _ in range(steps):
            step()
        synchronise(device)
    by = "self_device_time_total" if len(kinds) > 1 else "self_cpu_time_total"
    print(found.key_averages().table(sort_by=by, row_limit=rows, max_name_column_width=45))


if __name__ == "__main__":
    main()
