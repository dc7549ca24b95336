"""Pictures worked on a few at a time, each from end to end in one thread.

torch shares every operator among its threads, so what one of them made, another reads at the next
operator, long after it has left the caches. A few pictures at a time a core's own cache holds; and
threads that need nothing of each other do not wait for each other either.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache
from itertools import pairwise
from threading import Barrier
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

T = TypeVar("T")
R = TypeVar("R")

PIXELS = 3 * 64**2
"""Of the pictures that a thread works on at once, but for one that is larger."""


def apart(network: nn.Module, x: Tensor) -> Tensor:
    """``network(x)``, for a network that treats every picture by itself.

    A few pictures at a time, on a CPU in full precision while gradients are recorded; in half
    precision torch's own threads are faster (docs/log.md, 2026-11-24). Values are the same, and the
    parameters' gradients but for the order in which pictures are summed, which follows from how
    many pictures and threads there are. They can be had once, and not differentiated again; hooks
    on parameters would be called for every piece.

    Args:
        network: its parameters that require gradients must all play a part in what it returns.
        x: [N, C, H, W].
    """
    half_precision = torch.is_autocast_enabled("cpu")
    recorded = torch.is_grad_enabled() and not torch.compiler.is_compiling()
    if x.device.type == "cpu" and recorded and not half_precision:
        threads = torch.get_num_threads()
        pieces = _pieces(len(x), max(1, PIXELS // (x.shape[2] * x.shape[3])), threads)
        if len(pieces) >= max(2, threads):
            parameters = [p for p in network.parameters() if p.requires_grad]
            made: Tensor = Apart.apply(network, pieces, x, *parameters)  # type: ignore[no-untyped-call]
            return made
    out: Tensor = network(x)
    return out


def _pieces(count: int, most: int, threads: int) -> list[slice]:
    """``count`` in pieces of ``most`` or fewer, equally many for each thread where they suffice."""
    pieces = max(1, min(count, threads * math.ceil(count / (threads * most))))
    bounds = [count * i // pieces for i in range(pieces + 1)]
    return [slice(start, end) for start, end in pairwise(bounds)]


class Apart(torch.autograd.Function):
    """Every piece has a graph of its own; what it gives the parameters is summed."""

    @staticmethod
    def forward(
        ctx: Any, network: nn.Module, pieces: Sequence[slice], x: Tensor, *parameters: Tensor
    ) -> Tensor:
        inputs = [x[piece].detach().requires_grad_(ctx.needs_input_grad[2]) for piece in pieces]

        def work(inputs: Sequence[Tensor]) -> list[Tensor]:
            with torch.enable_grad():
                return [network(piece) for piece in inputs]

        ctx.inputs = inputs
        ctx.outputs = [out for part in shared(work, inputs) for out in part]
        ctx.parameters = parameters
        return torch.cat([out.detach() for out in ctx.outputs])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        of_input = ctx.needs_input_grad[2]
        grads = torch.split(grad, [len(out) for out in ctx.outputs])

        def work(pieces: Sequence[tuple[Tensor, ...]]) -> tuple[list[Tensor], list[Tensor]]:
            of_inputs: list[Tensor] = []
            sums: list[Tensor] = []
            for x, out, into in pieces:
                wanted = [x, *ctx.parameters] if of_input else ctx.parameters
                found = list(torch.autograd.grad(out, wanted, into))
                if of_input:
                    of_inputs.append(found.pop(0))
                sums = _added(sums, found) if sums else found
            return of_inputs, sums

        pieces = list(zip(ctx.inputs, ctx.outputs, grads, strict=True))
        (of_inputs, sums), *others = shared(work, pieces)
        for more_inputs, more in others:
            of_inputs += more_inputs
            sums = _added(sums, more)
        return None, None, torch.cat(of_inputs) if of_input else None, *sums


def _added(sums: list[Tensor], more: list[Tensor]) -> list[Tensor]:
    return [one + other for one, other in zip(sums, more, strict=True)]


def shared(work: Callable[[Sequence[T]], R], items: Sequence[T]) -> list[R]:
    """``work`` done on ``items``, shared out evenly among as many threads as torch has.

    Its results are in the items' order: what is summed over them is the same each time, though not
    the same with another number of threads. Nothing is recorded for gradients. ``work`` is called
    once, in the caller's thread, where there are fewer items than threads.

    Raises:
        Exception: what ``work`` raised first in the items' order, once none of it runs any more.
        KeyboardInterrupt: at once; what runs goes on to its end, unheard.
        RuntimeError: a thread cannot be started.
    """
    threads = torch.get_num_threads()
    if threads == 1 or len(items) < threads:
        with torch.no_grad():
            return [work(items)]
    bounds = [len(items) * i // threads for i in range(threads + 1)]
    parts = [items[start:end] for start, end in pairwise(bounds)]

    def quietly(part: Sequence[T]) -> R:
        with torch.no_grad():  # each thread has this of its own, on at first
            return work(part)

    futures = [_pool(threads).submit(quietly, part) for part in parts]
    wait(futures)
    return [future.result() for future in futures]


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """That many threads in which torch works alone. They do not live on in a forked process."""
    started = Barrier(threads)

    def work_alone() -> None:
        torch.get_num_threads()  # a thread takes up the number of all when it first asks for it
        torch.set_num_threads(1)

    pool = ThreadPoolExecutor(threads, "parts", work_alone)
    try:
        wait([pool.submit(started.wait) for _ in range(threads)])
    except BaseException:
        started.abort()  # else those that did start would wait for the others for ever
        raise
    finally:
        torch.set_num_threads(threads)  # of all that ask from now on: the last one set it to 1
    return pool
