"""Convolutions with fewer multiplications, for where a CPU's arithmetic is what bounds a step.

A tile of m x m outputs of a k x k convolution depends on (m + k - 1)^2 = a^2 inputs. Evaluated at
a points instead of tap by tap (Toom and Cook; Winograd), it takes a^2 multiplications a pair of
channels instead of m^2 k^2: a fifth for k = 3, a sixth for k = 5. All that is left are matrix
products, and those of MKL run at the machine's peak.

Lavin & Gray 2016, "Fast Algorithms for Convolutional Neural Networks", equation (7):
Y = A^T [(G g G^T) * (B^T d B)] A. Points: Barabasz et al. 2020, "Error Analysis and Improving the
Accuracy of Winograd Convolution", show that reciprocal pairs keep the error small: in float32 it is
3e-6 of the result's norm, ten to twenty times that of the plain sum.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.polynomial import polynomial
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

INPUTS = 8
"""Of a tile along each axis."""

POINTS = (0, 1, -1, 2, -2, 0.5, -0.5)
"""Where the polynomials are evaluated; infinity is the last point."""

SIZES = (3, 5)
"""Of the kernels for which that is exact enough, and few enough multiplications."""

TILES = 128
"""Tiles worked on at once, whole rows of them: at width 1 they need 30 megabytes a thread."""

LEAST = 64
"""Channels on both sides from which on it pays: below, the transforms cost more than they save."""

FEW = 8
"""Channels below which a convolution for gradients is better off by rows."""

_local = threading.local()


class Form(NamedTuple):
    """The transforms of a tile, of a kernel, and of the product back to outputs, along an axis."""

    tile: Tensor  # B^T, [INPUTS, INPUTS]
    kernel: Tensor  # G, [INPUTS, k]
    output: Tensor  # A^T, [INPUTS + 1 - k, INPUTS]


@cache
def form(size: int, dtype: torch.dtype) -> Form:
    """The transforms of a convolution by ``size`` x ``size``.

    Column i of A^T and row i of G hold the powers of point i, row i of B^T the coefficients of the
    polynomial that vanishes at all other points; the kernel's side is divided by its value at i.
    """
    points = np.array(POINTS, float)
    outputs = INPUTS + 1 - size
    output, kernel = np.zeros((outputs, INPUTS)), np.zeros((INPUTS, size))
    tile = np.zeros((INPUTS, INPUTS))
    for i, point in enumerate(points):
        others = np.delete(points, i)
        output[:, i] = point ** np.arange(outputs)
        kernel[i] = point ** np.arange(size) / np.prod(point - others)
        tile[i, : INPUTS - 1] = polynomial.polyfromroots(others)
    output[-1, -1] = kernel[-1, -1] = 1
    tile[-1] = polynomial.polyfromroots(points)
    return Form(*(torch.from_numpy(matrix).to(dtype) for matrix in (tile, kernel, output)))


class Band(NamedTuple):
    """A part of a batch: some pictures, and of these the rows from ``top`` to ``bottom``, which may
    lie below the picture, as tiles do."""

    pictures: slice
    top: int
    bottom: int

    def of(self, x: Tensor) -> Tensor:
        """That part of [N, C, H, W]."""
        return x[self.pictures, :, self.top : self.bottom]


class ConvReLU(nn.Conv2d):
    """A convolution that keeps the picture's size, then ReLU; by tiles where that is faster.

    Parameters, their names and first values are those of :class:`torch.nn.Conv2d`.
    """

    def __init__(self, inputs: int, outputs: int, size: int) -> None:
        super().__init__(inputs, outputs, size, padding=size // 2)

    def forward(self, x: Tensor) -> Tensor:
        if pays(x, self.weight):
            out: Tensor = Tiled.apply(x, self.weight, self.bias)  # type: ignore[no-untyped-call]
            return out
        here = x.device.type == "cpu" and not torch.compiler.is_compiling()
        if here and x.requires_grad and self.in_channels < FEW:
            return by_rows(x, self.weight, self.bias).relu_()
        return super().forward(x).relu_()


def by_rows(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """``F.conv2d(x, weight, bias, padding=k // 2)``, a row of taps made channels.

    oneDNN fills few channels up to a vector's 16: the gradient for ``x`` is half the work so.
    """
    size = weight.shape[2]
    padded = F.pad(x, (size // 2, size // 2, 0, 0)).permute(0, 2, 3, 1)
    rows = padded.unfold(2, size, 1).flatten(3).permute(0, 3, 1, 2)  # [N, C * k, H, W]
    taps = weight.transpose(2, 3).flatten(1, 2).unsqueeze(3).contiguous()
    return F.conv2d(rows, taps, bias, padding=(size // 2, 0))


def pays(x: Tensor, weight: Tensor) -> bool:
    """Whether the tiles are possible and faster: on a CPU, in full precision, with many channels.

    CUDA's libraries choose such algorithms themselves, and a traced program must not be tied to
    one device's.
    """
    return (
        x.device.type == "cpu"
        and x.dtype == weight.dtype
        and x.dtype in (torch.float32, torch.float64)
        and weight.shape[2] in SIZES
        and min(weight.shape[:2]) >= LEAST
        and not torch.is_autocast_enabled("cpu")
        and not torch.is_inference_mode_enabled()  # what is kept from call to call lies outside it
        and not torch.compiler.is_compiling()
    )


class Tiled(torch.autograd.Function):
    """``F.relu(F.conv2d(x, weight, bias, padding=k // 2))`` by tiles.

    x: [N, C, H, W]; weight: [O, C, k, k], k among SIZES; bias: [O].
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        tiles = Tiles(x, weight)
        kernel = tiles.kernel()
        grown = tiles.grown(len(weight))
        for part in tiles.bands():
            tile = tiles.spread(x, part)
            product = torch.bmm(tile, kernel, out=tiles.product(tile))
            out = tiles.windows(part.of(grown), tiles.side)
            values = tiles.room("values", *out.shape)
            tiles.along_both(tiles.form.output, product, into=values)
            torch.clamp_min(values.add_(bias), 0, out=out)
        y = grown[:, :, : x.shape[2], : x.shape[3]]
        ctx.save_for_backward(x, weight, y)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        x, weight, y = ctx.saved_tensors
        tiles = Tiles(x, weight)
        kernel = tiles.kernel()
        grad_x = None
        if ctx.needs_input_grad[0]:
            grad_x = torch.empty_like(x, memory_format=torch.channels_last)
        grad_kernel = tiles.room("grad_kernel", *kernel.shape).zero_()
        grad_bias = weight.new_zeros(len(weight))
        for part in tiles.bands():
            values = tiles.lit(grad, y, part)
            tile = tiles.spread(x, part)
            grad_bias += values.flatten(0, -2).sum(0)
            product = tiles.product(tile)
            tiles.along_both(tiles.form.output.T, values, into=product)
            grad_kernel.baddbmm_(tile.transpose(1, 2), product)
            if grad_x is not None:
                torch.bmm(product, kernel.transpose(1, 2), out=tile)
                tiles.gather(tile, grad_x, part)
        taps = weight.new_empty(*weight.shape[2:], *kernel.shape[1:])
        tiles.along_both(tiles.form.kernel.T, grad_kernel, into=taps)
        return grad_x, taps.permute(3, 2, 0, 1), grad_bias


class Tiles:
    """One convolution's tiles: how pictures become tiles and tiles pictures, a few at a time."""

    def __init__(self, x: Tensor, weight: Tensor) -> None:
        self._weight, self._size = weight, weight.shape[2]
        self.form = form(self._size, x.dtype)
        self.side = INPUTS + 1 - self._size
        """Outputs of a tile along each axis."""
        self._count, _, self._height, self._width = x.shape
        self._down, self._across = (math.ceil(n / self.side) for n in x.shape[2:])

    def bands(self) -> Iterator[Band]:
        """The batch, a few pictures at a time, large ones some rows at a time, from the top."""
        pictures = max(1, TILES // (self._down * self._across))
        rows = min(self._down, max(1, TILES // self._across))
        for first in range(0, self._count, pictures):
            some = slice(first, min(first + pictures, self._count))
            for row in range(0, self._down, rows):
                yield Band(some, row * self.side, min(row + rows, self._down) * self.side)

    def grown(self, channels: int) -> Tensor:
        """[N, channels, ...] to be filled with what all tiles give: it may be larger than x."""
        height, width = self._down * self.side, self._across * self.side
        return self._weight.new_empty(self._count, height, width, channels).permute(0, 3, 1, 2)

    def room(self, name: str, *shape: int) -> Tensor:
        """Working memory, one piece of a name in each thread, with whatever was left in it: taking
        new memory for every part costs as much as the arithmetic."""
        rooms = _own_rooms()
        key, needed = (name, self._weight.dtype), math.prod(shape)
        if key not in rooms or rooms[key].numel() < needed:
            rooms[key] = self._weight.new_empty(needed)
        return rooms[key][:needed].view(shape)

    def product(self, tile: Tensor) -> Tensor:
        """Room for ``tile`` times the kernel: [a * a, tiles, O]."""
        return self.room("product", len(tile), tile.shape[1], len(self._weight))

    def kernel(self) -> Tensor:
        """The weight at the points: [a * a, C, O]."""
        taps = self._weight.permute(2, 3, 1, 0).contiguous()
        points = self.room("kernel", INPUTS**2, *taps.shape[2:])
        self.along_both(self.form.kernel, taps, into=points)
        return points

    def along_both(self, matrix: Tensor, x: Tensor, into: Tensor) -> None:
        """``matrix`` [p, q] along both axes of a tile: [q * q or q, q, ...] -> [p * p or p, p, ...]

        As one matrix for both, [p * p, q * q], it would be three to four times the arithmetic.
        """
        p, q = matrix.shape
        rest = x.numel() // q**2
        half = self.room("half", p, q, rest)
        torch.mm(matrix, x.view(q, q * rest), out=half.view(p, q * rest))
        torch.bmm(matrix.expand(p, p, q), half, out=into.view(p, p, rest))

    def spread(self, x: Tensor, part: Band) -> Tensor:
        """[N, C, H, W] -> [INPUTS^2, tiles, C]: the part's inputs, evaluated at the points."""
        rows = self._reach(part)
        frame, inside = self._framed(part, rows, x.shape[1], self._size // 2)
        inside.copy_(x[part.pictures, :, rows])
        windows = self.windows(frame, INPUTS)
        inputs = self.room("inputs", *windows.shape).copy_(windows)
        tiles = self.room("tiles", INPUTS**2, windows[0, 0, ..., 0].numel(), x.shape[1])
        self.along_both(self.form.tile, inputs, into=tiles)
        return tiles

    def gather(self, tiles: Tensor, x: Tensor, part: Band) -> None:
        """The adjoint of :meth:`spread`, into ``x``: tiles overlap, so their inputs are summed.

        Parts overlap as well. What the part above left in common rows is added to, the others are
        written anew.
        """
        rows = self._reach(part)
        frame, sums = self._framed(part, rows, x.shape[1], self._size // 2)
        windows = self.windows(frame.zero_(), INPUTS)
        inputs = self.room("inputs", *windows.shape)
        self.along_both(self.form.tile.T, tiles, into=inputs)
        # Within a quarter no two tiles touch.
        halves = (slice(0, self.side), slice(self.side, None))
        for quarter in itertools.product(halves, halves):
            windows[quarter].add_(inputs[quarter])
        common = min(part.top + self._size // 2, rows.stop) - rows.start if part.top else 0
        into = x[part.pictures, :, rows]
        into[:, :, :common] += sums[:, :, :common]
        into[:, :, common:] = sums[:, :, common:]

    def lit(self, grad: Tensor, y: Tensor, part: Band) -> Tensor:
        """[N, O, H, W] -> [side, side, n, down, across, O]: ReLU's gradient, by tiles; none where
        a tile reaches out of the picture."""
        rows = slice(part.top, min(part.bottom, self._height))
        frame, inside = self._framed(part, rows, y.shape[1], 0)
        lit, out = (whole[part.pictures, :, rows] for whole in (y, grad))
        torch.ops.aten.threshold_backward.grad_input(out, lit, 0, grad_input=inside)
        windows = self.windows(frame, self.side)
        return self.room("values", *windows.shape).copy_(windows)

    def windows(self, x: Tensor, side: int) -> Tensor:
        """[n, C, ...] as [side, side, n, down, across, C]: a view, whose tiles may overlap."""
        image, channel, row, column = x.stride()
        down = (x.shape[2] - side) // self.side + 1
        shape = (side, side, len(x), down, self._across, x.shape[1])
        strides = (row, column, image, self.side * row, self.side * column, channel)
        return x.as_strided(shape, strides, x.storage_offset())

    def _framed(self, part: Band, rows: slice, channels: int, border: int) -> tuple[Tensor, Tensor]:
        """Room for a part to its last tiles' ends and a border around it, [n, channels, ...]; and
        of that the pictures' ``rows``, with zeros around them."""
        height, width = part.bottom - part.top, self._across * self.side
        count = len(range(self._count)[part.pictures])
        shape = (count, height + 2 * border, width + 2 * border, channels)
        frame = self.room("frame", *shape).permute(0, 3, 1, 2)
        above = rows.start - part.top + border
        below, right = above + rows.stop - rows.start, border + self._width
        around = (frame[:, :, :above], frame[:, :, below:], frame[..., :border], frame[..., right:])
        for outside in around:
            outside.zero_()
        return frame, frame[:, :, above:below, border:right]

    def _reach(self, part: Band) -> slice:
        """The rows that the part's tiles depend on."""
        border = self._size // 2
        return slice(max(0, part.top - border), min(self._height, part.bottom + border))


def _own_rooms() -> dict[tuple[str, torch.dtype], Tensor]:
    """Each thread's: two that share working memory would spoil each other's tiles."""
    if not hasattr(_local, "rooms"):
        _local.rooms = {}
    rooms: dict[tuple[str, torch.dtype], Tensor] = _local.rooms
    return rooms
