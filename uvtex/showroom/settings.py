"""Settings of a showroom data set. This module imports neither torch nor the path tracer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from uvtex.errors import ConfigError
from uvtex.settings import Settings, validate
from uvtex.typed.setting_values import InputPathText
from uvtex.typed.text_files import read_json

Metres = Annotated[float, Field(ge=-1000, le=1000)]
Point = tuple[Metres, Metres, Metres]
Axis = Literal["x", "-x", "y", "-y", "z", "-z"]


class CarSettings(Settings):
    """Your own car: its mesh file, and how to read it."""

    file: InputPathText
    """An OBJ, GLB or glTF file, relative to the settings file or to the folder that the command
    runs in. The set keeps its name and recognises its content by ``sha256``."""
    sha256: str | None = None
    """SHA-256 of the file, in hexadecimal. The build fills it in, and checks it where it is
    given."""
    paint_material: str | None = None
    """The material that carries the livery. None: it is found by its name, or by its share of the
    texture."""
    up: Literal["auto", "y", "z"] = "auto"
    """The axis that points up in the file. ``auto``: it is estimated."""
    nose: Literal["auto"] | Axis = "auto"
    """The axis that the nose points along in the file. ``auto``: along the car's length, towards
    its lower end."""
    unwrap: bool = False
    """Replace the paint's UVs by a new unwrap."""


class Pose(Settings):
    """One camera, in the showroom's axes: x forward, y to the car's left, z up, metres.

    The centre of the car is above the origin; the floor is z = 0.
    """

    name: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")
    """``cam00`` and so on by default."""
    eye: Point
    target: Point
    """The point at the centre of the picture."""
    fov: float = Field(ge=1, le=150)
    """Full angle of view, degrees; pictures are square."""


class ShowroomSettings(Settings):
    """Everything that decides the files of a showroom data set."""

    size: int = Field(default=256, ge=16, le=2048)
    """Side of a view, in pixels."""
    texture_size: int = Field(default=256, ge=16, le=4096)
    """Side of a texture, in texels."""
    cameras: int = Field(default=16, ge=1, le=999)
    """Number of cameras around the car. With ``poses``: the number of poses."""
    liveries: int = Field(default=64, ge=1, le=99_999)
    """Number of procedural liveries. With ``livery_dir``: the number of pictures in it."""
    samples: int = Field(default=64, ge=1, le=65_536)
    """Paths traced a pixel, in each of a camera's two renders."""
    supersample: int = Field(default=3, ge=1, le=8)
    """Samples of the UV map along each side of a pixel."""
    seed: int = Field(default=0, ge=0, lt=2**31)
    """Seed of the procedural liveries and of the path tracer."""
    car: CarSettings | None = None
    """Your own car. None: the built-in car."""
    livery_dir: InputPathText | None = None
    """Folder of your own liveries, found as ``car.file`` is. The set keeps only its name."""
    livery_sha256: str | None = None
    """SHA-256 of the names and contents in ``livery_dir``. The build fills it in."""
    template: InputPathText | None = None
    """The constant texels of the car's texture, laid over the procedural liveries: a picture that
    is transparent where liveries are painted, or a folder of liveries. It is found as
    ``car.file`` is. The set keeps only its name."""
    template_sha256: str | None = None
    """SHA-256 of the template. The build fills it in."""
    poses: tuple[Pose, ...] | None = Field(default=None, min_length=1, max_length=999)
    """Poses of the cameras. None: ``cameras`` of them all around the car."""
    views: Literal[False] | None = None
    """False: plates and textures only, from which views are composed when they are read; so the
    set takes disk for cameras plus liveries, not for cameras times liveries."""
    maps: Literal[False] | None = None
    """False: the set's records name no UV map and no plate, as those of photos do. The files are
    there, and no record names them."""


class _PosesFile(Settings):
    poses: tuple[Pose, ...] = Field(min_length=1, max_length=999)


def read_poses(path: Path) -> tuple[Pose, ...]:
    """The poses of a camera file, each with its name.

    Raises:
        ConfigError: the file is missing or no JSON list, or poses are invalid. The message lists
            every problem.
    """
    values = read_json(path, ConfigError)
    if not isinstance(values, list):
        raise ConfigError(f"{path}: must hold a list of poses, each with eye, target and fov")
    poses = named_poses(validate(_PosesFile, {"poses": values}, where=str(path)).poses)
    found = pose_problems(poses)
    if found:
        raise ConfigError("\n".join(f"{path}: {problem}" for problem in found))
    return poses


def named_poses(poses: Sequence[Pose]) -> tuple[Pose, ...]:
    """``poses``; a pose without a name is named after its number: ``cam00``, ``cam01``, ..."""
    return tuple(
        pose if pose.name else pose.model_copy(update={"name": f"cam{number:02d}"})
        for number, pose in enumerate(poses)
    )


def pose_problems(poses: Sequence[Pose]) -> list[str]:
    """The problems of named ``poses``, one line each."""
    found, seen = [], set()
    for number, pose in enumerate(poses):
        where = f"pose {number} ({pose.name})"
        if str(pose.name).lower() in seen:
            found.append(f"{where}: an earlier pose has the same name; give it another")
        seen.add(str(pose.name).lower())
        if math.dist(pose.eye, pose.target) < 1e-3:
            found.append(f"{where}: eye and target are the same place; move one of them")
        if pose.eye[2] <= 0:
            found.append(f"{where}: the eye's height must be > 0 (the floor), got {pose.eye[2]}")
    return found
