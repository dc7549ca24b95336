"""Single values of settings: what a person may write for them, and what is said of the others."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ValidationInfo
from pydantic.fields import FieldInfo

from uvtex.typed.paths import beside, typed
from uvtex.typed.yaml_dialect import Number, WholeNumber

_LONGEST_SHOWN = 80
_DIGITS = "[0-9]+(?:_[0-9]+)*"  # pydantic reads underscores too
_NUMBER = re.compile(rf"[-+]?(?:{_DIGITS}\.?(?:{_DIGITS})?|\.{_DIGITS})(?:[eE][-+]?[0-9]+)?")


def _path(value: Any, info: ValidationInfo) -> Any:
    """A path as its person means it. A path that this package saved stays as it is."""
    if not isinstance(value, str):
        return value
    folder = (info.context or {}).get("folder")
    if folder is None:
        if not value:
            raise ValueError("the path is empty")
        return value
    path = beside(typed(value), folder)
    if any(ord(character) < 32 for character in value) and not path.exists():
        raise ValueError(
            "the path holds a control character. In double quotes \\n and \\t are escapes: write "
            "the path with / or in single quotes"
        )
    return path


def _path_here(value: Any, info: ValidationInfo) -> Any:
    typed_by_person = isinstance(value, str) and (info.context or {}).get("folder") is not None
    return typed(value) if typed_by_person else _path(value, info)


def _text_of_path(value: Any, info: ValidationInfo) -> Any:
    found = _path(value, info)
    return str(found) if isinstance(found, Path) else found


InputPath = Annotated[Path, BeforeValidator(_path)]
"""A path in a settings file, which counts from that file or from the working folder."""
InputPathText = Annotated[str, BeforeValidator(_text_of_path)]
"""The same as a text."""
PathHere = Annotated[Path, BeforeValidator(_path_here)]
"""A path in a settings file, which counts from the working folder, as a flag's does."""


def as_wanted(value: Any, field: FieldInfo, kinds: frozenset[Any]) -> Any:
    """``value`` as the setting ``field`` takes it.

    A number becomes the text that was written where a text is asked for. A section without any
    value becomes the section's default.

    Args:
        kinds: of the field's annotation, see :func:`kinds_of`.

    Raises:
        ValueError: true or false where a number or a text is asked for.
    """
    if Any in kinds:
        return value
    if value is None and type(None) not in kinds and not field.is_required():
        section = any(kind is dict or _is_section(kind) for kind in kinds)
        return field.get_default(call_default_factory=True) if section else value
    return _scalar(value, kinds)


def _is_section(kind: Any) -> bool:
    """Whether ``kind`` is a model all of whose settings have a default."""
    if not (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return False
    return not any(field.is_required() for field in kind.model_fields.values())


def is_number(value: Any) -> bool:
    """Whether ``value`` is a number, or a text that is one. True and false are none."""
    if isinstance(value, str):
        return _NUMBER.fullmatch(value.strip()) is not None
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _scalar(value: Any, kinds: frozenset[Any]) -> Any:
    if isinstance(value, list):
        return [_scalar(item, kinds) for item in value]
    numbers, texts = kinds & {int, float}, kinds & {str, Path}
    if isinstance(value, bool) and bool not in kinds and (numbers or texts):
        raise ValueError("must be a number" if numbers else _QUOTE)
    if isinstance(value, (Number, WholeNumber)):
        if texts and not numbers:
            return value.text
        if isinstance(value, float):
            return float(value) if math.isfinite(value) else value  # refused, as it was written
        return int(value)
    return value


def kinds_of(annotation: Any) -> frozenset[Any]:
    """The types that an annotation is made of, without those of a mapping's keys and values."""
    origin = get_origin(annotation)
    if origin is Literal:
        return frozenset(type(value) for value in get_args(annotation))
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        return frozenset({dict})
    if origin is Annotated:
        return kinds_of(get_args(annotation)[0])
    parts = get_args(annotation)
    if not parts:
        return frozenset({annotation})
    return frozenset().union(*(kinds_of(part) for part in parts if part is not Ellipsis))


_QUOTE = "must be a text; put it in quotes"
_SECTION = "must be keys and values"
_WORDS = {
    "missing": "is required and missing",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": _QUOTE,
    "path_type": _QUOTE,
    "dict_type": _SECTION,
    "model_type": _SECTION,
    "model_attributes_type": _SECTION,
    "tuple_type": "must be a list, like [a, b]",
    "list_type": "must be a list, like [a, b]",
}
_PATTERNS = {
    r"^[A-Za-z0-9][A-Za-z0-9._-]*$": "letters, digits, '.', '_' and '-'",
    r"^[A-Za-z0-9][A-Za-z0-9_-]*$": "letters, digits, '_' and '-'",
}


def message(problem: Mapping[str, Any]) -> str:
    """What a person is told of one problem that pydantic found."""
    kind, value = problem["type"], problem["input"]
    said: str = _WORDS.get(kind, problem["msg"].removeprefix("Value error, "))
    if kind == "missing":
        return said
    allowed = _PATTERNS.get(str(problem.get("ctx", {}).get("pattern")))
    if kind == "string_pattern_mismatch" and allowed:
        said = f"must match the pattern: {allowed}, first a letter or digit"
    if kind == "too_short":
        least = problem["ctx"]["min_length"]
        entries = "one entry" if least == 1 else f"{least} entries"
        return f"needs at least {entries}, got {shown_value(value)}"
    if kind == "literal_error":
        said = said.replace("Input should be", "must be")
    if kind == "value_error" and isinstance(value, Mapping):
        return said  # of several settings, which it names
    return f"{said}, got {shown_value(value)}{_hint(kind, value)}"


def _hint(kind: str, value: Any) -> str:
    if not isinstance(value, str) or not kind.startswith(("float", "int", "value")):
        return ""
    if re.fullmatch(r"\s*[-+]?\d+,\d+\s*", value):
        return f"; write a decimal point: {value.strip().replace(',', '.')}"
    return ""


def shown_value(value: Any) -> str:
    """A value for a message, as YAML has it and not too long."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (Number, WholeNumber)):
        return str(value.text)
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 3]}..."


def place(parts: Sequence[str | int], values: Any) -> str:
    """The dotted path of a problem in ``values``, without pydantic's names of union branches.

    Branches that we name ourselves have names in angle brackets.
    """
    path = []
    for number, part in enumerate(parts):
        if isinstance(part, str) and part.startswith("<"):
            continue
        inside = isinstance(values, Mapping) and part in values
        if isinstance(values, (list, tuple)) and isinstance(part, int) and part < len(values):
            inside = True
        if not inside and number < len(parts) - 1:
            continue
        if not inside and not isinstance(values, (Mapping, list, tuple)):
            continue
        path.append(str(part))
        values = values[part] if inside else None
    return ".".join(path)
