"""What all command lines share: help settings, clean errors, common options, and tables."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from uvtex.errors import UvtexError
from uvtex.output import echo, own_stdout, rich_console, stdout
from uvtex.typed.paths import shown, typed, why_missing

if TYPE_CHECKING:
    from rich.table import Column

CONTEXT = {"help_option_names": ["-h", "--help"], "show_default": True, "max_content_width": 100}
PIPE_WIDTH = 200
"""Columns of a table that goes to a pipe or a file. At 80 columns its cells would be cut."""


class CleanErrorCommand(click.Command):
    """A command with ``-h`` that reports an error in one line instead of a traceback.

    The exit code is 1 for an error while running and 2 for wrong usage. Long commands handle Ctrl-C
    themselves.
    """

    def __init__(
        self,
        name: str | None = None,
        *,
        context_settings: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        context = {**CONTEXT, **(context_settings or {})}
        super().__init__(name, context_settings=context, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        if isinstance(self, click.Group):
            return super().invoke(ctx)
        with own_stdout():
            return super().invoke(ctx)

    def main(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().main(*args, **kwargs)
        except UvtexError as error:
            echo(f"error: {error}", err=True)
            sys.exit(error.exit_code)
        except BrokenPipeError:
            sys.exit(1)
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            echo(f"error: {place}{error.strerror or error}", err=True)
            sys.exit(1)


class CleanErrorGroup(CleanErrorCommand, click.Group):
    """A group of commands with the help and the error reports of :class:`CleanErrorCommand`."""

    command_class = CleanErrorCommand


class TypedPath(click.Path):
    """A path as a person types it: see :func:`uvtex.typed.paths.typed`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(path_type=Path, **kwargs)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, str):
            if value == "-":
                self.fail(
                    "standard input and output cannot be used; a file named - is ./-", param, ctx
                )
            try:
                value = typed(value)
            except ValueError as error:
                self.fail(f"{shown(value)!r}: {error}", param, ctx)
        if self.exists and not value.exists() and (hint := why_missing(str(value))):
            self.fail(f"{str(value)!r} does not exist{hint}", param, ctx)
        return super().convert(value, param, ctx)


class CheckpointPath(TypedPath):
    """A checkpoint's path, or a URI such as ``models:/uvtex@champion``, as a text."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if re.match(r"(?!file:)[A-Za-z][A-Za-z0-9+.-]+:/", str(value)):
            return value
        return str(super().convert(value, param, ctx))


class FiniteRange(click.FloatRange):
    """A range of numbers. NaN, which compares as inside every range, is refused."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{number} is not a finite number.", param, ctx)
        return number


PATH = TypedPath()
CHECKPOINT = CheckpointPath()
JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
DEVICE = click.option(
    "--device",
    help="Device to compute on: cpu, cuda, cuda:1, ..., mps or xpu; auto by default: CUDA if there "
    "is any.",
)


def with_default(what: str, default: object, presets: dict[str, object] | None = None) -> str:
    """Help text of a flag: what it sets, and the value that holds without the flag.

    Args:
        default: the setting's default in its model.
        presets: preset name -> that preset's value. A value equal to ``default`` is left out.
    """
    others = [
        f", {_text(value)} with preset {name}"
        for name, value in (presets or {}).items()
        if value != default
    ]
    return f"{what}; {_text(default)} by default{''.join(others)}."


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def table_width() -> int:
    """Columns of a table on standard output: the terminal's, else ``PIPE_WIDTH``."""
    return rich_console().width if stdout().isatty() else PIPE_WIDTH


def print_table(
    columns: Sequence[str | Column],
    rows: Iterable[Sequence[str]],
    *,
    header: bool = True,
    styles: Sequence[str | None] = (),
) -> None:
    """Prints a table to standard output; nothing if there are no rows.

    Args:
        columns: a heading, or a rich Column for one with its own alignment or overflow.
        header: False leaves the headings out.
        styles: a rich style for each row, or nothing.
    """
    from rich import box
    from rich.table import Table

    rows = list(rows)
    if not rows:
        return
    grid = Table(*columns, box=box.SIMPLE_HEAD if header else None, show_header=header)
    for row, style in zip(rows, styles or [None] * len(rows), strict=True):
        grid.add_row(*row, style=style)
    rich_console(width=table_width()).print(grid)
