"""What a picture's numbers mean as colours, and their conversion to sRGB.

A picture says it by an ICC profile, by the chunks of a PNG, by the code points of a PNG or an AVIF,
or by its EXIF data. A picture that says nothing is sRGB. What cannot be converted is named.
"""

from __future__ import annotations

import io
import re
import struct
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
from PIL import Image, ImageCms, ImageFile

from uvtex.data.colour.icc import (
    ADOBE_RGB,
    CODED_PRIMARIES,
    CODED_TRANSFERS,
    SRGB,
    Primaries,
    rgb_profile,
)

GREY_MODES = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N")
INTENT = ImageCms.Intent.RELATIVE_COLORIMETRIC
"""Relative colorimetric: a colour that sRGB has stays that colour.

The perceptual intent would move all colours, by the taste of the profile's maker, so that the paint
of one car would differ between two cameras.
"""
FLAGS = ImageCms.Flags.BLACKPOINTCOMPENSATION
"""With black point compensation, the darkest ink of a print becomes black, as its viewers see it.
Otherwise dark detail would lie at one end of the scale."""
UNCHANGED = 1
"""In levels of 255. A profile that changes no colour by more is sRGB: the writers of sRGB profiles
round its curve in different ways. Its pictures keep their numbers."""
HDR = {16: "PQ", 18: "HLG"}
"""Transfer characteristics of HDR pictures (ITU-T H.273)."""
HEAD = 1 << 16
"""Bytes at the start of a file in which the boxes about its colours are looked for."""
WITHOUT_PROFILE = "CMYK without a profile, converted by a formula"
_EXIF, _INTEROP, _COLOUR_SPACE = 0x8769, 0xA005, 0xA001
_KIND_NAMES = {"GRAY": "grey", "RGB": "RGB", "CMYK": "CMYK"}


@dataclass(frozen=True)
class Colours:
    """How a picture's numbers become sRGB."""

    transform: ImageCms.ImageCmsTransform | None = None
    """None: the numbers are sRGB, or are read as if they were."""
    mode: str = "RGB"
    """Pillow's mode of the pictures that ``transform`` takes."""
    deep: ImageCms.ImageCmsTransform | None = None
    """The same for grey pictures with 16 bits, mode ``I;16``."""
    notes: tuple[str, ...] = ()
    """Short clauses for people: what was converted, or was not."""
    faults: tuple[str, ...] = ()
    """Those of the ``notes`` after which the colours may be wrong."""


PLAIN = Colours()


def colours_of(file: ImageFile.ImageFile) -> Colours:
    """What the colours of an opened picture are. Call it before the pixels are decoded."""
    if file.mode == "LAB":
        return _lab()
    kind = "GRAY" if file.mode in GREY_MODES else "CMYK" if file.mode == "CMYK" else "RGB"
    if file.format == "PNG" and (code := _png_code(file)) is not None:
        return _by_code(code, kind)  # it overrules a profile (PNG, third edition, 4.3)
    if "icc_profile" in file.info:
        return _by_profile(file.info["icc_profile"] or b"", kind)
    if file.format in ("BMP", "JPEG2000") and (profile := _unread_profile(file)) is not None:
        return _by_profile(profile, kind)
    if file.format in ("AVIF", "HEIF") and (code := _box_code(file)) is not None:
        return _by_code(code, kind)
    if file.format == "PNG" and "srgb" not in file.info:
        gamma, points = file.info.get("gamma"), file.info.get("chromaticity")
        if gamma is not None or points is not None:
            return _by_chunks(gamma, points, kind)
    if kind == "CMYK":
        return _faulty(WITHOUT_PROFILE)
    return _by_exif(file, kind)


def to_srgb(picture: Image.Image, colours: Colours) -> Image.Image:
    """``picture`` as sRGB: itself, or a picture of mode RGB or RGBA. Transparency is unchanged."""
    if colours.transform is None:
        return picture
    if colours.deep is not None and picture.mode == "I;16":
        return _applied(picture, colours.deep)
    alpha = None
    if picture.has_transparency_data and picture.mode not in ("CMYK", "LAB"):
        picture = picture.convert("RGBA")
        alpha = picture.getchannel("A")
        picture = picture.getchannel("R") if colours.mode == "L" else picture
    converted = _applied(picture.convert(colours.mode), colours.transform)
    if alpha is not None:
        converted.putalpha(alpha)
    return converted


def _applied(picture: Image.Image, transform: ImageCms.ImageCmsTransform) -> Image.Image:
    converted = ImageCms.applyTransform(picture, transform)
    if converted is None:  # only for a change in place
        raise ValueError("the colours cannot be converted")
    return converted


def _faulty(*faults: str) -> Colours:
    return Colours(notes=faults, faults=faults)


@lru_cache(maxsize=32)
def _by_profile(data: bytes, kind: str, name: str | None = None) -> Colours:
    """The colours that an ICC profile gives to a picture of ``kind`` (an ICC colour space).

    Args:
        name: what the note calls the source of the colours; None: the profile by its own name.
    """
    rest = (WITHOUT_PROFILE,) if kind == "CMYK" else ()
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(data))
        space = profile.profile.xcolor_space.strip()
        source = name or f"{_name(profile)} profile"
        # Many programs save a grey picture with the RGB profile that they work in.
        if space != kind and (kind, space) != ("GRAY", "RGB"):
            belongs = _KIND_NAMES.get(space, space)
            return _faulty(
                f"{source} is for {belongs}, not for {_KIND_NAMES[kind]}, ignored", *rest
            )
        mode = "L" if space == "GRAY" else space
        transform = _transform(profile, mode)
        deep = _transform(profile, "I;16") if mode == "L" else None
        changes = mode == "CMYK" or _change(transform, mode) > UNCHANGED
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError, AttributeError):
        return _faulty("damaged colour profile, ignored", *rest)
    if not changes:
        return PLAIN
    return Colours(transform, mode, deep, (f"{source}, converted to sRGB",))


def _transform(profile: ImageCms.ImageCmsProfile, mode: str) -> ImageCms.ImageCmsTransform:
    if profile.profile.device_class not in ("mntr", "scnr", "prtr", "spac"):
        raise ValueError("a device link, an abstract profile or a list of named colours")
    return ImageCms.buildTransform(
        profile, ImageCms.createProfile("sRGB"), mode, "RGB", INTENT, FLAGS
    )


def _change(transform: ImageCms.ImageCmsTransform, mode: str) -> int:
    """The largest change of a colour, in levels of 255."""
    if mode == "L":
        grid = np.repeat(np.arange(256, dtype=np.uint8)[None], 3, axis=0).T
        probe = Image.fromarray(np.ascontiguousarray(grid[:, :1]))
    else:
        grid = np.array(list(product(range(0, 256, 15), repeat=3)), np.uint8)
        probe = Image.fromarray(grid[None])
    after = np.asarray(_applied(probe, transform), np.int16).reshape(-1, 3)
    return int(np.abs(after - grid).max())


def _name(profile: ImageCms.ImageCmsProfile) -> str:
    name = re.sub(r"[^\w .,()/+*#:&'-]+", " ", ImageCms.getProfileDescription(profile) or "")
    return " ".join(name.split())[:60] or "unnamed"


@lru_cache(maxsize=1)
def _lab() -> Colours:
    transform = ImageCms.buildTransform(
        ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB", INTENT, FLAGS
    )
    return Colours(transform, "LAB", notes=("LAB, converted to sRGB",))


@lru_cache(maxsize=32)
def _by_chunks(gamma: float | None, points: tuple[float, ...] | None, kind: str) -> Colours:
    """The colours of a PNG with a gAMA or a cHRM chunk and without an sRGB chunk.

    Args:
        gamma: as in the chunk, 1/2.2 for most.
        points: x and y of white, red, green and blue.
    """
    chunks = " and ".join(
        name for name, value in (("gAMA", gamma), ("cHRM", points)) if value is not None
    )
    pairs = None if points is None else list(zip(points[::2], points[1::2], strict=True))
    primaries = SRGB if pairs is None else Primaries(*pairs)
    usual_gamma = gamma is None or abs(gamma - 1 / 2.2) < 0.003  # sRGB's own chunk says 0.45455
    if usual_gamma and (kind == "GRAY" or primaries.near(SRGB)):
        return PLAIN
    try:
        profile = rgb_profile(primaries, None if gamma is None else 1 / gamma)
    except (ValueError, ZeroDivisionError):
        return _faulty(f"damaged {chunks} chunk, ignored")
    return _by_profile(profile, kind, f"colours by its {chunks} chunk{'s' * (' ' in chunks)}")


def _by_exif(file: ImageFile.ImageFile, kind: str) -> Colours:
    """The colours of a picture without a profile. Cameras note Adobe RGB in the EXIF data alone."""
    space, interop = _exif_space(file)
    if space == 2 or interop.startswith("R03"):
        return _by_profile(rgb_profile(*ADOBE_RGB), kind, "Adobe RGB by its EXIF data")
    if space == 0xFFFF:
        return _faulty("not sRGB by its EXIF data, and without a profile: read as sRGB")
    return PLAIN


def _exif_space(file: ImageFile.ImageFile) -> tuple[Any, str]:
    try:
        exif = file.getexif()
        if not exif or not (details := exif.get_ifd(_EXIF)):
            return None, ""
        interop = exif.get_ifd(_INTEROP).get(1, "") if _INTEROP in details else ""
    except Exception:  # Pillow's EXIF reader raises nearly anything on broken data
        return None, ""
    return details.get(_COLOUR_SPACE), interop if isinstance(interop, str) else ""


@lru_cache(maxsize=32)
def _by_code(code: tuple[int, int], kind: str) -> Colours:
    """The colours of ``code``: colour primaries and transfer characteristics of ITU-T H.273."""
    primaries, transfer = code
    if transfer in HDR:
        return _faulty(f"HDR colours ({HDR[transfer]}), read as if they were sRGB")
    if primaries not in CODED_PRIMARIES or transfer not in CODED_TRANSFERS:
        return _faulty(f"colours of code {primaries}/{transfer} (H.273), read as sRGB")
    name, points = CODED_PRIMARIES[primaries]
    profile = rgb_profile(points, CODED_TRANSFERS[transfer])
    return _by_profile(profile, kind, f"{name} by its colour code")


def _png_code(file: ImageFile.ImageFile) -> tuple[int, int] | None:
    """The code points of a PNG's cICP chunk, which Pillow does not read."""
    stream = file.fp
    if stream is None:
        return None
    before, at, found = stream.tell(), 8, None
    while True:
        stream.seek(at)
        head = stream.read(12)
        if len(head) < 12 or head[4:8] in (b"IDAT", b"IEND"):
            break
        if head[4:8] == b"cICP":
            found = (head[8], head[9])
            break
        at += 12 + int.from_bytes(head[:4], "big")
    stream.seek(before)
    return found


def _box_code(file: ImageFile.ImageFile) -> tuple[int, int] | None:
    """The code points of the first ``colr`` box of an AVIF or HEIC file."""
    head = _head(file)
    at = head.find(b"colrnclx")
    if at < 0 or at + 12 > len(head):
        return None
    return struct.unpack_from(">HH", head, at + 8)


def _unread_profile(file: ImageFile.ImageFile) -> bytes | None:
    """The ICC profile of a BMP or a JPEG 2000, which Pillow does not read."""
    head = _head(file)
    if file.format == "BMP":
        if len(head) < 138 or head[14:18] != b"\x7c\0\0\0" or head[70:74] != b"DEBM":
            return None
        at, size = struct.unpack_from("<II", head, 126)
        with open(file.filename, "rb") as stream:
            stream.seek(14 + at)
            return stream.read(size)
    at = head.find(b"colr\x02")
    return None if at < 4 else head[at + 7 : at - 4 + int.from_bytes(head[at - 4 : at], "big")]


def _head(file: ImageFile.ImageFile) -> bytes:
    with open(file.filename, "rb") as stream:
        return stream.read(HEAD)
