"""Files as people's devices and programs write them."""

from __future__ import annotations

import base64
import struct
from pathlib import Path

import pytest
from PIL import Image

from uvtex.data import pictures
from uvtex.errors import DataError

GREEN, GREY, RED = (30, 160, 60), (150, 150, 150), (220, 40, 30)
HEIC = base64.b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAaptZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAA"
    "AAAAAAAAADRpbG9jAAAAAERAAAIAAQAAAAABzgABAAAAAAAAAGAAAgAAAAACLgABAAAAAAAAACQAAAA4aWluZgAAAAAA"
    "AgAAABVpbmZlAgAAAAABAABodmMxAAAAABVpbmZlAgAAAQACAABFeGlmAAAAAA5waXRtAAAAAAABAAAA6WlwcnAAAADK"
    "aXBjbwAAAHZodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQAq"
    "QgEBA3AAAAMAkAAAAwAAAwAeoCCBBZbq5Ka5uAhoMCAAAAMDIAAAAwAhYgABAAZEAcFzwIkAAAAUaXNwZQAAAAAAAABA"
    "AAAAQAAAAChjbGFwAAAAQAAAAAEAAAAgAAAAAQAAAAAAAAAC////4AAAAAIAAAAQcGl4aQAAAAADCAgIAAAAF2lwbWEA"
    "AAAAAAAAAQABBIECBIMAAAAaaXJlZgAAAAAAAAAOY2RzYwACAAEAAQAAAIxtZGF0AAAAXCgBrxOA9SeBP/+lVH/7ker/"
    "z7STEq3y/ZI+ejYvyuueJJThIjhdEvi5UZdqLM4kZPqFKUNU+RV3dodFKOvKNIN5ISr5qBBTIGJLNrYss0QGJSg/RAY7"
    "Bo2P0vaAAAAABkV4aWYAAE1NACoAAAAIAAEBEgADAAAAAQAGAAAAAAAA"
)
"""64 x 32 pixels, the left half GREEN and the right half GREY. Its EXIF orientation, 6, does not
count: in HEIC a rotation is a property of the picture."""


def scene(width: int = 48, height: int = 32) -> Image.Image:
    """Green above red at the left, grey at the right: no two of its corners are alike."""
    picture = Image.new("RGB", (width, height), GREY)
    picture.paste(GREEN, (0, 0, width // 2, height // 2))
    picture.paste(RED, (0, height // 2, width // 2, height))
    picture.paste((20, 30, 200), (width // 2, height // 2, width, height))
    return picture


def facts(path: Path) -> pictures.Facts:
    return pictures.describe(path)


def refused(path: Path) -> str:
    with pytest.raises(DataError) as caught:
        pictures.read_rgb(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    with pytest.raises(DataError):
        pictures.describe(path)
    return message


def media(brand: bytes) -> bytes:
    return struct.pack(">I", 24) + b"ftyp" + brand + bytes(4) + b"isom" + brand + bytes(99)


OTHERS: dict[str, tuple[bytes, str]] = {
    "empty.jpg": (b"", "the file is empty"),
    "zeros.jpg": (bytes(5000), "only zero bytes"),
    "page.jpg": (b"\n<!DOCTYPE html>\n<html><body>404</body></html>", "an HTML page"),
    "denied.png": (b'<?xml version="1.0"?><Error>AccessDenied</Error>', "an XML text"),
    "lfs.png": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
    "x.svg": (b'<?xml version="1.0"?>\n<!-- x -->\n<svg xmlns="x"/>', "an SVG drawing"),
    "plain.svg": (b"<svg/>", "an SVG drawing"),
    "x.pdf": (b"%PDF-1.7\n", "a PDF"),
    "x.eps": (
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        "an EPS drawing",
    ),
    "x.jxl": (b"\xff\x0a" + bytes(90), "JPEG XL"),
    "boxed.jxl": (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(90), "JPEG XL"),
    "x.exr": (b"\x76\x2f\x31\x01" + bytes(90), "OpenEXR"),
    "x.hdr": (b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n", "Radiance HDR"),
    "IMG_1.MOV": (media(b"qt  "), "a video"),
    "IMG_1.mp4": (media(b"mp42"), "a video"),
    "IMG_1.CR3": (media(b"crx "), "raw file (CR3)"),
    "DSC.RAF": (b"FUJIFILMCCD-RAW 0201", "raw file (RAF)"),
    "x.orf": (b"IIRO" + bytes(90), "raw file (ORF)"),
    "x.rw2": (b"IIU\0" + bytes(90), "raw file (RW2)"),
    "x.x3f": (b"FOVb" + bytes(90), "raw file (X3F)"),
    "x.xcf": (b"gimp xcf v011", "a GIMP document"),
    "x.psb": (b"8BPS\0\2" + bytes(90), "PSB"),
    "x.kra": (b"PK\3\4" + bytes(90), "a ZIP archive"),
    "._x.jpg": (b"\0\5\x16\7" + bytes(90), "AppleDouble"),
    "cut.png": (b"\x89PNG\r\n\x1a\n", "a damaged PNG"),
    "cut.jpg": (b"\xff\xd8\xff\xe0", "again"),
    "cut.gif": (b"GIF89a", "a damaged GIF"),
    "text.jpg": (b"hello", "no known picture format"),
}
