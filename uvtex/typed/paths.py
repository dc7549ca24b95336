"""Paths that people type: on a command line, in a settings file, in a table."""

from __future__ import annotations

import errno
import os
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

_VARIABLE = re.compile(r"\$(\w+)|\$\{(\w+)\}|%(\w+)%")
_QUOTES = (("'", "'"), ('"', '"'), ("\u201c", "\u201d"), ("\u2018", "\u2019"), ("<", ">"))
_LONGEST_SHOWN = 120


def shown(path: str) -> str:
    """A path for a message. Control characters are escaped. A long path loses its middle."""
    text = path if path.isprintable() else ascii(path)[1:-1]
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:80]}...{text[-20:]}"


def typed(text: str) -> Path:
    """The path that a person means by ``text``.

    ``~`` is the home folder, and a ``file://`` URL is its path. Where nothing has the path as it
    was typed, quotes and blanks around it and the way its accents are encoded do not matter.
    Environment variables are not replaced: the shell does that on a command line.

    Raises:
        ValueError: no file can have this path. The message says why, and does not name it.
    """
    if not text.strip():
        raise ValueError("the path is empty")
    if "\0" in text:
        raise ValueError("a path cannot hold a NUL character")
    forms = list(_forms(text))
    found = next((form for form in forms if _exists(form)), None)
    if found is not None:
        return Path(found)
    if variable := _variable(text):
        raise ValueError(
            f"environment variables such as {variable} are not replaced in a path; write the path "
            "in full, or with ~ for your home folder"
        )
    return Path(_plain(text.strip()))


def beside(path: Path, folder: Path) -> Path:
    """``path`` in ``folder``, the settings file's, if it is there; else ``path`` itself.

    A relative path in a settings file thus counts from that file, or from the folder that the
    command runs in.
    """
    there = folder / path
    return there if not path.is_absolute() and os.path.lexists(there) else path


def table_forms(text: str) -> Iterator[str]:
    """The ways to read a cell of a table as a path, the likeliest first."""
    for form in _forms(text):
        yield form
        yield form.replace("\\", "/")
        yield unquote(form)
        yield unquote(form.replace("\\", "/"))


def _variable(text: str) -> str | None:
    """The first of the environment's variables that ``text`` names, as it is written there."""
    for match in _VARIABLE.finditer(text):
        if next(name for name in match.groups() if name) in os.environ:
            return match.group()
    return None


def _forms(text: str) -> Iterator[str]:
    for candidate in dict.fromkeys((text, text.strip(), _unquoted(text.strip()))):
        path = _plain(candidate)
        yield from dict.fromkeys(
            (path, *(unicodedata.normalize(form, path) for form in ("NFC", "NFD")))
        )


def _unquoted(text: str) -> str:
    for left, right in _QUOTES:
        if len(text) > 2 and text.startswith(left) and text.endswith(right):
            return text[1:-1].strip()
    return text


def _plain(text: str) -> str:
    """``text`` with its URL or its ``~`` resolved."""
    if text[:7].lower() == "file://":
        url = urlsplit(text.replace("#", "%23").replace("?", "%3F"))
        if url.netloc.lower() not in ("", "localhost"):
            raise ValueError(f"the URL names a file of another machine, {url.netloc!r}")
        return url2pathname(url.path)
    return os.path.expanduser(text) if text.startswith("~") else text


def _exists(path: str) -> bool:
    try:
        os.lstat(path)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise ValueError(f"the path is too long: {len(path)} characters") from None
        return False
    return True


def why_missing(text: str, folder: Path = Path()) -> str:
    """What may be wrong with the path ``text``, which ``folder`` lacks: "; did you mean 'x'?".

    Empty where nothing is known.
    """
    path = folder / text
    if path.exists():
        return ""
    if path.is_symlink():
        return f"; it is a link to {os.readlink(path)!r}, which is not there"
    if "://" in text:
        return "; it is a URL: fetch the file, and give its path"
    if variable := _variable(text):
        return f"; environment variables such as {variable} are not replaced"
    near = _by_ignoring_case(text, folder)
    if near is not None:
        return f"; did you mean {near!r}? Upper and lower case differ"
    windows = PureWindowsPath(text)
    if os.name != "nt" and (windows.drive or text.startswith("\\\\")):
        return "; it is a path of a Windows machine"
    if not Path(text).is_absolute() and folder != Path() and os.path.exists(text):
        return f"; the working folder has it, but a relative path counts from {folder}"
    return ""


def _by_ignoring_case(text: str, folder: Path) -> str | None:
    """The path in ``folder`` that differs from ``text`` only in case or in encoded accents."""
    path = Path(text.replace("\\", "/")) if os.name != "nt" else Path(text)
    here = Path(path.anchor) if path.is_absolute() else folder
    found = Path(path.anchor) if path.is_absolute() else Path()
    for part in path.parts[1:] if path.is_absolute() else path.parts:
        if not os.path.lexists(here / part):
            try:
                names = os.listdir(here)
            except OSError:
                return None
            part = next((name for name in sorted(names) if _folded(name) == _folded(part)), "")
            if not part:
                return None
        here, found = here / part, found / part
    return str(found)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
