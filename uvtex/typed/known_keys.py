"""What is said of a key that a model of settings does not know."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, RootModel, Tag


def unknown_key(model: type[BaseModel], values: Any, parts: Sequence[str | int]) -> str:
    """What is said of a key that ``model`` refuses. A key that it suggests is valid at that place.

    Args:
        values: what the model was given.
        parts: pydantic's path of the key. A branch of a union is named by its tag.
    """
    key = str(parts[-1])
    kinds = list(_kinds(model))
    elsewhere: set[str] = set()
    for part in parts[:-1]:
        if chosen := [kind for kind in kinds if kind[0] == part]:
            elsewhere = _keys([kind for kind in kinds if kind not in chosen])
            kinds = chosen
        elif below := [kind for one in kinds for kind in _below(one[1], part)]:
            kinds, values, elsewhere = below, _inside(values, part), set()
    known = _keys(kinds)
    if key in elsewhere:
        excluding = [repr(other) for other in values if other in known - elsewhere]
        return f"cannot stand beside {' and '.join(excluding)}" if excluding else "unknown key"
    near = difflib.get_close_matches(key, known - {key}, n=1, cutoff=0.5)
    return f"unknown key; did you mean {near[0]!r}?" if near else "unknown key"


def _inside(values: Any, part: str | int) -> Any:
    try:
        return values[part]
    except (KeyError, IndexError, TypeError):
        return {}


def _kinds(annotation: Any, tag: str = "") -> Iterator[tuple[str, Any]]:
    """The parts of a union, each with its tag. Any other annotation is its only part."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        tags = [about.tag for about in inner[1:] if isinstance(about, Tag)]
        yield from _kinds(inner[0], tags[0] if tags else tag)
    elif origin in (Union, UnionType):
        for part in inner:
            yield from _kinds(part, tag)
    elif origin is None and isinstance(annotation, type) and issubclass(annotation, RootModel):
        yield from _kinds(annotation.model_fields["root"].annotation, tag)
    else:
        yield tag, annotation


def _below(kind: Any, part: str | int) -> Iterator[tuple[str, Any]]:
    """What a model, a mapping or a list of ``kind`` holds at ``part``."""
    origin, inner = get_origin(kind), get_args(kind)
    if _is_model(kind):
        for name, field in kind.model_fields.items():
            if part == (field.alias or name):
                yield from _kinds(field.annotation)
    elif isinstance(origin, type) and issubclass(origin, Mapping):
        yield from _kinds(inner[1])
    elif origin in (tuple, list) and isinstance(part, int):
        for item in inner:
            yield from _kinds(item)


def _is_model(kind: Any) -> bool:
    return get_origin(kind) is None and isinstance(kind, type) and issubclass(kind, BaseModel)


def _keys(kinds: Sequence[tuple[str, Any]]) -> set[str]:
    return {
        field.alias or name
        for _, kind in kinds
        if _is_model(kind)
        for name, field in kind.model_fields.items()
    }
