"""Tools for settings: a base class, YAML files, validation and differences.

Validation lists every problem.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from uvtex.errors import ConfigError


class Settings(BaseModel):
    """The base class of all settings.

    Settings are immutable. Unknown keys, NaN and infinity are refused.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


S = TypeVar("S", bound=BaseModel)


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``base`` overlaid with ``over``, mapping by mapping. Neither argument is changed."""
    out = dict(base)
    for key, value in over.items():
        old = out.get(key)
        nested = isinstance(value, Mapping) and isinstance(old, Mapping)
        out[key] = merge(old, value) if nested else value  # type: ignore[arg-type]
    return out


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one mapping, with keys joined by dots. An empty mapping gives no key."""
    out: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            out.update(flatten(value, f"{prefix}{key}."))
        else:
            out[f"{prefix}{key}"] = value
    return out


def differences(
    old: Mapping[str, Any], new: Mapping[str, Any], ignoring: Collection[str] = ()
) -> dict[str, tuple[Any, Any]]:
    """The settings that differ: dotted key to (old value, new value). None equals unset.

    Args:
        ignoring: dotted keys to leave out. All keys below them are left out too.
    """
    before, after = flatten(old), flatten(new)
    return {
        key: (before.get(key), after.get(key))
        for key in dict.fromkeys([*before, *after])
        if before.get(key) != after.get(key)
        and not any(key == name or key.startswith(f"{name}.") for name in ignoring)
    }


def validate(model: type[S], values: Any, where: str) -> S:
    """``values`` as a ``model``.

    Raises:
        ConfigError: a value is invalid. The message lists every problem with its key's path. It
            also gives the value found, or the nearest known key for an unknown key.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        problems = [_problem(model, dict(p)) for p in error.errors(include_url=False)]
        raise ConfigError("\n".join(f"{where}: {p}" for p in problems)) from None


def _problem(model: type[BaseModel], problem: dict[str, Any]) -> str:
    path = ".".join(str(part) for part in problem["loc"]) or "the whole file"
    if problem["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(problem["loc"][-1]), _keys(model), n=1, cutoff=0.5)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"{path}: unknown key{hint}"
    if problem["type"] == "missing":
        return f"{path}: is required and missing"
    message = problem["msg"].removeprefix("Value error, ")
    return f"{path}: {message}, got {problem['input']!r}"


def _keys(model: type[BaseModel]) -> set[str]:
    """Every key that ``model`` or a model inside it knows."""
    keys: set[str] = set()
    pending: list[Any] = [model]
    seen: set[Any] = set()
    while pending:
        item = pending.pop()
        if item in seen:
            continue
        seen.add(item)
        if isinstance(item, type) and issubclass(item, BaseModel):
            keys.update(item.model_fields)
            pending.extend(field.annotation for field in item.model_fields.values())
        else:
            pending.extend(getattr(item, "__args__", ()))
    return keys


def load_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file.

    Raises:
        ConfigError: the file is missing, is unreadable, is no YAML, or holds no mapping.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; give the path of a YAML settings file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: is not valid YAML: {error}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: must hold keys and values, got a {type(values).__name__}")
    return values


def dump_yaml(settings: BaseModel) -> str:
    """Settings as YAML that :func:`validate` reads back to an equal value."""
    return yaml.safe_dump(settings.model_dump(mode="json", exclude_none=True), sort_keys=False)
