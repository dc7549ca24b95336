"""Refines positions below the texel: least squares of the colours, with piecewise smooth maps."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
import torch
from scipy import sparse
from scipy.sparse.linalg import splu
from torch import Tensor

from uvtex.imaging.map_estimation.footprints import ATLAS, Texels, sample
from uvtex.imaging.map_estimation.light_line import LightPrior, fit_line, without_line
from uvtex.imaging.map_estimation.pixel_grid import CROSS, PixelGrid

STEP = 0.3
"""Step of the textures' differences, in texels."""
LONGEST = 2.0
"""The longest step of an iteration, in texels."""
REACH = 8.0
"""Distance of two neighbours at which they are taken to be on two sides of a jump."""


LEAST_NOISE, MOST_NOISE = 0.002, 0.02
"""Bounds of what is measured. Rounding to 8 bits makes half of the least."""
MEASURED = 40_000
"""Number of pixels, about, that the noise is measured from."""
RIDGE = 1e-3
"""Inverse variance that holds a pixel in place of which neither colours nor neighbours tell."""
DRAWS = 24
"""Draws from which the standard deviations of positions are computed."""


TILE = 144
"""Side of the squares of pixels that are solved together, where there are many pixels."""
MARGIN = 16
"""Width of the pixels around a square that are solved with it, and not kept."""


class Tile(NamedTuple):
    """Pixels whose steps are solved together."""

    members: np.ndarray  # int [M]: numbers of the pixels, in order
    own: np.ndarray  # int [N]: places in `members` of those whose steps are kept


class Observations(NamedTuple):
    """What is known of the chosen pixels of a camera."""

    pixels: Tensor  # float [P, L, 3], linear
    weight: Tensor  # float [P, L, 3] in [0, 1]; low where a pixel is saturated
    texels: Texels


class Spread(NamedTuple):
    """The normal distribution of the positions after the last round."""

    matrix: np.ndarray  # float [P, 2, 2], of the colours
    differences: sparse.csr_matrix
    tiles: list[Tile]

    def deviation(self) -> Tensor:
        """Standard deviations of the positions, float [P], by DRAWS draws.

        A draw is the solution for a right hand side that has the system's matrix as its covariance
        (perturb and optimise: Papandreou and Yuille 2010).
        """
        generator = np.random.default_rng(0)
        count = len(self.matrix)
        values, vectors = np.linalg.eigh(self.matrix)
        root = vectors * np.sqrt(np.maximum(values, 0))[:, None]
        draws = np.empty((DRAWS, 2, count))
        for draw in draws:
            colours = np.einsum("pij,pj->ip", root, generator.normal(size=(count, 2)))
            noise = generator.normal(size=(self.differences.shape[0], 2))
            smooth = (self.differences.T @ noise).T
            draw[:] = colours + smooth + np.sqrt(RIDGE) * generator.normal(size=(2, count))
        smooth = self.differences.T @ self.differences
        solved = _solved(self.matrix, smooth, draws, self.tiles)
        return torch.from_numpy(np.sqrt(np.square(solved).sum(axis=1).mean(axis=0))).float()


class Information(NamedTuple):
    """What the colours say of the step that a pixel's position lacks."""

    matrix: Tensor  # float [P, 2, 2]: inverse covariance of the position
    step: Tensor  # float [P, 2]: matrix times the step


def refine(
    position: Tensor,
    slope: Tensor,
    seen: Observations,
    grid: PixelGrid,
    noise: float,
    prior: LightPrior,
    bend: float,
    rounds: int,
) -> tuple[Tensor, Spread]:
    """Positions float [P, 2] after ``rounds`` of Gauss-Newton, and how far they are known.

    Each round solves one sparse linear system: the information of the colours, and a penalty on the
    second differences of the map along rows and columns. The penalty has robust weights, so that
    the map may jump (as in robust optical flow: Black and Anandan 1996).

    Args:
        bend: standard deviation of a second difference, in units of positions.
        rounds: at least 1.
    """
    tiles = tiles_of(grid)
    texel = ATLAS / seen.texels.side
    near = grid.neighbours(CROSS).numpy()
    for _ in range(rounds):
        told = information(position, slope, seen, noise, prior)
        matrix, step = told.matrix.double().numpy(), told.step.double().numpy()
        at = position.double().numpy()
        differences = _differences(at, near, bend)
        smooth = differences.T @ differences
        moved = _solved(matrix, smooth, (step - smooth @ at).T[None], tiles)[0].T
        length = np.linalg.norm(moved, axis=1, keepdims=True)
        moved *= np.minimum(1, LONGEST * texel / np.maximum(length, 1e-9))
        position = (position + torch.from_numpy(moved).float()).clamp(0, ATLAS)
    return position, Spread(matrix, differences, tiles)


def tiles_of(grid: PixelGrid) -> list[Tile]:
    """Squares that cover the pixels, of at most TILE pixels a side where there are many pixels."""
    if len(grid.points) <= TILE**2:
        every = np.arange(len(grid.points))
        return [Tile(every, every)]
    number = grid.number.numpy()
    tiles = []
    for top, left in itertools.product(*(range(0, side, TILE) for side in number.shape)):
        part = number[top : top + TILE, left : left + TILE]
        rows, columns = (slice(max(0, at - MARGIN), at + TILE + MARGIN) for at in (top, left))
        around = number[rows, columns]
        if (part >= 0).any():
            members = around[around >= 0]
            own = part[part >= 0]
            tiles.append(Tile(members, np.searchsorted(members, own)))
    return tiles


def _solved(
    matrix: np.ndarray,  # float [P, 2, 2]: of the colours
    smooth: sparse.csr_matrix,  # float [P, P]: of the differences
    right: np.ndarray,  # float [N, 2, P]: right hand sides
    tiles: list[Tile],
) -> np.ndarray:
    """Solutions of the linear systems, float [N, 2, P]. Around a tile, pixels are held in place.

    Over the rounds of a refinement, this is an overlapping Schwarz method.
    """
    found = np.empty_like(right)
    for members, own in tiles:
        part = matrix[members]
        one = smooth[members][:, members]
        ridge = RIDGE * sparse.identity(len(members))
        blocks = [
            [sparse.diags(part[:, i, j]) + (one + ridge if i == j else 0 * ridge) for j in range(2)]
            for i in range(2)
        ]
        # A symmetric system with a heavy diagonal needs no pivots.
        solver = splu(
            sparse.bmat(blocks, format="csc"),
            permc_spec="MMD_AT_PLUS_A",
            diag_pivot_thresh=0.0,
            options={"SymmetricMode": True},
        )
        sides = right[:, :, members].reshape(len(right), -1)
        solved = solver.solve(sides.T).T.reshape(len(right), 2, -1)
        found[:, :, members[own]] = solved[:, :, own]
    return found


def information(
    position: Tensor, slope: Tensor, seen: Observations, noise: float, prior: LightPrior
) -> Information:
    """The :class:`Information` of each pixel, its light integrated out, with robust weights."""
    parts = []
    liveries = seen.pixels.shape[1]
    for some in torch.split(torch.arange(len(position)), max(1, 2**18 // (27 * liveries))):
        part = Observations(seen.pixels[some], seen.weight[some], seen.texels)
        parts.append(_information(position[some], slope[some], part, noise, prior))
    return Information(*(torch.cat(columns) for columns in zip(*parts, strict=True)))


def _information(
    position: Tensor, slope: Tensor, seen: Observations, noise: float, prior: LightPrior
) -> Information:
    pixels, weight, texels = seen
    albedo = sample(texels, position, slope)
    fit = fit_line(pixels, albedo, weight, noise, prior)
    rest = fit.rest(pixels, albedo)
    count = pixels[0].numel()
    variance = (weight * rest.square()).sum(dim=(1, 2)) + 6 * noise**2
    variance = (variance / (count + 6))[:, None, None]
    weight = weight * (1 + rest.square() / (9 * variance)) ** -2
    change = ATLAS / texels.side * STEP * torch.eye(2)
    gradient = torch.stack(
        [
            (sample(texels, position + d, slope) - sample(texels, position - d, slope))
            / (2 * d.sum())
            for d in change
        ],
        dim=-1,
    )  # [P, L, 3, 2]
    # A change that a line of the albedo explains is one of the light, not of the position.
    change = without_line(fit.light[:, None, :3, None] * gradient, albedo, weight, noise)
    scaled = weight[..., None] * change / variance[..., None]
    return Information(
        torch.einsum("plci,plcj->pij", scaled, change), torch.einsum("plci,plc->pi", scaled, rest)
    )


def _differences(at: np.ndarray, near: np.ndarray, bend: float) -> sparse.csr_matrix:
    """Second differences of the map [N, P], and weak first ones, each by the root of its weight."""
    rows, columns, values = [], [], []
    count = 0

    def add(members: list[np.ndarray], signs: tuple[float, ...], weight: np.ndarray) -> None:
        nonlocal count
        number = np.arange(count, count + len(weight))
        for member, sign in zip(members, signs, strict=True):
            rows.append(number)
            columns.append(member)
            values.append(sign * weight)
        count += len(weight)

    for one, other in ((0, 1), (2, 3)):
        middle = np.flatnonzero((near[:, one] >= 0) & (near[:, other] >= 0))
        first, last = near[middle, one], near[middle, other]
        off = np.linalg.norm(at[first] - 2 * at[middle] + at[last], axis=1)
        add([first, middle, last], (1.0, -2.0, 1.0), 1 / (1 + (off / (4 * bend)) ** 2) / bend)
        pixel = np.flatnonzero(near[:, one] >= 0)
        off = np.linalg.norm(at[near[pixel, one]] - at[pixel], axis=1)
        add([pixel, near[pixel, one]], (1.0, -1.0), 1 / (1 + (off / REACH) ** 2) / (2 * REACH))
    index = (np.concatenate(rows), np.concatenate(columns))
    return sparse.csr_matrix((np.concatenate(values), index), shape=(count, len(at)))


def noise_measured(
    position: Tensor, slope: Tensor, seen: Observations, prior: LightPrior, noise: float
) -> float:
    """The standard deviation of a camera's pixels from their lines: that of the median pixel.

    Wrong places fit too, where there are few liveries. So a line, a position and their freedom are
    counted as eight numbers of each pixel.

    Args:
        position: float [P, 2].
        slope: float [P, 2, 2].
        noise: what it was taken for so far, and is where there are too few liveries.
    """
    pixels, weight, texels = seen
    freedom = pixels[0].numel() - 8
    if freedom < 4:
        return noise
    some = slice(None, None, -(-len(pixels) // MEASURED))
    pixels, weight = pixels[some], weight[some]
    shown = sample(texels, position[some], slope[some])
    fit = fit_line(pixels, shown, weight, noise, prior)
    rest = weight * fit.rest(pixels, shown).square()
    found = float((rest.sum(dim=(1, 2)) / freedom).median().sqrt())
    return min(max(found, LEAST_NOISE), MOST_NOISE)
