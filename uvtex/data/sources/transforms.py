"""What an earlier script did to a picture, however it wrote that down."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

COLOUR = ("hsv_jitter", "noise", "filter")
"""Transforms that leave every pixel in its place: such a texture still fits the car."""


def distance(transforms: Sequence[str]) -> tuple[int, int, int]:
    """How far transforms lead from the original; one that is not known may move pixels."""
    moving = [name for name in transforms if name not in COLOUR]
    return len(moving), sum(name != "affine" for name in moving), len(transforms)


def transform_names(value: Any) -> tuple[str, ...]:
    """Names out of a list of names, a list of mappings with one, a mapping, or a string."""
    return tuple(_names(value))


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from (part.strip().lower() for part in value.split(",") if part.strip())
    elif isinstance(value, dict):
        name = next((value[k] for k in ("name", "type", "transform") if k in value), None)
        if isinstance(name, str):
            yield name.lower()
        else:
            # {"noise": false} says that it was not applied.
            yield from (
                str(k).lower() for k, v in value.items() if v is not False and v is not None
            )
    elif isinstance(value, list):
        for item in value:
            yield from _names(item)
