"""Patterns of procedural liveries: base patterns and accents.

A base pattern covers the whole car. Accents are painted over the base pattern. A pattern takes all
its random choices from the generator in its arguments.
"""

from __future__ import annotations

import colorsys
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from uvtex.showroom.liveries.canvas import Canvas, Colour

Rng = np.random.Generator
Palette = list[Colour]
Pattern = Callable[[Canvas, Rng, Palette], None]
Mask = NDArray[np.bool_]

NEUTRALS = ((0.95, 0.95, 0.94), (0.05, 0.05, 0.06), (0.62, 0.64, 0.66), (0.25, 0.26, 0.28),
            (0.06, 0.09, 0.22), (0.90, 0.87, 0.78))  # fmt: skip


def palette(rng: Rng) -> Palette:
    """Draw five sRGB colours in [0, 1]. Each colour differs clearly from the earlier colours."""
    colours: Palette = []
    apart = 0.55
    while len(colours) < 5:
        colour = _colour(rng)
        if all(np.abs(colour - other).sum() > apart for other in colours):
            colours.append(colour)
        else:
            apart *= 0.97
    return colours


def _colour(rng: Rng) -> Colour:
    if rng.random() < 0.32:
        base = np.array(NEUTRALS[rng.integers(len(NEUTRALS))])
        return np.asarray(np.clip(base + rng.normal(0, 0.025, 3), 0.02, 0.98))
    hue, saturation = rng.random(), rng.beta(4, 1.4)
    rgb = np.array(colorsys.hsv_to_rgb(hue, saturation, rng.uniform(0.3, 1.0)))
    return np.asarray(np.clip(rgb, 0.02, 1))


def _slanted(canvas: Canvas, rng: Rng, steep: float = 1.0) -> NDArray[np.floating]:
    """A coordinate along the car for slanted stripes.

    The stripes lean with height. On the top they form a V or run straight across.
    """
    lean, sweep = rng.normal(0, steep), rng.choice([-0.5, 0.0, 0.5]) * rng.random()
    return np.asarray(canvas.x + lean * (canvas.z - 0.6) + sweep * np.abs(canvas.y))


def solid(canvas: Canvas, rng: Rng, colours: Palette) -> None:
    """One colour."""
    canvas.fill(canvas.x > -9, colours[0])


def two_tone(canvas: Canvas, rng: Rng, colours: Palette) -> None:
    """A lower and an upper colour, a rising or falling border, and a pinstripe on the border."""
    solid(canvas, rng, colours)
    height = canvas.z - rng.uniform(0.4, 0.8) - rng.normal(0, 0.12) * canvas.x
    canvas.fill(height < 0, colours[1])
    canvas.fill(np.abs(height) < rng.uniform(0.0, 0.03), colours[2])


def split(canvas: Canvas, rng: Rng, colours: Palette) -> None:
    """Two or three colours from front to rear, with slanted borders."""
    solid(canvas, rng, colours)
    along = _slanted(canvas, rng)
    at = rng.uniform(-1.2, 1.4)
    canvas.fill(along < at, colours[1])
    if rng.random() < 0.6:
        canvas.fill(along < at - rng.uniform(0.15, 1.0), colours[2])


def fade(canvas: Canvas, rng: Rng, colours: Palette) -> None:
    """A colour gradient from nose to tail or from sill to roof."""
    solid(canvas, rng, colours)
    if rng.random() < 0.65:
        value = _slanted(canvas, rng, 0.5) / rng.uniform(1.0, 4.0) + rng.uniform(0.2, 0.8)
    else:
        value = (canvas.z - 0.15) / rng.uniform(0.4, 1.0)
    canvas.blend(value, colours[1])


def camouflage(canvas: Canvas, rng: Rng, colours: Palette) -> None:
    """Camouflage of angular cells.

    The cells are the Voronoi cells of random points under the maximum norm or the 1-norm.
    """
    count = int(rng.integers(25, 140))
    points = rng.uniform([-2.4, -1.0, 0.1], [2.5, 1.0, 1.3], (count, 3)).astype(np.float32)
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0].astype(np.float32)
    turned, points = canvas.position @ turn, points @ turn
    best = np.full(len(turned), np.inf, dtype=np.float32)
    cell = np.zeros(len(turned), dtype=np.int64)
    for number, point in enumerate(points):
        gap = np.abs(turned - point)
        distance = gap.max(1) if count % 2 else gap.sum(1)
        nearer = distance < best
        best[nearer], cell[nearer] = distance[nearer], number
    tones = np.stack(colours[: int(rng.integers(3, 5))])
    if rng.random() < 0.4:  # shades of one colour
        tones = tones[0] * rng.uniform(0.45, 1.1, (5, 1))
    canvas.colour = np.clip(tones[rng.integers(len(tones), size=count)][cell], 0, 1)
    canvas.colour = canvas.colour.astype(np.float32)


def swoosh(canvas: Canvas, rng: Rng, colours: Palette) -> None:
    """One to three curves that rise along the flanks, each with its own colour below it."""
    solid(canvas, rng, colours)
    start, rise = rng.uniform(0.25, 0.55), rng.uniform(0.2, 0.6) * rng.choice([-1, 1])
    where, sharp = rng.uniform(-1.2, 1.2), rng.uniform(0.3, 1.2)
    curve = start + rise * (1 + np.tanh((where - canvas.x) / sharp)) / 2
    for number in range(int(rng.integers(1, 4))):
        canvas.fill(canvas.z < curve - number * rng.uniform(0.06, 0.2), colours[1 + number])


def bands(canvas: Canvas, rng: Rng, colours: Palette) -> None:
    """Parallel stripes over the whole car or over its rear."""
    solid(canvas, rng, colours)
    along, period = _slanted(canvas, rng), rng.uniform(0.12, 0.9)
    phase = np.mod(along / period + rng.random(), 1.0)
    where = phase < rng.uniform(0.2, 0.7)
    if rng.random() < 0.5:
        where &= along < rng.uniform(-0.8, 0.8)
    canvas.fill(where, colours[1])


def splinters(canvas: Canvas, rng: Rng, colours: Palette) -> None:
    """Wedge-shaped shards between pairs of random planes."""
    solid(canvas, rng, colours)
    for _ in range(int(rng.integers(4, 16))):
        point = rng.uniform([-2.2, -0.9, 0.2], [2.2, 0.9, 1.1])
        a, b = rng.normal(size=(2, 3)) * np.array([0.6, 0.5, 1.0])
        offset = canvas.position - point.astype(np.float32)
        inside = (offset @ a.astype(np.float32) > 0) & (offset @ b.astype(np.float32) > 0)
        canvas.fill(inside & (np.abs(offset).sum(1) < 1.6), colours[int(rng.integers(1, 4))])


def halves(canvas: Canvas, rng: Rng, colours: Palette) -> None:
    """One colour on the left of the car and another colour on the right."""
    solid(canvas, rng, colours)
    line = canvas.y + rng.normal(0, 0.15) * canvas.x - rng.normal(0, 0.1)
    canvas.fill(line < 0, colours[1])
    canvas.fill(np.abs(line) < rng.uniform(0, 0.12), colours[2])


def halftone(canvas: Canvas, rng: Rng, colours: Palette) -> None:
    """Dots or squares that grow towards the tail."""
    solid(canvas, rng, colours)
    pitch = rng.uniform(0.09, 0.22)
    flat = canvas.on("top", "wing")
    across = np.where(flat, canvas.y, canvas.z)
    a, b = (canvas.x + across) / pitch, (canvas.x - across) / pitch
    da, db = np.abs(np.mod(a, 1) - 0.5), np.abs(np.mod(b, 1) - 0.5)
    size = 0.75 * np.clip((rng.uniform(-0.2, 1.6) - canvas.x) / rng.uniform(1.5, 3.5), 0, 1)
    round_dots = rng.random() < 0.5
    canvas.fill((np.hypot(da, db) if round_dots else np.maximum(da, db)) < size, colours[1])


def waves(canvas: Canvas, rng: Rng, colours: Palette) -> None:
    """Marbling in two to four colours, from thresholds on a sum of five sine waves."""
    value = np.zeros(len(canvas.position), dtype=np.float32)
    for _ in range(5):
        direction = rng.normal(0, rng.uniform(1.0, 3.0), 3).astype(np.float32)
        value += np.sin(canvas.position @ direction + rng.uniform(0, 6.3))
    levels = np.sort(rng.normal(0, 1.2, int(rng.integers(1, 4))))
    canvas.colour = np.stack(colours)[np.searchsorted(levels, value)].astype(np.float32)


def chequers(canvas: Canvas, rng: Rng, colours: Palette) -> None:
    """A chequered rear or flank. All squares have the same size."""
    solid(canvas, rng, colours)
    pitch = rng.uniform(0.1, 0.35)
    cells = np.floor(canvas.position / pitch + rng.random(3).astype(np.float32))
    odd = cells.sum(1) % 2 == 0
    begin = rng.uniform(-1.5, 0.5)
    canvas.fill(odd & (_slanted(canvas, rng, 0.4) < begin), colours[1])


BASES: tuple[tuple[Pattern, float], ...] = (
    (solid, 1.3), (two_tone, 1.3), (split, 1.3), (fade, 1.2), (camouflage, 1.5), (swoosh, 1.4),
    (bands, 0.9), (splinters, 1.2), (halves, 0.6), (halftone, 0.8), (waves, 0.9), (chequers, 0.6),
)  # fmt: skip
"""Base patterns with their relative frequencies."""


def centre_stripes(canvas: Canvas, rng: Rng, colours: Palette) -> None:
    """One or two stripes from the nose over the roof to the tail."""
    half, gap = rng.uniform(0.08, 0.3), rng.choice([0.0, 0.03, 0.06])
    middle = canvas.on("top", "front", "rear", "wing")
    off = np.abs(canvas.y - rng.choice([0.0, 0.0, 0.3, -0.3]))
    canvas.fill(middle & (off < half) & (off > gap), colours[2])
    if rng.random() < 0.6:
        canvas.fill(middle & (off > half + 0.03) & (off < half + 0.06), colours[3])


def flank_stripe(canvas: Canvas, rng: Rng, colours: Palette) -> None:
    """A stripe along both sides, with a thin parallel stripe."""
    line = canvas.z - rng.uniform(0.3, 0.7) - rng.normal(0, 0.06) * canvas.x
    half = rng.uniform(0.015, 0.09)
    sides = canvas.on("left", "right")
    canvas.fill(sides & (np.abs(line) < half), colours[2])
    canvas.fill(sides & (np.abs(line + half + 0.04) < 0.012), colours[3])


def slashes(canvas: Canvas, rng: Rng, colours: Palette) -> None:
    """One to three slanted bars at a random place along the car."""
    lean, begin, pitch = rng.normal(0, 0.7), rng.uniform(-1.0, 1.0), rng.uniform(0.1, 0.3)
    along = (canvas.x - begin + lean * canvas.z) / pitch
    count = int(rng.integers(1, 4))
    where = (along > 0) & (along < count) & (np.mod(along, 1) < rng.uniform(0.3, 0.7))
    canvas.fill(where & (canvas.z > rng.uniform(0.1, 0.5)), colours[int(rng.integers(2, 5))])


def part_colours(canvas: Canvas, rng: Rng, colours: Palette) -> None:
    """Separate colours for some parts of the car.

    The parts are roof, bonnet, nose, tail, sills, wing, end plates, and the front and rear panels.
    """
    top = canvas.on("top")
    parts: list[Mask] = [
        top & (canvas.z > 1.02),
        top & (canvas.x > 0.9) & (np.abs(canvas.y) < 0.55),
        canvas.x > rng.uniform(1.7, 2.2),
        canvas.x < rng.uniform(-2.1, -1.7),
        canvas.on("left", "right") & (canvas.z < rng.uniform(0.2, 0.33)),
        canvas.on("wing"),
        canvas.on("plate_left", "plate_right"),
        canvas.on("front"),
        canvas.on("rear"),
    ]
    for part in parts:
        if rng.random() < 0.22:
            canvas.fill(part, colours[int(rng.integers(1, 5))])


def flank_panel(canvas: Canvas, rng: Rng, colours: Palette) -> None:
    """A coloured parallelogram on the doors or on the rear quarters."""
    middle, half = rng.uniform(-0.8, 0.6), rng.uniform(0.25, 0.8)
    along = canvas.x - middle + rng.normal(0, 0.6) * (canvas.z - 0.5)
    where = canvas.on("left", "right") & (np.abs(along) < half)
    low = rng.uniform(0.1, 0.4)
    canvas.fill(where & (canvas.z > low) & (canvas.z < low + rng.uniform(0.2, 0.7)), colours[2])


def wheel_rings(canvas: Canvas, rng: Rng, colours: Palette) -> None:
    """Rings around the wheel arches."""
    radius = np.minimum(np.hypot(canvas.x - 1.38, canvas.z - 0.345),
                        np.hypot(canvas.x + 1.36, canvas.z - 0.345))  # fmt: skip
    where = canvas.on("left", "right") & (radius < 0.405 + rng.uniform(0.03, 0.14))
    canvas.fill(where, colours[int(rng.integers(2, 5))])


ACCENTS: tuple[tuple[Pattern, float], ...] = (
    (centre_stripes, 0.33), (flank_stripe, 0.3), (slashes, 0.3), (part_colours, 0.75),
    (flank_panel, 0.22), (wheel_rings, 0.12),
)  # fmt: skip
"""Accents with their probabilities on a livery."""
