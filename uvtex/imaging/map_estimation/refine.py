"""Refines positions below the texel: least squares of the colours, with piecewise smooth maps."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from scipy import sparse
from scipy.sparse.linalg import splu
from torch import Tensor

from uvtex.imaging.map_estimation.footprints import ATLAS, sample
from uvtex.imaging.map_estimation.light_line import LightPrior, fit_line
from uvtex.imaging.map_estimation.pixel_grid import CROSS, PixelGrid

STEP = 0.3
"""Step of the textures' differences, in texels."""
LONGEST = 2.0
"""The longest step of an iteration, in texels."""
FLATTEST = 0.05
"""Least standard deviation of the albedo by which a slope of light is known."""
REACH = 8.0
"""Distance of two neighbours at which they are taken to be on two sides of a jump."""


RIDGE = 1e-3
"""Inverse variance that holds a pixel in place of which neither colours nor neighbours tell."""
DRAWS = 24
"""Draws from which the standard deviations of positions are computed."""


class Observations(NamedTuple):
    """What is known of the chosen pixels of a camera."""

    pixels: Tensor  # float [P, L, 3], linear
    weight: Tensor  # float [P, L, 3] in [0, 1]; low where a pixel is saturated
    textures: Tensor  # float [3 * L, T, T], linear


class Spread(NamedTuple):
    """The normal distribution of the positions after the last round."""

    solver: Any
    matrix: np.ndarray  # float [P, 2, 2], of the colours
    differences: sparse.csr_matrix

    def deviation(self) -> Tensor:
        """Standard deviations of the positions, float [P], by DRAWS draws.

        A draw is the solution for a right hand side that has the system's matrix as its covariance
        (perturb and optimise: Papandreou and Yuille 2010).
        """
        generator = np.random.default_rng(0)
        count = len(self.matrix)
        values, vectors = np.linalg.eigh(self.matrix)
        root = vectors * np.sqrt(np.maximum(values, 0))[:, None]
        total = np.zeros(count)
        for _ in range(DRAWS):
            colours = np.einsum("pij,pj->ip", root, generator.normal(size=(count, 2)))
            noise = generator.normal(size=(self.differences.shape[0], 2))
            smooth = (self.differences.T @ noise).T
            ridge = np.sqrt(RIDGE) * generator.normal(size=(2, count))
            draw = self.solver.solve((colours + smooth + ridge).ravel())
            total += np.square(draw.reshape(2, count)).sum(axis=0)
        return torch.from_numpy(np.sqrt(total / DRAWS)).float()


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
    count = len(position)
    texel = ATLAS / seen.textures.shape[-1]
    near = grid.neighbours(CROSS).numpy()
    for _ in range(rounds):
        told = information(position, slope, seen, noise, prior)
        matrix, step = told.matrix.double().numpy(), told.step.double().numpy()
        colours = sparse.bmat(
            [[sparse.diags(matrix[:, i, j]) for j in range(2)] for i in range(2)], format="csc"
        )
        at = position.double().numpy()
        differences = _differences(at, near, bend)
        one = differences.T @ differences
        both = sparse.block_diag([one, one], format="csc")
        system = (colours + both + RIDGE * sparse.identity(2 * count)).tocsc()
        solver = splu(system)
        moved = solver.solve(step.T.ravel() - both @ at.T.ravel()).reshape(2, count).T
        length = np.linalg.norm(moved, axis=1, keepdims=True)
        moved *= np.minimum(1, LONGEST * texel / np.maximum(length, 1e-9))
        position = (position + torch.from_numpy(moved).float()).clamp(0, ATLAS)
    return position, Spread(solver, matrix, differences)


def information(
    position: Tensor, slope: Tensor, seen: Observations, noise: float, prior: LightPrior
) -> Information:
    """The :class:`Information` of each pixel, its light integrated out, with robust weights."""
    parts = []
    liveries = seen.pixels.shape[1]
    for some in torch.split(torch.arange(len(position)), max(1, 2**18 // (27 * liveries))):
        part = Observations(seen.pixels[some], seen.weight[some], seen.textures)
        parts.append(_information(position[some], slope[some], part, noise, prior))
    return Information(*(torch.cat(columns) for columns in zip(*parts, strict=True)))


def _information(
    position: Tensor, slope: Tensor, seen: Observations, noise: float, prior: LightPrior
) -> Information:
    pixels, weight, textures = seen
    albedo = sample(textures, position, slope)
    light = fit_line(pixels, albedo, weight, noise, prior).light[:, None]
    rest = pixels - light[..., :3] * albedo - light[..., 3:]
    count = pixels[0].numel()
    variance = (weight * rest.square()).sum(dim=(1, 2)) + 6 * noise**2
    variance = (variance / (count + 6))[:, None, None]
    weight = weight * (1 + rest.square() / (9 * variance)) ** -2
    change = ATLAS / textures.shape[-1] * STEP * torch.eye(2)
    gradient = torch.stack(
        [
            (sample(textures, position + d, slope) - sample(textures, position - d, slope))
            / (2 * d.sum())
            for d in change
        ],
        dim=-1,
    )  # [P, L, 3, 2]
    # A change that a line of the albedo explains is one of the light, not of the position.
    total = weight.sum(dim=1, keepdim=True).clamp_min(1e-6)
    albedo = albedo - (weight * albedo).sum(dim=1, keepdim=True) / total
    rest = rest - (weight * rest).sum(dim=1, keepdim=True) / total
    change = light[..., :3, None] * gradient
    wide = weight[..., None]
    change = change - (wide * change).sum(dim=1, keepdim=True) / total[..., None]
    spread = (weight * albedo.square()).sum(dim=1, keepdim=True) + (noise / FLATTEST) ** 2
    along = (wide * albedo[..., None] * change).sum(dim=1, keepdim=True) / spread[..., None]
    change = change - along * albedo[..., None]
    scaled = wide * change / variance[..., None]
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
