"""Sources of imports: a table of pictures, and a folder of an earlier script."""

import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tests.sets import paint, shoot, uv_map
from uvtex.intake import importer

SIZE = 32


def picture(path: Path, seed: int = 0, camera: int = 0) -> Path:
    """A view of a made-up livery."""
    path.parent.mkdir(parents=True, exist_ok=True)
    texture = paint(np.random.default_rng(seed), SIZE)
    Image.fromarray(shoot(texture, uv_map(camera, 3, SIZE))).save(path)
    return path


def texture(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(paint(np.random.default_rng(seed), SIZE)).save(path)
    return path


def png16(path: Path, values: np.ndarray, colour_type: int) -> Path:
    """A 16-bit PNG, uint16 [H, W, C], which Pillow cannot write itself."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    height, width = values.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
    return path


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def reasons(report: importer.ImportReport) -> str:
    return "\n".join(f"{item.where}: {item.reason}" for item in report.unusable)


def table_of(folder: Path) -> Path:
    """A CSV of two liveries with two views each, in ``folder``."""
    lines = ["view,livery,texture"]
    for livery in range(2):
        texture(folder / f"tex/{livery}.png", livery)
        for camera in range(2):
            picture(folder / f"{livery}_{camera}.png", livery, camera)
            lines.append(f"{livery}_{camera}.png,car {livery},tex/{livery}.png")
    (folder / "pairs.csv").write_text("\n".join(lines))
    return folder / "pairs.csv"


def old_folder(folder: Path) -> Path:
    """An earlier script's folder: red has its texture, blue only augmented ones."""
    texture(folder / "uv/red.png", 1)
    records = []
    steps = [["perspective"], ["noise", "hsv_jitter"], ["affine", "noise"]]
    for livery, seed in (("red", 1), ("blue", 2)):
        for n, transforms in enumerate(steps):
            picture(folder / f"views/{livery}_view_{n}.png", seed * 10 + n, n)
            texture(folder / f"aug/{livery}_uv_{n}.png", seed * 10 + n)
            records.append(record(livery, n, transforms))
    (folder / "metadata.json").write_text(json.dumps(records))
    return folder


def record(livery: str, n: int, transforms: Any) -> dict[str, Any]:
    return {
        "source_uv": f"C:\\Users\\ada\\cars\\{livery}.png",
        "source_view": f"C:\\Users\\ada\\cars\\{livery}_front.png",
        "uv_aug": f"C:\\Users\\ada\\out\\{livery}_uv_{n}.png",
        "view_aug": f"C:\\Users\\ada\\out\\{livery}_view_{n}.png",
        "seed": n,
        "transforms": transforms,
    }


def rewrite(folder: Path, change: Callable[[list[dict[str, Any]]], None]) -> None:
    path = folder / "metadata.json"
    records = json.loads(path.read_text())
    change(records)
    path.write_text(json.dumps(records))
