"""Camera files: a JSON list of poses.

    [{"name": "front", "eye": [7.0, 1.5, 1.2], "target": [0, 0, 0.5], "fov": 35}, ...]

Axes and units are those of :class:`uvtex.showroom.settings.Pose`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from uvtex.config import Settings, validate
from uvtex.errors import ConfigError
from uvtex.showroom.settings import Pose


class _File(Settings):
    poses: tuple[Pose, ...] = Field(min_length=1, max_length=999)


def read(path: Path) -> tuple[Pose, ...]:
    """The poses of a camera file, each with its name.

    Raises:
        ConfigError: no such file, no JSON list, or a pose that cannot be; every problem is listed.
    """
    try:
        values: Any = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such camera file") from None
    except (OSError, ValueError, RecursionError) as error:  # too deep, or a number too long
        raise ConfigError(f"{path}: cannot be read as JSON: {error}") from None
    if not isinstance(values, list):
        raise ConfigError(f"{path}: must hold a list of poses, each with eye, target and fov")
    poses = named(validate(_File, {"poses": values}, where=str(path)).poses)
    found = problems(poses)
    if found:
        raise ConfigError("\n".join(f"{path}: {problem}" for problem in found))
    return poses


def named(poses: Sequence[Pose]) -> tuple[Pose, ...]:
    """``poses``, those without a name called by their number."""
    return tuple(
        pose if pose.name else pose.model_copy(update={"name": f"cam{number:02d}"})
        for number, pose in enumerate(poses)
    )


def problems(poses: Sequence[Pose]) -> list[str]:
    """What is wrong with named ``poses``, one line each."""
    found, seen = [], set()
    for number, pose in enumerate(poses):
        where = f"pose {number} ({pose.name})"
        if str(pose.name).lower() in seen:
            found.append(f"{where}: a pose before it has this name; give it another")
        seen.add(str(pose.name).lower())
        if math.dist(pose.eye, pose.target) < 1e-3:
            found.append(f"{where}: eye and target are the same place; move one of them")
        if pose.eye[2] <= 0:
            found.append(f"{where}: the eye's height must be > 0, the floor's, got {pose.eye[2]}")
    return found
