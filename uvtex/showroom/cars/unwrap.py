"""New UVs for a mesh, computed by xatlas."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from uvtex.errors import UvtexError
from uvtex.showroom.cars.mesh import Mesh
from uvtex.showroom.cars.mesh_files.mesh_file import Part

RESOLUTION = 1024
PADDING = 8
"""Gap between two charts in texels at RESOLUTION; two texels at 256."""


def unwrapped(mesh: Mesh) -> Mesh:
    """``mesh`` with UVs that do not overlap; vertices on new seams are duplicated.

    Raises:
        UvtexError: xatlas is not installed.
    """
    try:
        xatlas: Any = importlib.import_module("xatlas")
    except ImportError as error:
        raise UvtexError(
            f"--unwrap needs xatlas: {error}; pip install 'uvtex-sweep[showroom]'"
        ) from error
    atlas = xatlas.Atlas()
    atlas.add_mesh(
        mesh.position.astype(np.float32),
        mesh.faces.astype(np.uint32),
        mesh.normal.astype(np.float32),
    )
    options = xatlas.PackOptions()
    options.resolution, options.padding, options.bilinear = RESOLUTION, PADDING, True
    atlas.generate(pack_options=options)
    origin, faces, uv = atlas[0]
    origin = origin.astype(np.int64)
    return Mesh(
        mesh.position[origin],
        mesh.normal[origin],
        uv.astype(float).clip(0, 1),
        faces.astype(np.int64),
    )


def obj(parts: list[Part]) -> str:
    """``parts`` as the text of an OBJ file, for painting liveries for the new UVs."""
    lines, start = ["# Unwrapped by uvtex. x forward, z up, metres."], 1
    for part in parts:
        mesh = part.mesh
        lines.append(f"usemtl {part.material}")
        lines.extend("v {:.6f} {:.6f} {:.6f}".format(*row) for row in mesh.position.tolist())
        lines.extend("vt {:.7f} {:.7f}".format(*row) for row in mesh.uv.tolist())
        lines.extend("vn {:.5f} {:.5f} {:.5f}".format(*row) for row in mesh.normal.tolist())
        corners = (mesh.faces + start).tolist()
        lines.extend("f {0}/{0}/{0} {1}/{1}/{1} {2}/{2}/{2}".format(*row) for row in corners)
        start += len(mesh.position)
    return "\n".join(lines) + "\n"
