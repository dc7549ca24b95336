"""Parts of the built-in car outside its body.

The parts are wheels, arch liners, underbody with splitter, canards, mirrors and the rear wing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from uvtex.showroom.cars.mesh import (
    Floats,
    Mesh,
    box,
    grid,
    hexahedron,
    lathe,
    merge,
    mirrored,
    moved,
    prism,
)
from uvtex.showroom.cars.texel_map import place_panels

WHEEL_RADIUS = 0.345
ARCH_RADIUS = 0.405
WING_X, WING_Z, WING_HALF = -2.20, 1.23, 0.88


@dataclass(frozen=True)
class Wheel:
    """One wheel. It stands on the floor."""

    tyre: Mesh
    rim: Mesh


def wheel(x: float, front: bool) -> Wheel:
    """The left wheel of the axle at ``x``. The rear wheel is wider than the front wheel."""
    outer, width = (0.945, 0.27) if front else (0.965, 0.31)
    r = WHEEL_RADIUS
    tread = np.array([
        (0.245, 0.0), (0.27, 0.004), (0.315, 0.0), (r - 0.008, -0.018), (r, -0.045),
        (r, -width + 0.045), (r - 0.008, -width + 0.018), (0.27, -width), (0.245, -width),
    ])  # fmt: skip
    barrel = np.array([(0.25, -0.004), (0.236, -0.012), (0.228, -0.07), (0.22, -width)])
    hub = np.array([(0.0, -0.03), (0.035, -0.03), (0.055, -0.045), (0.06, -0.10)])
    spokes = [_spoke(angle) for angle in np.arange(10) * (2 * np.pi / 10)]
    place_at = {"x": x, "y": outer, "z": r}
    rim = merge([lathe(barrel, 48), lathe(hub, 24), *spokes])
    return Wheel(moved(lathe(tread, 48), **place_at), moved(rim, **place_at))


def _spoke(angle: float) -> Mesh:
    inner, outer = 0.03, 0.235
    corners = []
    for along, half in ((inner, 0.020), (outer, 0.014)):
        for y in (-0.075, -0.032 if along == inner else -0.014):
            corners.extend([(along, y, -half), (along, y, half)])
    turned = np.array(corners)
    cos, sin = np.cos(angle), np.sin(angle)
    x, z = turned[:, 0] * cos - turned[:, 2] * sin, turned[:, 0] * sin + turned[:, 2] * cos
    return hexahedron(np.stack([x, turned[:, 1], z], -1))


def arch_liner(x: float) -> Mesh:
    """The dark inner surface of the left wheel arch. It closes the view through the arch."""
    radius = ARCH_RADIUS + 0.003
    profile = np.array([(0.0, 0.70), (radius, 0.70), (radius, 0.92)])
    dip = np.arcsin(0.95 * WHEEL_RADIUS / radius)  # the arc ends just above the floor
    return moved(lathe(profile, 40, -dip, np.pi + dip), x=x, z=WHEEL_RADIUS)


def underbody(sill: float) -> Mesh:
    """The floor, the skirts, the splitter and the diffuser."""
    splitter = np.array([
        (1.9, -0.95), (2.15, -0.93), (2.40, -0.72), (2.53, -0.35), (2.55, 0.0),
        (2.53, 0.35), (2.40, 0.72), (2.15, 0.93), (1.9, 0.95),
    ])  # fmt: skip
    fins = [
        box((-2.42, y - 0.008, 0.08), (-1.95, y + 0.008, 0.27)) for y in (-0.45, -0.15, 0.15, 0.45)
    ]
    skirt = box((-0.90, 0.80, 0.07), (0.93, 0.945, 0.105))
    return merge([
        box((-2.25, -0.62, 0.09), (2.1, 0.62, sill + 0.01)),
        box((-0.94, -0.86, 0.10), (0.96, 0.86, sill + 0.01)),
        box((-2.28, -0.86, 0.14), (-1.78, 0.86, 0.16)),
        prism(splitter, 0.065, 0.09),
        skirt, mirrored(skirt), *fins,
    ])  # fmt: skip


def aero() -> Mesh:
    """The canards at the corners of the nose."""
    out = []
    for z, reach in ((0.30, 0.0), (0.42, -0.03)):
        y0, y1 = 0.80 + reach, 0.96 + reach
        canard = np.array([
            (1.85, y0 + 0.08, z + 0.05), (1.85, y0 + 0.08, z + 0.06),
            (1.85, y1 + 0.02, z + 0.07), (1.85, y1 + 0.02, z + 0.08),
            (2.15, y0 - 0.02, z), (2.15, y0 - 0.02, z + 0.01),
            (2.10, y1 - 0.06, z), (2.10, y1 - 0.06, z + 0.01),
        ])  # fmt: skip
        out.append(hexahedron(canard))
    left = merge(out)
    return merge([left, mirrored(left)])


def mirrors() -> Mesh:
    """The door mirrors on short arms."""
    angle = np.linspace(-np.pi / 2, np.pi / 2, 12)
    pod = lathe(np.stack([np.cos(angle), np.sin(angle)], -1), 20)
    scale = np.array([0.085, 0.10, 0.055])
    pod = Mesh(pod.position * scale, pod.normal, pod.uv, pod.faces)
    left = merge([
        moved(pod, x=0.55, y=0.98, z=0.93),
        box((0.53, 0.74, 0.885), (0.57, 0.96, 0.905)),
    ])  # fmt: skip
    return merge([left, mirrored(left)])


def wing() -> tuple[Mesh, Mesh]:
    """The rear wing: the mesh of its paint and the mesh of its dark trim.

    The paint covers the top and the outer sides of the end plates.
    """
    chord = np.linspace(0.0, 1.0, 14)  # 0 at the leading edge
    span = np.linspace(WING_HALF, -WING_HALF, 12)  # left to right for a reader behind the car
    upper = _aerofoil(chord, span, 0.030)
    lower = _aerofoil(chord, span, -0.012)
    across = (WING_HALF - span) / (2 * WING_HALF)
    top = grid(upper, place_panels("wing", across[None, :], 1 - chord[:, None]))
    plates = [_end_plate("plate_left", 1.0), _end_plate("plate_right", -1.0)]
    inner = [
        box((-2.42, y - 0.004, 1.06), (-1.94, y + 0.004, 1.30)) for y in (WING_HALF, -WING_HALF)
    ]
    stays = []
    for y in (-0.35, 0.35):
        stays.append(box((-2.20, y - 0.012, 0.86), (-2.08, y + 0.012, 1.24)))
    edge = grid(np.stack([upper[-1], lower[-1]]))
    return merge([top, *plates]), merge([grid(lower), edge, *inner, *stays])


def _aerofoil(chord: Floats, span: Floats, thickness: float) -> Floats:
    """Points of one wing surface: [chord, span, 3].

    The leading edge is forward and low. The trailing edge is high.
    """
    camber = -0.035 * np.sin(np.pi * chord)
    shape = 4 * thickness * np.sqrt(chord) * (1 - chord)
    z = WING_Z + 0.075 * chord + camber + shape
    x = WING_X + 0.19 - 0.36 * chord
    rows = np.stack([x, np.zeros_like(x), z], -1)[:, None, :]
    out = np.repeat(rows, len(span), 1)
    out[..., 1] = span
    return out


def _end_plate(panel: str, side: float) -> Mesh:
    x, z = np.linspace(-2.42, -1.94, 6), np.linspace(1.06, 1.345, 5)
    along = (x - x[0]) / (x[-1] - x[0])
    across = 1 - along if side > 0 else along
    grown = np.meshgrid(x, z)
    y = np.full_like(grown[0], side * (WING_HALF + 0.008))
    uv = place_panels(panel, across[None, :], ((z - z[0]) / (z[-1] - z[0]))[:, None])
    mesh = grid(np.stack([grown[0], y, grown[1]], -1), uv)
    if mesh.normal[0, 1] * side < 0:
        mesh = Mesh(mesh.position, -mesh.normal, mesh.uv, mesh.faces[:, ::-1])
    return mesh
