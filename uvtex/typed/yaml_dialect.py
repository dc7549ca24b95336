"""YAML as people expect it: the scalars of YAML 1.2's core schema, and keys that are names.

PyYAML reads YAML 1.1, in which ``5e-2`` is a text, ``no`` is false, ``1:30`` is 90 and
``2024-01-01`` is a date. A key is always the text that was written: ``1``, ``null`` and ``on`` can
be names. What :func:`dump` writes has the same meaning in both versions.
"""

from __future__ import annotations

import re
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

_TAG = "tag:yaml.org,2002:"
_CORE = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    "float": (
        r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        list("-+0123456789."),
    ),
    "merge": (r"<<", ["<"]),  # not in the core schema, but study files share parts by it
}
_DEEPEST = 50
_MOST_VALUES = 100_000
_LONGEST_NUMBER = 400


class WholeNumber(int):
    """A whole number that knows how it was written, for settings that take a text."""

    text: str


class Number(float):
    """A number that knows how it was written, for settings that take a text."""

    text: str


class _Loader(yaml.SafeLoader):
    depth = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise yaml.MarkedYAMLError(
                problem=f"it is nested more than {_DEEPEST} deep",
                problem_mark=self.get_mark(),
            )
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def construct_mapping(self, node: MappingNode, deep: bool = False) -> dict[Any, Any]:
        self.flatten_mapping(node)
        # Keys that come by << stand before the mapping's own, which override them.
        return {_name(key): self.construct_object(value, deep=True) for key, value in node.value}

    def construct_whole(self, node: ScalarNode) -> WholeNumber:
        sign = node.value[:1] if node.value[:1] in ("-", "+") else ""
        digits = node.value.removeprefix(sign)
        base = {"0o": 8, "0x": 16}.get(digits[:2], 10)
        number = WholeNumber(sign + digits, base)
        number.text = node.value
        return number

    def construct_number(self, node: ScalarNode) -> Number:
        number = Number(re.sub(r"\.(?=inf|nan)", "", node.value.lower()))
        number.text = node.value
        return number


_Loader.yaml_implicit_resolvers = {}  # instead of YAML 1.1's
for _kind, (_pattern, _first) in _CORE.items():
    _Loader.add_implicit_resolver(_TAG + _kind, re.compile(rf"^(?:{_pattern})$"), _first)
_Loader.add_constructor(_TAG + "int", _Loader.construct_whole)
_Loader.add_constructor(_TAG + "float", _Loader.construct_number)
_READ = {_TAG + name for name in ("null", "bool", "int", "float", "str", "map", "seq", "merge")}


class _Dumper(yaml.SafeDumper):
    """Quotes each text that YAML 1.1 or 1.2 would read as something else."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


for _kind in ("null", "bool", "int", "float"):
    _pattern, _first = _CORE[_kind]
    _Dumper.add_implicit_resolver(_TAG + _kind, re.compile(rf"^(?:{_pattern})$"), _first)
_Dumper.add_multi_representer(int, yaml.SafeDumper.represent_int)
_Dumper.add_multi_representer(float, yaml.SafeDumper.represent_float)


def parse(text: str) -> Any:
    """The values of a YAML text.

    Raises:
        ValueError: the text is not YAML, or cannot be used. The message has line and column.
    """
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _check(node)
            return loader.construct_document(node)
        finally:
            loader.dispose()
    except yaml.reader.ReaderError as error:
        line = text[: error.position].count("\n") + 1
        raise ValueError(
            f"line {line}: the character {chr(error.character)!a} is not allowed"
        ) from None
    except yaml.MarkedYAMLError as error:
        raise ValueError(_message(error, text)) from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def dump(values: Any) -> str:
    """``values`` as YAML that :func:`parse` and readers of YAML 1.1 read back to equal values."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False)


def _name(key: Node) -> str:
    if not isinstance(key, ScalarNode) or not key.value:
        raise yaml.MarkedYAMLError(
            problem=f"a key must be a name, got {'nothing' if key.value == '' else 'a list'}",
            problem_mark=key.start_mark,
        )
    return str(key.value)


def _check(root: Node) -> None:
    _count(root, {})
    pending, seen = [root], {id(root)}
    while pending:
        node = pending.pop()
        if problem := _scalar_problem(node):
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
        if isinstance(node, MappingNode):
            _refuse_repeated_keys(node)
        children = [child for child in _children(node) if id(child) not in seen]
        seen.update(map(id, children))
        pending.extend(reversed(children))


def _scalar_problem(node: Node) -> str | None:
    kind = node.tag.removeprefix(_TAG)
    if node.tag not in _READ:
        return f"the tag {node.tag.replace(_TAG, '!!')} is not read; remove it"
    if isinstance(node, ScalarNode) and kind in _CORE:
        if not re.fullmatch(_CORE[kind][0], node.value):
            return f"{node.value!r} is no {kind}"
        if kind == "int" and len(node.value) > _LONGEST_NUMBER:
            return "the number is too long"
    return None


def _refuse_repeated_keys(node: MappingNode) -> None:
    first: dict[str, int] = {}
    for key, _ in node.value:
        name = _name(key)
        if name in first:
            raise yaml.MarkedYAMLError(
                problem=f"the key {name!r} is in line {first[name]} already; keep one",
                problem_mark=key.start_mark,
            )
        first[name] = key.start_mark.line + 1


def _children(node: Node) -> list[Node]:
    if isinstance(node, MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, SequenceNode) else []


def _count(node: Node, known: dict[int, int]) -> int:
    """The number of values in ``node``, those of an alias counted at each place that uses it."""
    if id(node) not in known:
        known[id(node)] = 0  # in progress
        known[id(node)] = 1 + sum(_count(child, known) for child in _children(node))
    elif known[id(node)] == 0:
        raise yaml.MarkedYAMLError(
            problem="an alias stands inside what it names", problem_mark=node.start_mark
        )
    if known[id(node)] > _MOST_VALUES:
        raise yaml.MarkedYAMLError(
            problem=f"its aliases make more than {_MOST_VALUES:,} values of it",
            problem_mark=node.start_mark,
        )
    return known[id(node)]


_ADVICE = (
    (r"character '\\t'", "a tab cannot indent: use spaces"),
    (
        r"unknown escape character|expected escape sequence",
        "in double quotes a backslash begins an escape: write the path with / or in single quotes",
    ),
    (r"expected a single document", "it holds several documents (---): keep one of them"),
    (r"mapping values are not allowed", "put a text that holds ': ' in quotes, or mend the indent"),
    (r"cannot start any token", "put the text in quotes"),
    (r"expected ',' or '[\]}]'", "close the bracket, or put a comma between the values"),
    (r"found unexpected end of stream", "close the quote"),
)


def _message(error: yaml.MarkedYAMLError, text: str) -> str:
    problem = str(error.problem or error.context).removeprefix("but ")
    whole = f"{error.context} {problem}"
    mark = error.problem_mark or error.context_mark
    advice = next((advice for found, advice in _ADVICE if re.search(found, whole)), None)
    said = problem if advice is None else f"{problem}; {advice}"
    if mark is None:
        return said
    indent = text.splitlines()[mark.line : mark.line + 1]
    if advice is None and indent and re.match(r" *\t", indent[0]):
        said += "; a tab cannot indent: use spaces"
    return f"line {mark.line + 1}, column {mark.column + 1}: {said}"
