"""Tools for settings: a base class, YAML files, validation and differences.

Validation lists every problem. :mod:`uvtex.typed.setting_values` has the rules for single values.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, ValidationInfo, field_validator
from pydantic_core import ErrorDetails

from uvtex.errors import ConfigError
from uvtex.typed import yaml_dialect
from uvtex.typed.known_keys import unknown_key
from uvtex.typed.paths import why_missing
from uvtex.typed.setting_values import as_wanted, kinds_of, message, place
from uvtex.typed.text_files import read_text

LARGEST_FILE = 4_000_000
"""Largest settings file that is read, in bytes."""


class Settings(BaseModel):
    """The base class of all settings.

    Settings are immutable. Unknown keys, NaN and infinity are refused, and so is true or false for
    a number or a text. A section without any value is as if it were absent.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _as_wanted(cls, value: Any, info: ValidationInfo) -> Any:
        kinds = _field_kinds(cls, str(info.field_name))
        if type(value) in kinds and type(value) is not list:
            return value  # as most are: a study reads a million of them when it is resumed
        return as_wanted(value, cls.model_fields[str(info.field_name)], kinds)


@functools.cache
def _field_kinds(model: type[BaseModel], name: str) -> frozenset[Any]:
    return kinds_of(model.model_fields[name].annotation)


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


def validate(model: type[S], values: Any, where: str, folder: Path | None = None) -> S:
    """``values`` as a ``model``.

    Args:
        where: the file of the values, for messages.
        folder: that file's folder, if a person wrote it: paths are then read as
            :mod:`uvtex.typed.paths` says. None: values that this package saved.

    Raises:
        ConfigError: a value is invalid. The message lists every problem with its key's path. It
            also gives the value found, or the nearest known key for an unknown key.
    """
    try:
        return model.model_validate(values, context={"folder": folder})
    except ValidationError as error:
        found = error.errors(include_url=False)
        problems = [_problem(model, values, dict(p)) for p in found if not _follows(p, found)]
        raise ConfigError("\n".join(f"{where}: {p}" for p in problems)) from None


def _follows(problem: ErrorDetails, found: list[ErrorDetails]) -> bool:
    """Whether a list counts as too short only because its items have problems."""
    place = problem["loc"]
    return problem["type"] == "too_short" and any(
        len(other["loc"]) > len(place) and other["loc"][: len(place)] == place for other in found
    )


def _problem(model: type[BaseModel], values: Any, problem: dict[str, Any]) -> str:
    path = place(problem["loc"], values)
    unknown = problem["type"] == "extra_forbidden"
    said = unknown_key(model, values, problem["loc"]) if unknown else message(problem)
    return f"{path}: {said}" if path else said


def load_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file. An empty file is an empty mapping.

    Raises:
        ConfigError: the file is missing, is unreadable, is no YAML, or holds no mapping.
    """
    if not path.exists() and not path.is_symlink():
        hint = why_missing(str(path)) or "; give the path of a YAML settings file"
        raise ConfigError(f"{path}: no such file{hint}")
    text = read_text(path, ConfigError, LARGEST_FILE)
    try:
        values = yaml_dialect.parse(text)
    except ValueError as error:
        raise ConfigError(f"{path}: is not valid YAML: {error}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        found = "a list" if isinstance(values, list) else repr(values)[:40]
        raise ConfigError(f"{path}: must hold keys and values, got {found}")
    return values


def dump_yaml(settings: BaseModel) -> str:
    """Settings as YAML that :func:`validate` reads back to an equal value."""
    return yaml_dialect.dump(settings.model_dump(mode="json", exclude_none=True))
