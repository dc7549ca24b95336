"""The built-in car, a closed race car: body, glass, wheels, wing, and the UVs of its paint.

The x axis points forward, the y axis points to the car's left, and the z axis points up. The unit
is the metre. The floor is z = 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BSpline, PchipInterpolator

from uvtex.showroom.cars import built_in_parts
from uvtex.showroom.cars.mesh import Floats, Mesh, clip, grid, merge, mirrored
from uvtex.showroom.cars.texel_map import TexelMap, place_panels, texel_map

FRONT, REAR = 2.25, -2.30
AXLES = (1.38, -1.36)

STATIONS = {
    # Half of the body's greatest width.
    "width": [(-2.3, .90), (-2.0, .96), (-1.36, 1.0), (-.75, .93), (-.2, .90), (.4, .90),
              (.85, .93), (1.38, .985), (1.8, .95), (2.05, .88), (2.25, .76)],
    # Height of the crease between side and top. The crease is high over the wheels.
    "shoulder": [(-2.3, .83), (-1.9, .89), (-1.36, .92), (-.7, .84), (-.1, .79), (.5, .78),
                 (1.0, .81), (1.38, .83), (1.8, .755), (2.05, .64), (2.25, .50)],
    # Height of the bonnet and the tail deck between fender and cabin.
    "deck": [(-2.3, .88), (-1.8, .90), (-1.2, .87), (-.3, .82), (.5, .80), (.9, .80),
             (1.4, .765), (1.9, .63), (2.25, .49)],
    # Height of the centre line along bonnet, windscreen, roof and fastback.
    "roof": [(-2.3, .90), (-1.95, .94), (-1.45, 1.04), (-.85, 1.17), (-.35, 1.215), (0.0, 1.19),
             (.35, 1.06), (.65, .92), (.88, .855), (1.4, .80), (1.9, .665), (2.25, .51)],
    # Half of the cabin's width, at its foot and at the roof's edge.
    "foot": [(-2.3, .62), (-1.36, .68), (-.6, .76), (.3, .76), (.9, .72), (1.6, .62), (2.25, .5)],
    "edge": [(-2.3, .46), (-1.36, .47), (-.6, .57), (0.0, .58), (.5, .58), (.9, .55),
             (1.6, .45), (2.25, .35)],
}  # fmt: skip
SILL = 0.13
SIDE_SHARE = 0.36
"""The value of the half section's parameter at the border between side and top.

The parameter runs from 0 to 1. Smaller values are side, and larger values are top.
"""


@dataclass(frozen=True)
class Car:
    """The meshes of the car, one per material. Only the paint has UVs."""

    paint: Mesh
    glass: Mesh
    lamp: Mesh
    tail_lamp: Mesh
    trim: Mesh
    tyre: Mesh
    rim: Mesh

    def meshes(self) -> dict[str, Mesh]:
        """The meshes by material name, with the paint first."""
        return dict(vars(self))


@lru_cache(maxsize=1)
def car() -> Car:
    """The built-in car. Every call returns the same object."""
    paint: list[Mesh] = []
    glass: list[Mesh] = []
    trim = [built_in_parts.underbody(SILL), built_in_parts.aero(), built_in_parts.mirrors()]
    for panel, opening in (("left", None), ("top", "glass"), ("right", None)):
        mesh, value = _body_panel(panel)
        paint.append(clip(mesh, -value))
        if opening == "glass":
            glass.append(clip(mesh, value))
    front, front_grille, lamps = _cap("front")
    rear, rear_grille, tail_lamps = _cap("rear")
    wing_paint, wing_trim = built_in_parts.wing()
    wheels = [built_in_parts.wheel(x, AXLES[0] == x) for x in AXLES]
    tyres = merge(w.tyre for w in wheels)
    rims = merge(w.rim for w in wheels)
    liners = merge(built_in_parts.arch_liner(x) for x in AXLES)
    return Car(
        paint=merge([*paint, front, rear, wing_paint]),
        glass=merge(glass),
        lamp=lamps,
        tail_lamp=tail_lamps,
        trim=merge([*trim, front_grille, rear_grille, wing_trim, liners, mirrored(liners)]),
        tyre=merge([tyres, mirrored(tyres)]),
        rim=merge([rims, mirrored(rims)]),
    )


@lru_cache(maxsize=4)
def texels(size: int) -> TexelMap:
    """The place on the car of each texel of a ``size`` x ``size`` texture."""
    return texel_map(car().paint, size)


def coverage(size: int) -> NDArray[np.bool_]:
    """The texels that belong to the car: bool [size, size]. Row 0 is v = 1."""
    return texels(size).covered


def station(name: str, x: Floats) -> Floats:
    """The curve ``name`` of STATIONS at ``x`` [n]."""
    xs, values = zip(*STATIONS[name], strict=True)
    return np.asarray(PchipInterpolator(xs, values)(x))


def _controls(x: Floats) -> Floats:
    """Control points (y, z) of the half section at ``x`` [n], from sill to centre: [11, n, 2]."""
    w, shoulder, deck = station("width", x), station("shoulder", x), station("deck", x)
    roof, foot, edge = station("roof", x), station("foot", x), station("edge", x)
    points = [
        (w - 0.05, np.full_like(x, SILL)),
        (w - 0.01, np.full_like(x, SILL + 0.06)),
        (w - 0.03, 0.5 * (SILL + shoulder)),
        (w + 0.005, shoulder - 0.10),
        (w - 0.02, shoulder + 0.01),
        (0.5 * (w + foot) + 0.02, 0.5 * (shoulder + deck) + 0.01),
        (foot, deck + 0.005),
        (0.45 * foot + 0.55 * edge, 0.45 * deck + 0.55 * roof),
        (edge, roof - 0.02),
        (0.5 * edge, roof + 0.005),
        (np.zeros_like(x), roof + 0.01),
    ]
    return np.stack([np.stack(p, -1) for p in points])


def _half_section(x: Floats, s: Floats) -> Floats:
    """Points (y, z) of the left half section: [len(s), len(x), 2].

    ``s`` is 0 at the sill and 1 at the centre line.
    """
    controls = _controls(x)
    spans = len(controls) - 2
    knots = np.concatenate([[0, 0], np.arange(spans + 1), [spans, spans]]) / spans
    return np.asarray(BSpline(knots, controls, 2)(s))


def _section_parameter(points: int, begin: float, end: float) -> tuple[Floats, Floats]:
    """``points`` values of ``s`` from ``begin`` to ``end``, and their positions by unrolled length.

    The positions are in [0, 1]. The length is a mean over sections along the car.
    """
    s = np.linspace(begin, end, points)
    section = _half_section(np.linspace(-1.9, 1.9, 40), s)
    length = np.linalg.norm(np.diff(section, axis=0), axis=-1).mean(1)
    return s, np.concatenate([[0.0], np.cumsum(length)]) / length.sum()


def _bow(x: Floats, y: Floats, half_width: Floats) -> Floats:
    """Round the nose and the tail in plan view.

    The nose and the tail protrude at the centre line. The effect grows gradually towards both ends.
    """
    round_off = 1 - (y / half_width) ** 2
    nose = np.clip((x - 1.3) / (FRONT - 1.3), 0, 1) ** 2
    tail = np.clip((x + 1.7) / (REAR + 1.7), 0, 1) ** 2
    return x + 0.17 * nose * round_off - 0.07 * tail * round_off


def _surface(x: Floats, s: Floats) -> Floats:
    """Points [len(s), len(x), 3] of the left half of the body."""
    section = _half_section(x, s)
    y, z = section[..., 0], section[..., 1]
    along = np.broadcast_to(x, y.shape)
    return np.stack([_bow(along, y, station("width", x)), y, z], -1)


def _lengthwise() -> Floats:
    return np.linspace(FRONT, REAR, 130)


def _body_panel(panel: str) -> tuple[Mesh, Floats]:
    """The uncut mesh of a side or of the top, and a value per vertex.

    The value is negative in the openings.
    """
    x = _lengthwise()
    along = (FRONT - x) / (FRONT - REAR)
    if panel == "top":
        s, unrolled = _section_parameter(45, SIDE_SHARE, 1.0)
        left = _surface(x, s)
        right = left[-2::-1] * np.array([1.0, -1.0, 1.0])
        up = np.concatenate([unrolled / 2, 1 - unrolled[-2::-1] / 2])
        uv = place_panels("top", along[None, :], up[:, None])
        mesh = _outward(grid(np.concatenate([left, right]), uv))
        t = np.abs(2 * up - 1)  # 0 at the centre line, 1 at the shoulder
        return mesh, _windows(*np.broadcast_arrays(x[None, :], t[:, None])).ravel()
    s, up = _section_parameter(28, 0.0, SIDE_SHARE)
    surface, across = _surface(x, s), along
    if panel == "right":
        surface, across = surface * np.array([1.0, -1.0, 1.0]), 1 - along
    mesh = _outward(grid(surface, place_panels(panel, across[None, :], up[:, None])))
    return mesh, _arches(mesh.position)


def _outward(mesh: Mesh) -> Mesh:
    """Orient triangles and normals away from the car's long axis."""
    axis = mesh.position * np.array([1.0, 0.0, 0.0]) + np.array([0.0, 0.0, 0.45])
    if np.sum((mesh.position - axis) * mesh.normal) >= 0:
        return mesh
    return Mesh(mesh.position, -mesh.normal, mesh.uv, mesh.faces[:, ::-1])


def _arches(position: Floats) -> Floats:
    distances = [
        np.hypot(position[:, 0] - x, position[:, 2] - built_in_parts.WHEEL_RADIUS) for x in AXLES
    ]
    return np.asarray(np.minimum(*distances) - built_in_parts.ARCH_RADIUS)


def _rounded(p: Floats, q: Floats, corners: list[tuple[float, float]], radius: float) -> Floats:
    """A smooth function that is negative inside a rounded polygon.

    The polygon must be convex and anticlockwise. ``radius`` rounds its corners.
    """
    sides = []
    for (a, b), (c, d) in zip(corners, corners[1:] + corners[:1], strict=True):
        length = np.hypot(c - a, d - b)
        sides.append(((p - a) * (d - b) - (q - b) * (c - a)) / length)
    stacked = np.stack(sides) / radius
    top = stacked.max(0)
    return np.asarray(radius * (top + np.log(np.exp(stacked - top).sum(0))))


def _windows(x: Floats, t: Floats) -> Floats:
    """A function that is negative in the windows and bonnet vents of the top panel.

    ``t`` is a position by unrolled length. It is 0 on the centre line and 1 at the shoulder.
    """
    shapes = [
        ([(0.83, -0.60), (0.83, 0.60), (0.04, 0.43), (0.04, -0.43)], 0.03),
        ([(-1.02, -0.40), (-1.02, 0.40), (-1.72, 0.40), (-1.72, -0.40)], 0.03),
        ([(0.52, 0.735), (0.10, 0.735), (-0.38, 0.735), (-0.38, 0.50), (0.06, 0.49)], 0.015),
        ([(-0.46, 0.735), (-1.12, 0.70), (-1.02, 0.50), (-0.46, 0.50)], 0.015),
        ([(1.36, 0.16), (1.40, 0.16), (1.36, 0.40), (1.32, 0.40)], 0.006),
        ([(1.26, 0.16), (1.30, 0.16), (1.26, 0.40), (1.22, 0.40)], 0.006),
    ]
    return np.asarray(np.minimum.reduce([_any_winding(x, t, c, r) for c, r in shapes]))


def _any_winding(x: Floats, t: Floats, corners: list[tuple[float, float]], r: float) -> Floats:
    """Like :func:`_rounded`, for ``corners`` in clockwise or anticlockwise order."""
    twice_area = sum(
        a * d - b * c for (a, b), (c, d) in zip(corners, corners[1:] + corners[:1], strict=True)
    )
    return _rounded(x, t, corners if twice_area > 0 else corners[::-1], r)


def _rectangle(y0: float, z0: float, y1: float, z1: float) -> list[tuple[float, float]]:
    return [(y0, z0), (y1, z0), (y1, z1), (y0, z1)]


def _cap(end: str) -> tuple[Mesh, Mesh, Mesh]:
    """The nose or the tail of the car: the meshes of its paint, dark openings and lamps."""
    fan, y, z = _fan(end)
    y = np.abs(y)
    if end == "front":
        dark = np.minimum.reduce([
            _any_winding(y, z, _rectangle(-0.42, 0.19, 0.42, 0.35), 0.02),
            _any_winding(y, z, [(0.50, 0.19), (0.70, 0.19), (0.70, 0.30), (0.50, 0.34)], 0.015),
        ])  # fmt: skip
        lamp = _any_winding(y, z, [(0.50, 0.395), (0.70, 0.40), (0.71, 0.47), (0.53, 0.43)], 0.01)
    else:
        dark = np.minimum.reduce([
            _any_winding(y, z, _rectangle(-0.66, 0.10, 0.66, 0.30), 0.03),
            _any_winding(y, z, _rectangle(0.60, 0.40, 0.80, 0.52), 0.02),
        ])  # fmt: skip
        lamp = _any_winding(y, z, _rectangle(0.36, 0.70, 0.84, 0.77), 0.012)
    return clip(fan, -np.minimum(dark, lamp)), clip(fan, dark), clip(fan, lamp)


def _fan(end: str) -> tuple[Mesh, Floats, Floats]:
    """One end of the body as a fan around its centre, and the y and z of its vertices.

    The UVs are a flat projection along x.
    """
    at = np.array([FRONT if end == "front" else REAR])
    half = _half_section(at, np.linspace(0, 1, 60))[:, 0]
    rim = np.concatenate([half, half[-2::-1] * np.array([-1.0, 1.0])])
    floor = np.stack([np.linspace(-half[0, 0], half[0, 0], 40)[1:], np.full(39, SILL)], -1)
    rim = np.concatenate([rim, floor])
    centre = np.array([0.0, 0.5 * (SILL + rim[:, 1].max())])
    reach = np.linspace(0, 1, 24)[:, None, None]
    yz = centre + reach * (rim - centre)
    y, z = yz[..., 0], yz[..., 1]
    outward = 1.0 if end == "front" else -1.0
    x = _bow(np.broadcast_to(at, y.shape), y, station("width", at))
    x = x + outward * 0.05 * (1 - reach[..., 0] ** 2)
    half_width = rim[:, 0].max()
    across = 0.5 + outward * y / (2 * half_width)
    up = (z - SILL) / (rim[:, 1].max() - SILL)
    mesh = grid(np.stack([x, y, z], -1), place_panels(end, across, up))
    if np.sum(mesh.normal[:, 0]) * outward < 0:
        mesh = Mesh(mesh.position, -mesh.normal, mesh.uv, mesh.faces[:, ::-1])
    return mesh, y.ravel(), z.ravel()
