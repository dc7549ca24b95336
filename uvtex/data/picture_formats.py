"""The formats of picture files: which are looked for in folders, and what the others are called."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from importlib import import_module
from pathlib import Path

from PIL import ImageFile

HEIC = (".heic", ".heif", ".hif")
SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".avif", ".tga", ".bmp", ".tif", ".tiff"),
    *(".gif", ".jp2"),
)
"""Endings, in lower case, of the pictures that a folder is searched for.

Files of layers (PSD) and of games (DDS) often lie beside a picture of the same name, their export
or source. They are read if they are named one by one.
"""
NAMED = 6
"""Most files that are listed by name."""
_SYSTEM = ("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r")
_SAVE = "save it as PNG or JPEG"
_TONE_MAP = "tone-map it, and save it as PNG"
_DEVELOP = "develop it, and save it as JPEG, PNG or TIFF"
_READ_HEIC = "install pi-heif (pip install pi-heif), or save HEIC as JPEG or PNG"
_HEIC_BRANDS = frozenset((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1"))
_AVIF_BRANDS = frozenset((b"avif", b"avis"))
_RAW_SUFFIXES = tuple(
    ".dng .cr2 .cr3 .crw .nef .nrw .arw .srf .sr2 .orf .rw2 .raf .pef .srw .x3f .raw .rwl .iiq "
    ".3fr .erf .mrw .dcr .kdc .gpr".split()
)
_DNG_VERSION, _SUBFILE_TYPE, _SUB_IFDS = 50706, 254, 330  # tags of TIFF
_MAGIC: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"version https://git-lfs", "a Git LFS pointer, no picture", "run `git lfs pull`"),
    (40, b" EMF", "an EMF drawing", _SAVE),
    (0, b"%PDF", "a PDF", "save its page as PNG"),
    (0, b"\xff\x0a", "a JPEG XL picture", _SAVE),
    (4, b"JXL \r\n", "a JPEG XL picture", _SAVE),
    (0, b"\x76\x2f\x31\x01", "an OpenEXR picture, which has no fixed white", _TONE_MAP),
    (0, b"#?R", "a Radiance HDR picture, which has no fixed white", _TONE_MAP),
    (0, b"FUJIFILMCCD-RAW", "a camera's raw file (RAF)", _DEVELOP),
    (0, b"IIRO", "a camera's raw file (ORF)", _DEVELOP),
    (0, b"IIRS", "a camera's raw file (ORF)", _DEVELOP),
    (0, b"MMOR", "a camera's raw file (ORF)", _DEVELOP),
    (0, b"IIU\0", "a camera's raw file (RW2)", _DEVELOP),
    (0, b"FOVb", "a camera's raw file (X3F)", _DEVELOP),
    (0, b"\0MRM", "a camera's raw file (MRW)", _DEVELOP),
    (0, b"8BPS\0\x02", "a large Photoshop document (PSB)", _SAVE),
    (0, b"gimp xcf", "a GIMP document", "export it as PNG"),
    (0, b"CSFCHUNK", "a Clip Studio document", "export it as PNG"),
    (0, b"PDN3", "a Paint.NET document", "save it as PNG"),
    (0, b"BLENDER", "a Blender file", "give a picture"),
    (0, b"glTF", "a 3D model (GLB)", "give a picture"),
    (0, b"\xabKTX ", "a KTX texture", _SAVE),
    (0, b"VTF\0", "a Valve texture", _SAVE),
    (0, b"PK\x03\x04", "a ZIP archive or a document of that form", "unpack it, or export a PNG"),
    (0, b"Rar!", "a RAR archive", "unpack it"),
    (0, b"7z\xbc\xaf", "a 7z archive", "unpack it"),
    (0, b"\x1f\x8b", "a gzip archive", "unpack it"),
    (0, b"\0\x05\x16\x07", "a macOS companion file (AppleDouble)", "give the picture beside it"),
    (0, b"\x89PNG", "a damaged PNG", "copy or save it again"),
    (0, b"\xff\xd8\xff", "a damaged JPEG", "copy or save it again"),
    (0, b"GIF8", "a damaged GIF", "copy or save it again"),
    (8, b"WEBP", "a damaged WebP", "copy or save it again"),
    *(
        (0, start, "a TIFF that is damaged or has unusual pixels", "save it with 8 or 16 bits RGB")
        for start in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
    ),
)
"""Position and bytes that a file of the kind holds there, its name, and what to do with it."""
_PROGRAMS = {
    "EPS": ("an EPS drawing", _SAVE),
    "WMF": ("a WMF or EMF drawing", _SAVE),
    "MPEG": ("a video", "save one of its frames as PNG"),
    **dict.fromkeys(("BUFR", "GRIB", "HDF5"), ("scientific data", _SAVE)),
}
"""Formats that Pillow opens but cannot decode, or decodes by running another program."""


def refusal(file: ImageFile.ImageFile) -> str | None:
    """Why an opened file is not read: what it is, and what to do. None: it is read."""
    if file.format in _PROGRAMS:
        return _unread(*_PROGRAMS[file.format])
    if file.format != "TIFF":
        return None
    tags = getattr(file, "tag_v2", {})
    kind = tags.get(_SUBFILE_TYPE, 0)
    thumbnail = isinstance(kind, int) and bool(kind & 1) and _SUB_IFDS in tags
    # Raw files are TIFFs whose first page is a small preview. It must not pass for the photo.
    suffix = Path(str(file.filename)).suffix.lower()
    if _DNG_VERSION in tags or thumbnail or suffix in _RAW_SUFFIXES or _is_cr2(file):
        return _unread("a camera's raw file", _DEVELOP)
    return None


def _is_cr2(file: ImageFile.ImageFile) -> bool:
    if (stream := file.fp) is None:
        return False
    before = stream.tell()
    stream.seek(8)
    mark = stream.read(2)
    stream.seek(before)
    return mark == b"CR"


def unidentified(path: Path) -> str:
    """What a file is that Pillow does not know, and what to do with it."""
    with path.open("rb") as file:
        head = file.read(1024)
    if not head:
        return "the file is empty"
    if not head.strip(b"\0"):
        return "the file holds only zero bytes; copy it again"
    if brands := _brands(head):
        return _unread(*_media(brands))
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<!doctype html", b"<html", b"<head", b"<body")) or b"<html" in text:
        return _unread("an HTML page", "download the picture itself")
    if text.startswith(b"<?xml") and b"<svg" not in text:
        return _unread("an XML text", "download the picture itself")
    if text.startswith(b"<") and b"<svg" in text:
        return _unread("an SVG drawing", "export it as PNG")
    for at, magic, what, advice in _MAGIC:
        if head[at : at + len(magic)] == magic:
            return _unread(what, advice)
    if path.suffix.lower() in _RAW_SUFFIXES:
        return _unread("a camera's raw file", _DEVELOP)
    return f"no known picture format; {_SAVE}"


def _unread(what: str, advice: str) -> str:
    return f"it is {what}; {advice}"


def _brands(head: bytes) -> set[bytes]:
    """The brands of an ISO media file by its first bytes; empty for other files."""
    if head[4:8] != b"ftyp":
        return set()
    size = max(16, min(int.from_bytes(head[:4], "big"), len(head)))
    return {head[8:12], *(head[at : at + 4] for at in range(16, size, 4))}


def _media(brands: set[bytes]) -> tuple[str, str]:
    """Name and advice of an ISO media file."""
    if brands & _AVIF_BRANDS:
        return "an AVIF that is damaged or of an unusual kind", _SAVE
    if brands & _HEIC_BRANDS:
        return (
            ("a damaged HEIC", "copy it again") if enable_heic() else ("a HEIC picture", _READ_HEIC)
        )
    if b"crx " in brands:
        return "a camera's raw file (CR3)", _DEVELOP
    return "a video", "save one of its frames as PNG"


@lru_cache(maxsize=1)
def enable_heic() -> bool:
    """Lets Pillow read HEIC by the optional package pi-heif; False where it is not installed.

    pi-heif and not pillow-heif, whose wheels hold an encoder under the GPL.
    """
    for name in ("pi_heif", "pillow_heif"):
        try:
            import_module(name).register_heif_opener()
        except ImportError:
            continue
        return True
    return False


def learned(path: Path) -> bool:
    """Whether the file at ``path`` is of a format that Pillow can read from now on."""
    with path.open("rb") as file:
        brands = _brands(file.read(64))
    return bool(brands & _HEIC_BRANDS) and not brands & _AVIF_BRANDS and enable_heic()


def is_picture(path: Path) -> bool:
    """Whether people see a picture in ``path``, by its name; it may be one that is not read."""
    return not _is_system(path) and path.suffix.lower() in (*SUFFIXES, *HEIC)


def _is_system(path: Path) -> bool:
    return path.name.startswith(".") or path.name.lower() in _SYSTEM


def search(folder: Path) -> tuple[list[Path], list[Path]]:
    """The pictures in ``folder`` by their endings, and the files that are none; both sorted.

    Hidden files and those that file managers leave behind are in neither list.

    Raises:
        OSError: the folder cannot be read.
    """
    known = (*SUFFIXES, *HEIC) if enable_heic() else SUFFIXES
    pictures: list[Path] = []
    others: list[Path] = []
    for path in sorted(folder.iterdir()):
        if _is_system(path) or not path.is_file():
            continue
        (pictures if path.suffix.lower() in known else others).append(path)
    return pictures, others


def order(path: Path) -> int:
    """Which of several pictures of one name is taken: the one whose ending is known first."""
    return (*SUFFIXES, *HEIC).index(path.suffix.lower())


def skipped(files: Sequence[Path]) -> str:
    """A sentence that names the files that a folder was searched for in vain; empty for none."""
    if not files:
        return ""
    names = ", ".join(path.name for path in files[:NAMED])
    more = f" and {len(files) - NAMED} more" if len(files) > NAMED else ""
    plural = "s" * (len(files) > 1)
    heic = any(path.suffix.lower() in HEIC for path in files)
    return f"{len(files)} file{plural} skipped: {names}{more}" + (
        f"; to read HEIC, {_READ_HEIC}" if heic else ""
    )
