"""Convolutions with fewer multiplications, for where a CPU's arithmetic is what bounds a step.

A tile of 4 x 4 outputs of a k x k convolution depends on (4 + k - 1)^2 = a^2 inputs. Evaluated at
a points instead of tap by tap (Toom and Cook; Winograd), it takes a^2 multiplications a pair of
channels instead of 16 k^2: a quarter for k = 3, a sixth for k = 5. All that is left are matrix
products, and those of MKL run at the machine's peak.

Lavin & Gray 2016, "Fast Algorithms for Convolutional Neural Networks", equation (7):
Y = A^T [(G g G^T) * (B^T d B)] A. Both sides' matrices are one Kronecker product here. Points:
Barabasz et al. 2020, "Error Analysis and Improving the Accuracy of Winograd Convolution", show that
reciprocal pairs keep the error small: in float32 it is twice (k = 3) to five times (k = 5) that of
the plain sum, 1e-6 and 4e-6 of the result's norm.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.polynomial import polynomial
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from uvtex.models.threads import shared

SIDE = 4
"""Outputs of a tile along each axis."""

POINTS = {3: (0, 0.5**0.5, -(0.5**0.5), 2**0.5, -(2**0.5)), 5: (0, 1, -1, 2, -2, 0.5, -0.5)}
"""Where the polynomials are evaluated, by kernel size; infinity is the last point."""

TILES = 128
"""Tiles worked on at once, whole rows of them: what they need is 5 to 15 megabytes a thread."""

ROOMS = 64
"""Pieces of working memory that a thread keeps, megabytes each; then it starts anew."""

LEAST = 64
"""Channels on both sides from which on it pays: below, the transforms cost more than they save."""


_local = threading.local()


class Form(NamedTuple):
    """The transforms of a tile, of a kernel, and of the product back to outputs."""

    tile: Tensor  # [a * a, a * a]
    kernel: Tensor  # [a * a, k * k]
    output: Tensor  # [SIDE * SIDE, a * a + 1]; the last column is the bias's


@cache
def form(size: int, dtype: torch.dtype) -> Form:
    """The transforms of a convolution by ``size`` x ``size``, which must be among POINTS.

    Column i of A^T and row i of G hold the powers of point i, row i of B^T the coefficients of the
    polynomial that vanishes at all other points; the kernel's side is divided by its value at i.
    """
    points = np.array(POINTS[size], float)
    inputs = SIDE + size - 1
    output, kernel = np.zeros((SIDE, inputs)), np.zeros((inputs, size))
    tile = np.zeros((inputs, inputs))
    for i, point in enumerate(points):
        others = np.delete(points, i)
        output[:, i] = point ** np.arange(SIDE)
        kernel[i] = point ** np.arange(size) / np.prod(point - others)
        tile[i, : inputs - 1] = polynomial.polyfromroots(others)
    output[-1, -1] = kernel[-1, -1] = 1
    tile[-1] = polynomial.polyfromroots(points)
    squares = [np.kron(matrix, matrix) for matrix in (tile, kernel, output)]
    squares[2] = np.pad(squares[2], ((0, 0), (0, 1)), constant_values=1)
    return Form(*(torch.from_numpy(square).to(dtype) for square in squares))


class Band(NamedTuple):
    """A part of a batch: some pictures, and of these the rows from ``top`` to ``bottom``."""

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
        if not pays(x, self.weight):
            return super().forward(x).relu_()
        out: Tensor = Tiled.apply(x, self.weight, self.bias)  # type: ignore[no-untyped-call]
        return out


def pays(x: Tensor, weight: Tensor) -> bool:
    """Whether the tiles are possible and faster: on a CPU, in full precision, with many channels.

    CUDA's libraries choose such algorithms themselves, and a traced program must not be tied to
    one device's.
    """
    return (
        x.device.type == "cpu"
        and x.dtype == weight.dtype
        and x.dtype in (torch.float32, torch.float64)
        and weight.shape[2] in POINTS
        and min(weight.shape[:2]) >= LEAST
        and x.shape[2] % SIDE == 0
        and x.shape[3] % SIDE == 0
        and not torch.is_autocast_enabled("cpu")
        and not torch.is_inference_mode_enabled()  # what is kept from call to call lies outside it
        and not torch.compiler.is_compiling()
    )


class Tiled(torch.autograd.Function):
    """``F.relu(F.conv2d(x, weight, bias, padding=k // 2))`` by tiles.

    x: [N, C, H, W], H and W multiples of SIDE; weight: [O, C, k, k]; bias: [O].
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        tiles = Tiles(x, weight)
        kernel = tiles.kernel()
        y = _like(x, len(weight))

        def work(pictures: Sequence[slice]) -> None:
            for part in tiles.bands(pictures):
                tile = tiles.spread(x, part)
                product = tiles.product(tile)
                torch.bmm(tile, kernel, out=product[:-1])
                product[-1] = bias
                out = tiles.windows(part.of(y), SIDE)
                values = tiles.room("values", *out.shape)
                torch.mm(tiles.form.output, product.flatten(1), out=values.view(SIDE**2, -1))
                torch.clamp_min(values, 0, out=out)

        shared(work, tiles.pictures())
        ctx.save_for_backward(x, weight, y)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        x, weight, y = ctx.saved_tensors
        tiles = Tiles(x, weight)
        kernel = tiles.kernel()
        grad_x = _like(x, x.shape[1]) if ctx.needs_input_grad[0] else None

        def work(pictures: Sequence[slice]) -> tuple[Tensor, Tensor]:
            grad_kernel, grad_bias = torch.zeros_like(kernel), weight.new_zeros(len(weight))
            for part in tiles.bands(pictures):
                out, lit = (tiles.windows(part.of(whole), SIDE) for whole in (grad, y))
                values = tiles.room("values", *out.shape)
                torch.ops.aten.threshold_backward.grad_input(out, lit, 0, grad_input=values)
                tile = tiles.spread(x, part)
                product = tiles.product(tile)
                flat = values.view(SIDE**2, -1)
                torch.mm(tiles.form.output.T, flat, out=product.flatten(1))
                grad_bias += product[-1].sum(0)
                grad_kernel.baddbmm_(tile.transpose(1, 2), product[:-1])
                if grad_x is not None:
                    torch.bmm(product[:-1], kernel.transpose(1, 2), out=tile)
                    tiles.gather(tile, grad_x, part)
            return grad_kernel, grad_bias

        (grad_kernel, grad_bias), *others = shared(work, tiles.pictures())
        for more_kernel, more_bias in others:
            grad_kernel += more_kernel
            grad_bias += more_bias
        taps = tiles.form.kernel.T @ grad_kernel.flatten(1)
        grad_weight = taps.view(*weight.shape[2:], *kernel.shape[1:]).permute(3, 2, 0, 1)
        return grad_x, grad_weight, grad_bias


class Tiles:
    """One convolution's tiles: how pictures become tiles and tiles pictures, a few at a time."""

    def __init__(self, x: Tensor, weight: Tensor) -> None:
        self.form = form(weight.shape[2], x.dtype)
        self._weight, self._size = weight, weight.shape[2]
        self._inputs = SIDE + self._size - 1
        self._count, _, self._height, width = x.shape
        self._across = width // SIDE

    def pictures(self) -> list[slice]:
        """The batch, a few pictures at a time; none shares anything with another."""
        step = max(1, TILES * SIDE // (self._height * self._across))
        return [slice(i, min(i + step, self._count)) for i in range(0, self._count, step)]

    def bands(self, pictures: Sequence[slice]) -> Iterator[Band]:
        """These, large ones some rows at a time, from the top."""
        rows = min(self._height, SIDE * max(1, TILES // self._across))
        for some in pictures:
            for top in range(0, self._height, rows):
                yield Band(some, top, min(top + rows, self._height))

    def room(self, name: str, *shape: int) -> Tensor:
        """Working memory, zeros at first, the same for every part and for every layer of a shape:
        taking new memory each time costs as much as the arithmetic."""
        rooms = _own_rooms()
        key = (name, self._size, shape, self._weight.dtype)
        kept = rooms.get(key)
        if kept is None:
            if len(rooms) >= ROOMS:
                rooms.clear()
            kept = rooms[key] = self._weight.new_zeros(shape)
        return kept

    def product(self, tile: Tensor) -> Tensor:
        """Room for ``tile`` times the kernel, and for the bias: [a * a + 1, tiles, O]."""
        return self.room("product", len(tile) + 1, tile.shape[1], len(self._weight))

    def kernel(self) -> Tensor:
        """The weight at the points: [a * a, C, O]."""
        taps = self._weight.permute(2, 3, 1, 0).reshape(self._size**2, -1)
        return (self.form.kernel @ taps).view(-1, self._weight.shape[1], self._weight.shape[0])

    def spread(self, x: Tensor, part: Band) -> Tensor:
        """[N, C, H, W] -> [a * a, tiles, C]: the part's inputs, evaluated at the points."""
        frame = self._frame("frame", part.of(x))  # nothing ever writes into its sides
        top, bottom = self._reach(part)
        above = top - part.top + self._size // 2
        frame[:, :, :above].zero_()
        frame[:, :, above + bottom - top :].zero_()
        self._inside(frame[:, :, above:], bottom - top).copy_(x[part.pictures, :, top:bottom])
        windows = self.windows(frame, self._inputs)
        inputs = self.room("inputs", *windows.shape).copy_(windows)
        tiles = self.room("tiles", self._inputs**2, windows[0, 0, ..., 0].numel(), x.shape[1])
        torch.mm(self.form.tile, inputs.view(len(tiles), -1), out=tiles.flatten(1))
        return tiles

    def gather(self, tiles: Tensor, x: Tensor, part: Band) -> None:
        """The adjoint of :meth:`spread`, into ``x``: tiles overlap, so their inputs are summed.

        Parts overlap as well. What the part above left in common rows is added to, the others are
        written anew.
        """
        frame = self._frame("sums", part.of(x)).zero_()
        windows = self.windows(frame, self._inputs)
        inputs = self.room("inputs", *windows.shape)
        torch.mm(self.form.tile.T, tiles.flatten(1), out=inputs.view(len(tiles), -1))
        # Within a quarter no two tiles touch.
        for rows in (slice(0, SIDE), slice(SIDE, None)):
            for columns in (slice(0, SIDE), slice(SIDE, None)):
                windows[rows, columns].add_(inputs[rows, columns])
        top, bottom = self._reach(part)
        sums = self._inside(frame[:, :, top - part.top + self._size // 2 :], bottom - top)
        common = min(part.top + self._size // 2, bottom) - top if part.top else 0
        into = x[part.pictures, :, top:bottom]
        into[:, :, :common] += sums[:, :, :common]
        into[:, :, common:] = sums[:, :, common:]

    def windows(self, x: Tensor, side: int) -> Tensor:
        """[n, C, ...] as [side, side, n, down, across, C]: a view, whose tiles may overlap."""
        image, channel, row, column = x.stride()
        down = (x.shape[2] - side) // SIDE + 1
        shape = (side, side, len(x), down, self._across, x.shape[1])
        strides = (row, column, image, SIDE * row, SIDE * column, channel)
        return x.as_strided(shape, strides, x.storage_offset())

    def _frame(self, name: str, x: Tensor) -> Tensor:
        """Room for ``x`` and the convolution's padding around it."""
        count, channels, height, width = x.shape
        grown = self._size - 1
        return self.room(name, count, height + grown, width + grown, channels).permute(0, 3, 1, 2)

    def _reach(self, part: Band) -> tuple[int, int]:
        """The first row that the part's tiles depend on, and the one behind the last."""
        border = self._size // 2
        return max(0, part.top - border), min(self._height, part.bottom + border)

    def _inside(self, frame: Tensor, rows: int) -> Tensor:
        start = self._size // 2
        return frame[:, :, :rows, start : start + SIDE * self._across]


def _own_rooms() -> dict[tuple[object, ...], Tensor]:
    """Each thread's: two that share working memory would spoil each other's tiles."""
    if not hasattr(_local, "rooms"):
        _local.rooms = {}
    rooms: dict[tuple[object, ...], Tensor] = _local.rooms
    return rooms


def _like(x: Tensor, channels: int) -> Tensor:
    shape = (len(x), channels, *x.shape[2:])
    return torch.empty(shape, dtype=x.dtype, memory_format=torch.channels_last)
