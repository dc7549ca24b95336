"""Small data sets made in code: flat panels seen by a few cameras, no path tracer needed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy import ndimage

from uvtex.data import manifest
from uvtex.imaging.compose import compose

GROUND = 60
"""Grey of the first camera's background. Each next one is 40 lighter, to identify its camera."""


def make_set(
    folder: Path,
    liveries: int = 6,
    cameras: int = 3,
    size: int = 32,
    seed: int = 0,
    shapes: bool = False,
) -> Path:
    """A data set with masks and exact UV maps: each camera sees a turned part of the atlas.

    Args:
        shapes: give each camera a disc of another size at another place. A camera can then be
            found on any background. Otherwise only the background identifies it.
    """
    rng = np.random.default_rng(seed)
    for name in ("views", "textures", "masks", "uv_maps"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    maps = [uv_map(camera, cameras, size) for camera in range(cameras)]
    for camera in range(cameras if shapes else 0):
        maps[camera][~_disc(camera, cameras, size)] = np.nan
    for camera, uv in enumerate(maps):
        np.savez(folder / f"uv_maps/{camera}.npz", uv=uv.astype(np.float32))
        mask = np.isfinite(uv[..., 0])
        Image.fromarray((mask * 255).astype(np.uint8)).save(folder / f"masks/{camera}.png")
    records = []
    for livery in range(liveries):
        texture = paint(rng, size)
        Image.fromarray(texture).save(folder / f"textures/{livery}.png")
        for camera, uv in enumerate(maps):
            view = f"views/{livery}_{camera}.png"
            Image.fromarray(shoot(texture, uv, GROUND + 40 * camera)).save(folder / view)
            records.append(
                manifest.Record(
                    view=view,
                    livery=f"livery{livery}",
                    texture=f"textures/{livery}.png",
                    mask=f"masks/{camera}.png",
                    uv_map=f"uv_maps/{camera}.npz",
                    camera=f"camera{camera}",
                )
            )
    manifest.write(folder, records)
    return folder


def _disc(camera: int, cameras: int, size: int) -> np.ndarray:
    """bool [size, size]: a disc that is smaller and further to the right for later cameras."""
    y, x = (np.mgrid[:size, :size] + 0.5) / size * 2 - 1
    late = camera / max(1, cameras - 1)
    shown: np.ndarray = (x + 0.2 - 0.4 * late) ** 2 + y**2 < (0.85 - 0.25 * late) ** 2
    return shown


def uv_map(camera: int, cameras: int, size: int) -> np.ndarray:
    """[size, size, 2]: a turned, shifted plane inside a disc, NaN outside."""
    y, x = (np.mgrid[:size, :size] + 0.5) / size * 2 - 1
    angle = 2 * np.pi * camera / cameras
    u = 0.5 + 0.45 * (np.cos(angle) * x - np.sin(angle) * y)
    v = 0.5 + 0.45 * (np.sin(angle) * x + np.cos(angle) * y)
    uv = np.stack([u, v], axis=2)
    uv[(x**2 + y**2 > 0.8) | (np.minimum(u, v) < 0) | (np.maximum(u, v) > 1)] = np.nan
    return uv


def paint(rng: np.random.Generator, size: int) -> np.ndarray:
    """uint8 [size, size, 3]: a base colour with a stripe and a block."""
    texture = np.empty((size, size, 3), np.uint8)
    texture[:] = rng.integers(30, 226, 3)
    at, wide = rng.integers(0, size // 2), rng.integers(3, size // 4)
    texture[:, at : at + wide] = rng.integers(0, 256, 3)
    row, column = rng.integers(0, size // 2, 2)
    texture[row : row + size // 3, column : column + size // 3] = rng.integers(0, 256, 3)
    return texture


def shoot(texture: np.ndarray, uv: np.ndarray, ground: int = 110) -> np.ndarray:
    """The texture through a UV map, on a grey ground; uint8 [h, w, 3]."""
    size = len(texture)
    seen = np.isfinite(uv[..., 0])
    u, v = np.nan_to_num(uv[..., 0]), np.nan_to_num(uv[..., 1])
    at = [(1 - v) * size - 0.5, u * size - 0.5]
    view = np.stack(
        [
            ndimage.map_coordinates(texture[..., c].astype(float), at, order=1, mode="nearest")
            for c in range(3)
        ],
        axis=2,
    )
    view[~seen] = ground
    return view.round().astype(np.uint8)


def make_showroom(
    folder: Path,
    liveries: int = 4,
    cameras: int = 3,
    size: int = 32,
    texels: int = 32,
    same: int = 0,
    chequered: bool = False,
) -> Path:
    """A data set of made-up plates, with views composed from them as in a build.

    Args:
        same: number of rows at the top of the atlas that are equal in all liveries.
        chequered: whether these rows are chequered, texel by texel.
    """
    rng = np.random.default_rng(0)
    for name in ("views", "textures", "masks", "uv_maps", "plates"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    paints = [paint(rng, texels) for _ in range(liveries)]
    for livery, texture in enumerate(paints):
        texture[:same] = paints[0][:same]
        if chequered:
            odd = np.indices((same, texels)).sum(axis=0) % 2 == 1
            texture[:same][odd] = (250, 40, 10)
            texture[:same][~odd] = (5, 20, 240)
        Image.fromarray(texture).save(folder / f"textures/{livery}.png")
    batch = torch.from_numpy(np.stack(paints)).permute(0, 3, 1, 2).float() / 255
    records = []
    for camera in range(cameras):
        plate = make_plate(rng, folder, camera, cameras, size)
        views = (compose(batch, *plate) * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
        for livery, view in enumerate(views.numpy()):
            Image.fromarray(view).save(folder / f"views/{livery}_{camera}.png")
            records.append(
                manifest.Record(
                    view=f"views/{livery}_{camera}.png",
                    livery=f"livery{livery}",
                    texture=f"textures/{livery}.png",
                    mask=f"masks/{camera}.png",
                    uv_map=f"uv_maps/{camera}.npz",
                    plate=f"plates/{camera}.npz",
                )
            )
    manifest.write(folder, records)
    return folder


def make_plate(
    rng: np.random.Generator, folder: Path, camera: int, cameras: int, size: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Writes a camera's mask, UV map of 2 x 2 samples a pixel and plate; returns uv and light."""
    uv = uv_map(camera, cameras, 2 * size).astype(np.float32)
    share = np.isfinite(uv[..., 0]).reshape(size, 2, size, 2).mean((1, 3))
    falling, reflected = (rng.uniform(0, top, (size, size, 3)) for top in (0.8, 0.2))
    falling = (falling * (share > 0)[..., None]).astype(np.float16)
    reflected = reflected.astype(np.float16)
    Image.fromarray((share * 255).round().astype(np.uint8)).save(folder / f"masks/{camera}.png")
    np.savez(folder / f"uv_maps/{camera}.npz", uv=uv)
    np.savez(folder / f"plates/{camera}.npz", falling=falling, reflected=reflected)
    lights = (torch.from_numpy(light).float() for light in (falling, reflected))
    return torch.from_numpy(uv), *lights
