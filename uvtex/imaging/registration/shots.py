"""Small moves between the shots of a camera that was held by hand: shift, scale and turn.

Shift and scale are found by edges first (:mod:`uvtex.imaging.registration.edges`), then all three
by Gauss-Newton steps (Lucas and Kanade 1981): towards one of the shots, and towards the median of
all, coarse to fine. Paint changes from shot to shot, so a pixel counts by how little it changes,
and with Tukey's weights: tyres, glass and backdrop remain.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from uvtex.imaging.blur import blurred
from uvtex.imaging.registration import edges
from uvtex.imaging.registration.similarity import brought_back, displacement, frame, joined

SIDES = 64, 256
"""The longer sides to which shots are reduced for the steps, one after the other."""
ROUNDS = 3
"""The median is taken so many times anew at each of them."""
STEPS = 3
"""Gauss-Newton steps of each shot in between."""
BLUR = 1.0
"""Standard deviation of the blur of what is compared, in pixels: interpolation blurs by chance."""
ROUNDING = 1.0
"""Standard deviation of a pixel that does not change, in levels of 255."""
TUKEY = 4.0
"""Difference, in a pixel's standard deviations, from which on it does not count."""
USUAL = 1.4826
"""Standard deviation of a normal distribution, in median distances from its median."""
STILL = 0.1
"""Displacement up to which a shot counts as still, in pixels of the map."""
FARTHEST = 0.2, 0.2, 0.12, 0.12
"""Largest move that is sought: a tenth of the longer side, 12 % of scale, 7 degrees."""
SURE = 8.0
"""The same in errors of the moves. Still shots before a plain wall had moves of up to 7."""
SQUARES = 8
"""Squares along the longer side; every second one tells what the error of the moves is."""
PLAIN = 0.5
"""Standard deviation above ROUNDING from which a plain pixel counts as changing."""
CHANGES = 0.2
"""The same at an edge, in differences from pixel to pixel."""
STEEP = 4.0
"""Difference from pixel to pixel of an edge, in levels."""
ENOUGH = 0.015
"""Least share of the pixels, at the first of SIDES, that are of edges which stand still.

Photos of paint alone have up to .01 of them, a car before a plain wall .02 to .07, or .005 in a
JPEG file of 64 pixels.
"""


@dataclass(frozen=True)
class _Middle:
    """What the shots show in common, at one of SIDES."""

    picture: Tensor  # float [3, h, w] in [0, 255], blurred
    spread: Tensor  # float [3, h, w]: standard deviation of a shot's pixel; infinite: of no use

    def step(self, shots: Tensor, moves: Tensor) -> Tensor:
        """Better moves [L, 4] of blurred shots float [L, 3, h, w]."""
        across, down = _slopes(self.picture) * (max(self.picture.shape[-2:]) / 2)
        x, y = frame(self.picture.shape[-2:]).float().unbind(dim=-1)
        grows, turns = across * x + down * y, down * x - across * y
        slopes = torch.stack([across, down, grows, turns]).flatten(1)
        spread = self.spread.flatten()
        better = []
        for shot, move in zip(_back(shots, moves), moves, strict=True):
            off = (self.picture - shot).flatten()
            weight = (1 - (off / spread / TUKEY).square()).clamp_min(0).square() / spread.square()
            heavy = slopes * weight
            normal, right = (heavy @ slopes.T).double(), (heavy @ off).double()
            least = 1e-6 * normal.diagonal().mean() + 1e-9
            step = torch.linalg.solve(normal + least * torch.eye(4, dtype=torch.float64), right)
            better.append(joined(move, step))
        return torch.stack(better)

    def halves(self) -> list[_Middle]:
        """The same with the pixels of every second square, and of the others."""
        height, width = self.picture.shape[-2:]
        square = max(height, width) / SQUARES
        row, column = ((torch.arange(n) / square).int() for n in (height, width))
        odd = (row[:, None] + column) % 2 == 1
        return [
            _Middle(self.picture, self.spread.masked_fill(some, torch.inf)) for some in (odd, ~odd)
        ]

    def still_edges(self) -> float:
        """The share of the pixels that are of edges which stand still."""
        steep = torch.hypot(*_slopes(self.picture))
        still: Tensor = ((steep > STEEP) & self.spread.isfinite()).any(dim=0)
        return float(still.float().mean())


@dataclass(frozen=True)
class Scene:
    """What the shots of a camera show in common."""

    reference: Tensor  # complex [h, w], of edges
    middles: Sequence[_Middle]
    least: float
    """Displacement from which a shot counts as moved, in half longer sides."""

    def move_of(self, shot: Tensor) -> Tensor:
        """How a shot uint8 [3, H, W] that had no part in it lies off: [4]."""
        small = _resized(shot[None], self.reference.shape)
        move = edges.move_between(self.reference, small[0])[None]
        for middle in self.middles:
            soft = blurred(_resized(small, middle.picture.shape[-2:]), BLUR)
            for _ in range(ROUNDS * STEPS):
                move = middle.step(soft, move)
        return _told(move, self.least)[0]


def register(shots: Tensor) -> tuple[Tensor, Scene]:
    """How each shot lies off the middle of all, float64 [L, 4], and what they show in common.

    Shots that lie where most do have the move 0.

    Args:
        shots: uint8 [L, 3, h, w], one of each livery.
    """
    small = _reduced(shots, SIDES[-1])
    moves = _towards_one(small)
    middles = []
    for side in sorted({min(side, max(small.shape[-2:])) for side in SIDES}):
        soft = blurred(_reduced(small, side), BLUR)
        for _ in range(ROUNDS):
            middle = _middle(torch.stack([*_back(soft, moves)]))
            for _ in range(STEPS):
                moves = middle.step(soft, moves)
            moves = _centred(moves)
        middles.append(_middle(torch.stack([*_back(soft, moves)])))
    least = max(STILL * 2 / max(shots.shape[-2:]), SURE * _error(middles[-1], soft, moves))
    if middles[0].still_edges() < ENOUGH:
        least = torch.inf
    moves = _told(moves, least)
    return moves, Scene(edges.edge_reference(_back(small, moves)), middles, least)


def _told(moves: Tensor, least: float) -> Tensor:
    """Moves [L, 4], but 0 for what counts as still, and for what is farther off than is sought."""
    near = (moves.abs() <= moves.new_tensor(FARTHEST)).all(dim=1)
    return torch.where((near & (displacement(moves) > least))[:, None], moves, 0.0)


def _error(middle: _Middle, shots: Tensor, moves: Tensor) -> float:
    """Root mean square error of the moves, as a displacement, by what half of the pixels say."""
    found = []
    for half in middle.halves():
        by_half = moves
        for _ in range(STEPS):
            by_half = half.step(shots, by_half)
        found.append(by_half)
    return float((displacement(found[0] - found[1]) / 2).square().mean().sqrt())


def _towards_one(shots: Tensor) -> Tensor:
    """The moves [L, 4] of shots float [L, 3, h, w], by the one whose edges most others fit best."""
    small = _reduced(shots, SIDES[0])
    each = [edges.edge_reference([shot])[None] for shot in small]
    fits = torch.stack([edges.peaks(edges.edge_fits(one, small[None]))[1][0] for one in each])
    best = int(fits.median(dim=1).values.argmax())
    reference = edges.edge_reference([shots[best]])
    moves = torch.stack([edges.move_between(reference, shot) for shot in shots])
    soft = blurred(small, BLUR)
    for _ in range(ROUNDS * STEPS):
        moves = torch.stack([_step_to(soft[best], *pair) for pair in zip(soft, moves, strict=True)])
    return _centred(moves)


def _step_to(one: Tensor, shot: Tensor, move: Tensor) -> Tensor:
    """A better move [4] of a shot, where nothing says which pixels change."""
    off = (brought_back(shot[None], move[None])[0] - one).abs().median()
    middle = _Middle(one, torch.full_like(one, USUAL * float(off) + ROUNDING))
    return middle.step(shot[None], move[None])[0]


def _centred(moves: Tensor) -> Tensor:
    return moves - moves.median(dim=0).values


def _back(shots: Tensor, moves: Tensor) -> Iterator[Tensor]:
    for shot, move in zip(shots, moves, strict=True):
        yield brought_back(shot[None], move[None])[0]


def _middle(shots: Tensor) -> _Middle:
    picture = shots.median(dim=0).values
    off = (shots - picture).abs().median(dim=0).values
    spread = torch.hypot(USUAL * off, torch.tensor(ROUNDING))
    steep = torch.hypot(*_slopes(picture))
    changes = (spread > ROUNDING + PLAIN + CHANGES * steep).any(dim=0)
    return _Middle(picture, spread.masked_fill(changes, torch.inf))


def _slopes(picture: Tensor) -> Tensor:
    """How a picture [3, h, w] changes from pixel to pixel, to the right and down: [2, 3, h, w]."""
    wide = F.pad(picture[None], (1, 1, 1, 1), mode="replicate")[0]
    across = wide[:, 1:-1, 2:] - wide[:, 1:-1, :-2]
    return torch.stack([across, wide[:, 2:, 1:-1] - wide[:, :-2, 1:-1]]) / 2


def _reduced(shots: Tensor, longest: int) -> Tensor:
    """Shots [L, 3, h, w], the longer side at most ``longest``, as float."""
    scale = min(1.0, longest / max(shots.shape[-2:]))
    return _resized(shots, [max(1, round(side * scale)) for side in shots.shape[-2:]])


def _resized(shots: Tensor, size: Sequence[int]) -> Tensor:
    if shots.shape[-2:] == tuple(size):
        return shots.float()
    parts = [
        F.interpolate(shot[None].float(), size, mode="bilinear", antialias=True) for shot in shots
    ]
    return torch.cat(parts)
