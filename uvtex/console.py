"""What the two command lines share: help that shows defaults, and errors as exit codes."""

from __future__ import annotations

import sys
from typing import Any

import click

from uvtex.errors import UvtexError

CONTEXT = {"help_option_names": ["-h", "--help"], "show_default": True, "max_content_width": 100}


class CleanErrorCommand(click.Command):
    """A command that ends with one clear line, not with a traceback.

    Exit codes: 1 for what went wrong while running, 2 for usage. Commands that run long see to
    Ctrl-C themselves.
    """

    def main(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().main(*args, **kwargs)
        except UvtexError as error:
            click.echo(f"error: {error}", err=True)
            sys.exit(error.exit_code)
        except BrokenPipeError:
            sys.exit(1)
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            click.echo(f"error: {place}{error.strerror or error}", err=True)
            sys.exit(1)


class CleanErrorGroup(CleanErrorCommand, click.Group):
    """A command group whose commands end so."""


JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
DEVICE = click.option("--device", default=None, help="cpu, cuda, cuda:1 ...; auto by default.")


def with_default(what: str, default: object, presets: dict[str, object] | None = None) -> str:
    """Help of a flag that overrides a setting: what it is, and what it is if the flag is absent.

    Args:
        default: the setting's default, from its model.
        presets: what each preset makes of it; told where it is something else.
    """
    others = [
        f", {_text(value)} with preset {name}"
        for name, value in (presets or {}).items()
        if value != default
    ]
    return f"{what}; {_text(default)} by default{''.join(others)}."


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
