"""What a ``device`` setting may say, and where runs train for it. Loads no torch.

Every function is pure: the number of GPUs and the environment are arguments.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from uvtex.errors import ConfigError

GPU_KINDS = ("cuda", "mps", "xpu")
"""PyTorch's names for GPUs: those of NVIDIA and AMD, of Apple, and of Intel."""

VISIBILITY = (
    "CUDA_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES",
    "ROCR_VISIBLE_DEVICES",
    "NVIDIA_VISIBLE_DEVICES",
    "ZE_AFFINITY_MASK",
)
"""The environment variables that hide GPUs from PyTorch."""

_VALID = re.compile(r"auto|cpu(:0)?|(cuda|mps|xpu)(:(0|[1-9][0-9]{0,8}))?", re.ASCII)
_KNOWN = "auto, cpu, cuda, cuda:0, cuda:1, ..., mps or xpu"
_ALIASES = {"": "cuda", "gpu": "cuda", "nvidia": "cuda", "hip": "cuda", "rocm": "cuda"}


@dataclass(frozen=True)
class DeviceName:
    """A valid ``device`` setting."""

    kind: str
    """``auto``, ``cpu``, or one of :data:`GPU_KINDS`."""
    index: int | None = None
    """The number of the GPU among those that PyTorch sees. None: none was asked for."""

    @classmethod
    def parse(cls, name: str) -> DeviceName:
        """The setting ``name``.

        Raises:
            ConfigError: it names no device.
        """
        if _VALID.fullmatch(name) is None:
            raise ConfigError(f"device {name!r}: {problem(name)}")
        kind, _, index = name.partition(":")
        return cls(kind, int(index) if index and kind != "cpu" else None)

    @property
    def gpu_kind(self) -> str | None:
        """The kind of GPU that is wanted, or that ``auto`` looks for; None for a CPU."""
        return {"auto": "cuda", "cpu": None}.get(self.kind, self.kind)


def problem(name: str) -> str | None:
    """Why ``name`` is no device setting, as the end of a message; None if it is one."""
    if _VALID.fullmatch(name):
        return None
    meant = re.fullmatch(r"([a-z]*)[\s:_]*0*([0-9]*)", name.strip().lower(), re.ASCII)
    if meant is None or not name.strip():
        return f"must be {_KNOWN}"
    kind = _ALIASES.get(meant[1], meant[1])
    number = meant[2] or ("0" if name.rstrip().endswith("0") else "")
    near = f"{kind}:{number}" if number and kind in GPU_KINDS else kind
    hint = f"; did you mean {near!r}?" if _VALID.fullmatch(near) else ""
    return f"must be {_KNOWN}{hint}"


def check(name: DeviceName, count: int, environment: Mapping[str, str], build: str) -> None:
    """Refuses a GPU that PyTorch does not see. ``auto`` and ``cpu`` always pass.

    Args:
        count: how many GPUs of that kind PyTorch sees.
        build: what PyTorch was built for, for the message.

    Raises:
        ConfigError: the message says which GPUs there are, and which variables hide others.
    """
    if name.kind not in GPU_KINDS or (name.index or 0) < count:
        return
    asked = name.kind if name.index is None else f"{name.kind}:{name.index}"
    hiding = [f"{key}={environment[key]!r}" for key in VISIBILITY if key in environment]
    because = f" ({', '.join(hiding)})" if hiding else ""
    if count == 0:
        raise ConfigError(
            f"device {asked!r}: PyTorch ({build}) sees no {name.kind} GPU here{because}; "
            "use auto or cpu"
        )
    there = f"{name.kind}:0" if count == 1 else f"{name.kind}:0 to {name.kind}:{count - 1}"
    gpus = "1 GPU" if count == 1 else f"{count} GPUs"
    counted = ", and counts those from 0" if hiding else ""
    raise ConfigError(
        f"device {asked!r}: PyTorch sees {gpus} here, {there}{because}{counted}; use "
        f"{'that one' if count == 1 else 'one of them'}, auto or cpu"
    )


@dataclass(frozen=True)
class Place:
    """A device for one worker process."""

    device: str
    """The device as the worker's PyTorch names it. Never ``auto``."""
    environment: dict[str, str] = field(default_factory=dict)
    """Changes of the environment under which that name holds."""


def places(name: DeviceName, count: int, environment: Mapping[str, str]) -> list[Place]:
    """The devices that the setting ``name`` allows. There is at least one.

    A worker sees the same GPUs as this process and is told a number among them, so that no variable
    which hides GPUs is ever translated. Parts of a GPU (MIG) are the exception: of those that
    ``CUDA_VISIBLE_DEVICES`` lists, CUDA shows a process only the first.

    Args:
        count: how many GPUs of the kind ``name.gpu_kind`` PyTorch sees. :func:`check` has passed.
    """
    kind = name.gpu_kind
    if kind is None or count == 0:
        return [Place("cpu")]
    if name.index is not None:
        return [Place(f"{kind}:{name.index}")]
    listed = [part.strip() for part in environment.get("CUDA_VISIBLE_DEVICES", "").split(",")]
    if kind == "cuda" and len(listed) > 1 and all(part.startswith("MIG-") for part in listed):
        return [Place("cuda:0", {"CUDA_VISIBLE_DEVICES": part}) for part in listed]
    return [Place(f"{kind}:{index}") for index in range(count)]
