"""Path traces a camera once into a plate, from which the views of all liveries are composed.

Radiance is linear in the paint's base colour. Two renders therefore suffice: black paint gives the
reflected light, and the difference between grey and black paint gives the light that falls on the
paint. Light that bounces from paint to paint, for example by way of the floor, is not linear. Grey
paint keeps that error small.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uvtex.errors import UvtexError
from uvtex.showroom.cars.mesh import Mesh
from uvtex.showroom.cars.subject import PAINT, Subject, built_in
from uvtex.showroom.rendering.cameras import Camera

Floats32 = NDArray[np.float32]

MAX_DEPTH = 6
BLOCK = 16
"""Side of a render block in pixels. Fixed, because the noise depends on it, and the path tracer's
default depends on the number of cores."""
SAMPLER = "multijitter"
"""Measured at 64 samples: 6 dB less noise than independent samples, for the same time."""
GREY = 0.5
OFF_PAINT = 0.25
"""Albedo of the paint in what floor and glass reflect of it, the same for every livery."""


@dataclass(frozen=True)
class Plate:
    """Everything in one camera's picture that does not depend on the livery; radiance is linear."""

    uv: Floats32
    """[h * k, w * k, 2], u right and v up in [0, 1], NaN where no paint is visible. ``k`` is
    the supersampling."""
    mask: NDArray[np.uint8]
    """[h, w], the fraction of each pixel that paint covers, times 255."""
    falling: Floats32
    """[h, w, 3], radiance that white paint adds; 0 where the mask is 0."""
    reflected: Floats32
    """[h, w, 3], radiance with black paint; the final radiance where the mask is 0."""


def tracer() -> Any:
    """The module ``mitsuba``, set to ``scalar_rgb``, the variant that runs on every machine.

    Raises:
        UvtexError: mitsuba is not installed.
    """
    try:
        mitsuba: Any = importlib.import_module("mitsuba")
    except ImportError as error:
        raise UvtexError(
            f"showroom pictures need the path tracer: {error}; pip install 'uvtex-sweep[showroom]'"
        ) from error
    if mitsuba.variant() != "scalar_rgb":
        mitsuba.set_variant("scalar_rgb")
        # Otherwise it warns at every render that the sampler rounds the sample count up.
        mitsuba.set_log_level(mitsuba.LogLevel.Error)
    return mitsuba


def trace(
    camera: Camera,
    size: int,
    samples: int,
    supersample: int,
    seed: int,
    subject: Subject | None = None,
) -> Plate:
    """The plate of ``camera``, ``size`` x ``size`` pixels; the same at every call.

    Args:
        subject: the car; the built-in one by default.

    Raises:
        UvtexError: the path tracer is not installed.
    """
    subject = subject or built_in()
    uv = _uv_map(camera, size * supersample, subject)
    share = (~np.isnan(uv[..., 0])).reshape(size, supersample, size, supersample).mean((1, 3))
    black = render(camera, size, samples, seed, 0.0, subject)
    grey = render(camera, size, samples, seed, GREY, subject)
    falling = np.maximum(grey - black, 0) / GREY
    painted = share[..., None] > 0
    return Plate(
        uv=uv,
        mask=np.round(share * 255).astype(np.uint8),
        falling=np.where(painted, falling, 0).astype(np.float32),
        reflected=np.where(painted, black, black + OFF_PAINT * falling).astype(np.float32),
    )


def render(
    camera: Camera,
    size: int,
    samples: int,
    seed: int,
    paint: float | Floats32,
    subject: Subject | None = None,
) -> Floats32:
    """Path traced radiance [size, size, 3], linear.

    Args:
        paint: base colour, linear, in [0, 1]: a grey, or a texture [s, s, 3] with v = 1 in row 0.
        subject: the car; the built-in one by default.
    """
    mi = tracer()
    subject = subject or built_in()
    wrap = "repeat" if subject.repeats else "clamp"
    base = _textured(paint, wrap) if isinstance(paint, np.ndarray) else _flat(paint)
    scene = _scene(base, _sensor(camera, size, SAMPLER), subject)
    path = {"type": "path", "max_depth": MAX_DEPTH, "block_size": BLOCK}
    image = mi.render(scene, integrator=mi.load_dict(path), spp=samples, seed=seed)
    return np.asarray(image, dtype=np.float32)[..., :3]


def _textured(linear: Floats32, wrap: str) -> dict[str, Any]:
    data = tracer().TensorXf(np.ascontiguousarray(linear[::-1]))
    return {"type": "bitmap", "data": data, "raw": True, "wrap_mode": wrap}


def _uv_map(camera: Camera, size: int, subject: Subject) -> Floats32:
    """UVs at the centres of a grid of ``size`` x ``size``: one ray each, so seams stay sharp."""
    mi = tracer()
    scene = _scene(_flat(0.0), _sensor(camera, size, "stratified"), subject)
    first = {"type": "aov", "aovs": "uv:uv,shape:shape_index", "block_size": BLOCK}
    seen = np.asarray(mi.render(scene, integrator=mi.load_dict(first), spp=1), dtype=np.float32)
    # Zero is the empty background, so shapes count from one.
    paint = 1 + [shape.id() for shape in scene.shapes()].index(PAINT)
    uv = seen[..., :2]
    if subject.repeats:
        uv = np.where((uv < 0) | (uv > 1), uv - np.floor(uv), uv)
    uv = np.clip(uv, 0, 1)
    uv[np.round(seen[..., 2]) != paint] = np.nan
    return np.asarray(uv)


def _scene(base: dict[str, Any], sensor: dict[str, Any], subject: Subject) -> Any:
    # Parts are loaded here, because a scene that loads its own parts does so in any order, and the
    # noise depends on the order of the lights.
    mi = tracer()
    parts = {name: _loaded(mi, part) for name, part in _studio(base, subject).items()}
    return mi.load_dict({"type": "scene", **parts, "sensor": sensor})


def _loaded(mi: Any, part: Any) -> Any:
    return mi.load_dict(part) if isinstance(part, dict) else part


def _sensor(camera: Camera, size: int, sampler: str) -> dict[str, Any]:
    look_at = tracer().ScalarTransform4f().look_at
    away = np.subtract(camera.target, camera.origin)
    level = np.hypot(away[0], away[1]) > 1e-3 * np.abs(away[2])
    settings = {"type": sampler, "sample_count": 1}
    if sampler == "stratified":
        settings["jitter"] = False
    return {
        "type": "perspective",
        "fov": camera.fov,
        "to_world": look_at(origin=camera.origin, target=camera.target,
                            up=[0, 0, 1] if level else [1, 0, 0]),
        "sampler": settings,
        "film": {
            "type": "hdrfilm", "width": size, "height": size, "pixel_format": "rgb",
            "component_format": "float32", "rfilter": {"type": "box"},
        },
    }  # fmt: skip


def _studio(base: dict[str, Any], subject: Subject) -> dict[str, Any]:
    """The scene: the car, a floor, softboxes, and a little light from all around."""
    mi = tracer()
    transform = mi.ScalarTransform4f()
    scene: dict[str, Any] = {}
    materials = _materials(base)
    materials.update({name: _diffuse(*colour) for name, colour in subject.colours.items()})
    for name, mesh in subject.meshes.items():
        scene[name] = _shape(mi, name, mesh, materials[name])
    scene["floor"] = {
        "type": "disk",
        "to_world": transform.scale([60, 60, 1]),
        "bsdf": _diffuse(0.26, 0.265, 0.27),
    }
    scene["room"] = {"type": "constant", "radiance": {"type": "rgb", "value": [0.48, 0.49, 0.51]}}
    boxes = [  # high enough to stay out of every picture
        ((0.3, 0.0, 6.6), (3.2, 1.6), 1.5),
        ((0.8, 6.0, 7.2), (3.6, 1.9), 5.2),
        ((-0.8, -6.0, 7.2), (3.6, 1.9), 4.2),
    ]
    for number, (origin, half, radiance) in enumerate(boxes):
        aim = transform.look_at(origin=origin, target=[origin[0], 0.0, 0.6], up=[0.0, 1.0, 0.0])
        scene[f"softbox{number}"] = {
            "type": "rectangle",
            "to_world": aim @ transform.scale([*half, 1.0]),
            "light": {"type": "area", "radiance": {"type": "rgb", "value": radiance}},
        }
    return scene


def _materials(base: dict[str, Any]) -> dict[str, dict[str, Any]]:
    def coated(colour: dict[str, Any]) -> dict[str, Any]:
        # Not `nonlinear`: the composition needs radiance that is linear in the base colour.
        coat = {"type": "plastic", "diffuse_reflectance": colour, "nonlinear": False}
        return {"type": "twosided", "coat": coat}

    return {
        "paint": coated(base),
        "glass": coated(_flat(0.012)),
        "lamp": coated(_flat(0.75)),
        "tail_lamp": coated({"type": "rgb", "value": [0.45, 0.01, 0.01]}),
        "trim": _diffuse(0.022, 0.022, 0.024),
        "tyre": _diffuse(0.018, 0.018, 0.018),
        "rim": _diffuse(0.24, 0.24, 0.25),
    }


def _diffuse(r: float, g: float, b: float) -> dict[str, Any]:
    colour = {"type": "rgb", "value": [r, g, b]}
    return {"type": "twosided", "base": {"type": "diffuse", "reflectance": colour}}


def _flat(grey: float) -> dict[str, Any]:
    return {"type": "rgb", "value": [grey, grey, grey]}


def _shape(mi: Any, name: str, mesh: Mesh, material: dict[str, Any]) -> Any:
    props = mi.Properties(name)
    props["material"] = mi.load_dict(material)
    shape = mi.Mesh(name, len(mesh.position), len(mesh.faces), props, True, True)
    values = mi.traverse(shape)
    values["vertex_positions"] = mesh.position.astype(np.float32).ravel()
    values["vertex_normals"] = mesh.normal.astype(np.float32).ravel()
    values["vertex_texcoords"] = mesh.uv.astype(np.float32).ravel()
    values["faces"] = mesh.faces.astype(np.uint32).ravel()
    values.update()
    return shape
