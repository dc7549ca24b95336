"""Decals: race numbers and word marks of invented sponsors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from uvtex.showroom.liveries.canvas import Canvas, Colour, Frame, stamp
from uvtex.showroom.liveries.patterns import Palette, Rng

T = TypeVar("T")

PIXELS = 96
"""Font size of the drawn letters, in pixels. Decals are scaled down from this size."""

STARTS = ("b", "br", "d", "dr", "f", "g", "gr", "h", "k", "kr", "l", "m", "n", "p", "qu", "r",
          "s", "st", "t", "tr", "v", "vr", "x", "z", "zh")  # fmt: skip
VOWELS = ("a", "e", "i", "o", "u", "y", "ae", "ou")
ENDS = ("", "", "k", "l", "m", "n", "r", "s", "t", "x", "nd", "rx", "lt")


def word(rng: Rng) -> str:
    """An invented word of one to three syllables."""
    syllables = []
    for _ in range(int(rng.integers(1, 4))):
        syllables.append(_pick(rng, STARTS) + _pick(rng, VOWELS))
    text = "".join(syllables) + _pick(rng, ENDS)
    return text if rng.random() < 0.25 else text.upper()


def number(canvas: Canvas, rng: Rng, colours: Palette, beside: bool) -> None:
    """Stamp the race number on both sides, often on the top, and sometimes on the rear.

    Args:
        beside: true if the doors carry a large word mark. The number is then smaller and stands in
            front of the word mark.
    """
    text = str(int(rng.integers(1, 1000 if rng.random() < 0.5 else 100)))
    plate = Plaque.drawn(rng, colours)
    decal = plate.draw(text)
    x, z = rng.uniform(-0.75, 0.45), rng.uniform(0.45, 0.53)
    height, turn = rng.uniform(0.34, 0.56), rng.choice([0.0, 0.0, 6.0, -6.0])
    if beside:
        x, height = 0.56, 0.62 * height
    stamp(canvas, decal, side("left", x, z, turn), height)
    stamp(canvas, decal, side("right", x, z, turn), height)
    if rng.random() < 0.65:
        across = rng.choice([0.0, 0.0, 0.34, -0.34])
        stamp(canvas, decal, top(rng.uniform(1.25, 1.75), across), rng.uniform(0.28, 0.5))
    if rng.random() < 0.35:
        turn = 90.0 * int(rng.integers(4))
        stamp(canvas, decal, top(-0.35, 0.0, turn), rng.uniform(0.35, 0.6))
    if rng.random() < 0.3:
        stamp(canvas, decal, tail(rng.uniform(-0.5, 0.5), 0.58), 0.2)


class Plaque:
    """The style of one car's race numbers."""

    def __init__(self, shape: str, ground: Colour, ink: Colour, rim: Colour, slant: float):
        self.shape, self.ground, self.ink, self.rim = shape, ground, ink, rim
        self.slant = slant

    @classmethod
    def drawn(cls, rng: Rng, colours: Palette) -> Plaque:
        """Draw a random style. The ink is readable on the ground colour."""
        shape = _pick(rng, ("circle", "circle", "square", "none", "none"))
        ground = colours[int(rng.integers(1, 5))] if rng.random() < 0.5 else np.full(3, 0.95)
        ink = np.full(3, 0.04) if ground.mean() > 0.45 else np.full(3, 0.96)
        rim = colours[int(rng.integers(0, 5))]
        return cls(shape, ground, ink, rim, _pick(rng, (0.0, 0.0, 0.2)))

    def draw(self, text: str) -> Image.Image:
        """The number ``text`` as an RGBA picture."""
        if self.shape == "none":
            return lettering(text, self.ground, self.ink, self.slant)
        letters = lettering(text, self.ink, None, self.slant)
        side_length = int(1.25 * max(letters.height, 0.95 * letters.width))
        plate = Image.new("RGBA", (side_length, side_length), (0, 0, 0, 0))
        draw = ImageDraw.Draw(plate)
        area = (2, 2, side_length - 3, side_length - 3)
        style = {"fill": _rgba(self.ground), "outline": _rgba(self.rim), "width": side_length // 18}
        if self.shape == "circle":
            draw.ellipse(area, **style)  # type: ignore[arg-type]
        else:
            draw.rounded_rectangle(area, side_length // 6, **style)  # type: ignore[arg-type]
        corner = ((side_length - letters.width) // 2, (side_length - letters.height) // 2)
        plate.alpha_composite(letters, corner)
        return plate


def lettering(text: str, ink: Colour, outline: Colour | None, slant: float) -> Image.Image:
    """``text`` in bold letters as a cropped RGBA picture. The outline is optional."""
    font = ImageFont.load_default(size=PIXELS)
    bold, rim = 4, 7 if outline is not None else 0
    canvas = Image.new("RGBA", (PIXELS * (len(text) + 2), 2 * PIXELS), (0, 0, 0, 0))
    draw = ImageDraw.Draw(canvas)
    at = (PIXELS // 2, PIXELS // 3)
    if outline is not None:
        width = bold + rim
        draw.text(at, text, _rgba(outline), font, stroke_width=width, stroke_fill=_rgba(outline))
    draw.text(at, text, _rgba(ink), font, stroke_width=bold, stroke_fill=_rgba(ink))
    if slant:
        lean = (1, slant, -slant * PIXELS, 0, 1, 0)
        canvas = canvas.transform(canvas.size, Image.Transform.AFFINE, lean)
    return canvas.crop(canvas.getbbox())


def word_marks(canvas: Canvas, rng: Rng, colours: Palette, large: bool) -> None:
    """Stamp the word marks of two to six invented sponsors. Both sides get the same word marks.

    Args:
        large: true if the first sponsor also has a large word mark across the doors.
    """
    sponsors = [Sponsor.drawn(rng, colours) for _ in range(int(rng.integers(2, 7)))]
    if large:
        _put(canvas, rng, sponsors[0], _DOORS)
    for places, probability in ((_SIDE_PLACES, 0.6), (_OTHER_PLACES, 0.5)):
        for place in places:
            if rng.random() < probability:
                sponsor = sponsors[int(rng.integers(len(sponsors)))]
                _put(canvas, rng, sponsor, place)


class Sponsor:
    """A sponsor's word mark. It is drawn once and stamped in several places."""

    def __init__(self, decal: Image.Image):
        self.decal = decal

    @classmethod
    def drawn(cls, rng: Rng, colours: Palette) -> Sponsor:
        """Draw a random sponsor. Its letters are plain, outlined, on a bar, or beside an emblem."""
        ink = colours[int(rng.integers(2, 5))] if rng.random() < 0.5 else np.full(3, 0.95)
        ink = np.full(3, 0.04) if rng.random() < 0.25 else ink
        contrast = np.full(3, 0.04) if ink.mean() > 0.45 else np.full(3, 0.96)
        style = _pick(rng, ("plain", "outline", "bar", "device"))
        letters = lettering(
            word(rng), ink, contrast if style == "outline" else None, _pick(rng, (0.0, 0.0, 0.25))
        )
        if style == "bar":
            letters = _on_bar(letters, contrast if rng.random() < 0.5 else colours[1])
        elif style == "device":
            letters = _with_device(letters, rng, ink)
        return cls(letters)


@dataclass(frozen=True)
class Place:
    """A place on the car for one sponsor. Lengths are in metres."""

    surfaces: tuple[str, ...]
    """The surfaces of the place. The sponsor's word mark is on each of them."""
    first: float
    """First coordinate of the centre on the surface."""
    second: float
    """Second coordinate of the centre on the surface."""
    max_height: float
    max_width: float
    turns: tuple[float, ...]
    """Possible rotations, in degrees anticlockwise. One of them is drawn at random."""


SIDES = ("left", "right")
_DOORS = Place(SIDES, -0.38, 0.47, 0.34, 1.15, (0.0, 5.0, -5.0, 10.0))
_SIDE_PLACES: tuple[Place, ...] = (
    Place(SIDES, 0.72, 0.30, 0.10, 0.42, (0.0,)),
    Place(SIDES, -0.15, 0.22, 0.10, 1.30, (0.0,)),
    Place(SIDES, -0.30, 0.70, 0.12, 0.80, (0.0, 0.0, 4.0)),
    Place(SIDES, 1.85, 0.45, 0.12, 0.36, (0.0, 12.0, -12.0)),
    Place(SIDES, -2.02, 0.62, 0.13, 0.42, (0.0, 0.0, 90.0)),
    Place(SIDES, -1.95, 0.36, 0.09, 0.40, (0.0,)),
    Place(SIDES, 1.38, 0.79, 0.06, 0.50, (0.0,)),
    Place(("plates",), -2.18, 1.20, 0.14, 0.40, (0.0,)),
)
_OTHER_PLACES: tuple[Place, ...] = (
    Place(("bonnet",), 1.85, 0.0, 0.16, 0.80, (0.0,)),
    Place(("bonnet",), 1.20, 0.0, 0.30, 1.10, (0.0, 0.0, 20.0, -20.0, 90.0)),
    Place(("bonnet",), 1.60, 0.55, 0.14, 0.40, (0.0, 90.0)),
    Place(("bonnet",), 1.60, -0.55, 0.14, 0.40, (0.0, -90.0)),
    Place(("bonnet",), -0.40, 0.0, 0.26, 0.90, (0.0, 90.0, 180.0, -90.0)),
    Place(("deck",), -1.98, 0.0, 0.16, 1.00, (0.0,)),
    Place(("wing",), -2.20, 0.0, 0.22, 1.60, (0.0,)),
    Place(("nose",), 0.0, 0.43, 0.07, 0.70, (0.0,)),
    Place(("tail",), 0.0, 0.60, 0.13, 1.10, (0.0,)),
    Place(("tail",), 0.0, 0.40, 0.10, 0.80, (0.0,)),
)


def _put(canvas: Canvas, rng: Rng, sponsor: Sponsor, place: Place) -> None:
    decal, turn = sponsor.decal, _pick(rng, place.turns)
    height = min(place.max_height, place.max_width * decal.height / decal.width)
    height *= rng.uniform(0.7, 1.0)
    first, second = place.first + rng.normal(0, 0.03), place.second + rng.normal(0, 0.012)
    for surface in place.surfaces:
        for frame in _frames(surface, first, second, turn):
            stamp(canvas, decal, frame, height)


def _frames(surface: str, a: float, b: float, turn: float) -> list[Frame]:
    if surface in ("left", "right"):
        return [side(surface, a, b, turn)]
    if surface == "plates":
        return [side("left", a, b, turn, "plate_left"), side("right", a, b, turn, "plate_right")]
    if surface == "bonnet":
        return [top(a, b, turn)]
    if surface == "nose":
        return [Frame(("front",), (2.3, a, b), (0, 1, 0), (0, 0, 1), turn)]
    if surface == "tail":
        return [tail(a, b, turn)]
    panel = "wing" if surface == "wing" else "top"
    return [Frame((panel,), (a, b, 1), (0, -1, 0), (1, 0, 0), turn)]


def side(panel: str, x: float, z: float, turn: float = 0.0, on: str | None = None) -> Frame:
    """A frame on one side of the car, upright for a reader who stands at that side."""
    sign = 1.0 if panel == "left" else -1.0
    return Frame((on or panel,), (x, sign, z), (-sign, 0, 0), (0, 0, 1), turn)


def top(x: float, y: float, turn: float = 0.0) -> Frame:
    """A frame on the bonnet or the roof, upright for a reader in front of the car."""
    return Frame(("top",), (x, y, 1.0), (0, 1, 0), (-1, 0, 0), turn)


def tail(y: float, z: float, turn: float = 0.0) -> Frame:
    """A frame on the rear, upright for a reader behind the car."""
    return Frame(("rear",), (-2.3, y, z), (0, -1, 0), (0, 0, 1), turn)


def _on_bar(letters: Image.Image, ground: Colour) -> Image.Image:
    margin = letters.height // 4
    size = (letters.width + 3 * margin, letters.height + 2 * margin)
    bar = Image.new("RGBA", size, _rgba(ground))
    bar.alpha_composite(letters, (3 * margin // 2, margin))
    return bar


def _with_device(letters: Image.Image, rng: Rng, ink: Colour) -> Image.Image:
    h = letters.height
    out = Image.new("RGBA", (letters.width + h + h // 3, h), (0, 0, 0, 0))
    draw = ImageDraw.Draw(out)
    shape = _pick(rng, ("disc", "ring", "triangle", "bars"))
    if shape in ("disc", "ring"):
        width = h if shape == "disc" else h // 4
        draw.ellipse((0, 0, h - 1, h - 1), outline=_rgba(ink), width=width)
    elif shape == "triangle":
        draw.polygon([(0, h - 1), (h // 2, 0), (h - 1, h - 1)], fill=_rgba(ink))
    else:
        for row in range(3):
            draw.rectangle((row * h // 5, row * h // 3, h - 1, row * h // 3 + h // 5), _rgba(ink))
    out.alpha_composite(letters, (h + h // 3, 0))
    return out


def _rgba(colour: Colour) -> tuple[int, int, int, int]:
    r, g, b = (int(value) for value in np.round(colour * 255))
    return r, g, b, 255


def _pick(rng: Rng, options: Sequence[T]) -> T:
    return options[int(rng.integers(len(options)))]
