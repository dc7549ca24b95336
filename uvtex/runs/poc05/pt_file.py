"""Reads the ``.pt`` files of the original project without running code from them.

``torch.load(weights_only=True)`` accepts only names on an allow-list and imports nothing. This
module adds three kinds of names to the list. Paths of Windows and POSIX become pure paths, because
a ``WindowsPath`` cannot be made on another system. ``argparse.Namespace`` holds the settings. Numpy
scalars are rebuilt here, because numpy's own constructors can unpickle.
"""

from __future__ import annotations

import argparse
import struct
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from uvtex.errors import CheckpointError
from uvtex.typed.paths import why_missing

NETWORKS = ("uv", "renderer")


@dataclass(frozen=True)
class Original:
    """The content of a ``.pt`` file, as plain values."""

    networks: dict[str, dict[str, Tensor]]
    """``uv`` and ``renderer``: state dicts, on the CPU, in the file's order."""
    epoch: int
    metrics: dict[str, Any]
    weights: dict[str, Any]
    args: dict[str, Any]
    """The script's settings; paths as text with forward slashes."""


class _Dtype:
    """Replaces ``numpy.dtype``: the kind of number and its byte order."""

    order = "<"

    def __init__(self, kind: str, align: bool = False, copy: bool = True) -> None:
        self.kind = kind

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = ">" if state[1] == ">" else "<"


_STRUCT = {"f8": "d", "f4": "f", "f2": "e", "i8": "q", "i4": "i", "i2": "h", "i1": "b", "b1": "?"}


def _scalar(dtype: _Dtype, raw: bytes) -> float | int | bool:
    """Replaces ``numpy.core.multiarray.scalar``."""
    value: float | int | bool = struct.unpack(dtype.order + _STRUCT[dtype.kind], raw)[0]
    return value


# pathlib is one module up to Python 3.12 and names its classes otherwise in 3.13.
ALLOWED: list[Any] = [
    *(
        (pure, f"{module}.{name}")
        for module in ("pathlib", "pathlib._local")
        for pure, names in (
            (PureWindowsPath, ("WindowsPath", "PureWindowsPath")),
            (PurePosixPath, ("PosixPath", "PurePosixPath")),
        )
        for name in names
    ),
    (argparse.Namespace, "argparse.Namespace"),
    (_Dtype, "numpy.dtype"),
    (_scalar, "numpy.core.multiarray.scalar"),
    (_scalar, "numpy._core.multiarray.scalar"),
]


def read_original(path: Path) -> Original:
    """The networks, metrics and settings in ``path``.

    Raises:
        CheckpointError: the file is missing, damaged, not of this kind, or asks for more than
            weights and settings. No code from it has run.
    """
    content = _load(path)
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path}: holds a {type(content).__name__}; {_expected()}")
    missing = [name for name in NETWORKS if not isinstance(content.get(name), Mapping)]
    if missing:
        keys = ", ".join(sorted(map(str, content))) or "nothing"
        raise CheckpointError(
            f"{path}: has no state dict {' and '.join(missing)}, but {keys}; {_expected()}"
        )
    networks = {name: _tensors(path, name, content[name]) for name in NETWORKS}
    try:
        epoch = _plain(content.get("epoch"))
        records = [_mapping(content.get(key)) for key in ("metrics", "weights", "args")]
    except RecursionError:
        raise CheckpointError(f"{path}: its settings hold themselves; {_expected()}") from None
    return Original(networks, epoch if isinstance(epoch, int) else 0, *records)


def _expected() -> str:
    return "the original's files hold `uv`, `renderer`, `metrics`, `weights`, `epoch` and `args`"


def _load(path: Path) -> Any:
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file{why_missing(str(path))}")
    with torch.serialization.safe_globals(ALLOWED), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pickle protocols: what can't be read is an error below
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except Exception as error:  # damaged files raise nearly anything, and none of it is news
            globals_ = _globals_in(path)
            if globals_:
                raise CheckpointError(
                    f"{path}: refused, it asks to call {', '.join(globals_)}, which weights and "
                    "settings have no need of; nothing in it was run. Get the file from its author"
                ) from None
            # torch's own words advise to switch the check off: they are not passed on.
            why = (
                ""
                if isinstance(error, UnpicklingError)
                else f" ({str(error).partition('. ')[0][:200]})"
            )
            raise CheckpointError(
                f"{path}: cannot be read as a checkpoint of torch{why}: it is damaged, or asks for "
                "more than weights and settings; nothing in it was run, take another"
            ) from None


def _globals_in(path: Path) -> list[str]:
    """The names outside the allow-list that a file asks to call, found without calling them."""
    try:
        return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    except Exception:  # no zip, or damaged: then the reason is another
        return []


def _tensors(path: Path, name: str, state: Mapping[Any, Any]) -> dict[str, Tensor]:
    wrong = [key for key, value in state.items() if not _is_plain_tensor(value)]
    if wrong:
        raise CheckpointError(f"{path}: {name!r} holds {wrong[0]!r}, which is no plain tensor")
    return {str(key): value.detach() for key, value in state.items()}


def _is_plain_tensor(value: Any) -> bool:
    """Whether ``value`` is a dense tensor on the CPU, not quantised and not on ``meta``."""
    return (
        isinstance(value, Tensor)
        and value.layout is torch.strided
        and value.device.type == "cpu"
        and not value.is_quantized
    )


def _mapping(value: Any) -> dict[str, Any]:
    values = vars(value) if isinstance(value, argparse.Namespace) else value
    if not isinstance(values, Mapping):
        return {}
    return {str(key): _plain(item) for key, item in values.items()}


def _plain(value: Any) -> Any:
    """``value`` as JSON types; every other type becomes text."""
    if isinstance(value, Tensor) and value.numel() == 1:
        return value.item()
    if isinstance(value, PurePath):
        return value.as_posix()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)
