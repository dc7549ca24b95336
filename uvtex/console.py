"""What the two command lines share: help that shows defaults, and errors as exit codes."""

from __future__ import annotations

import sys
from typing import Any

import click

from uvtex.errors import UvtexError

CONTEXT = {"help_option_names": ["-h", "--help"], "show_default": True, "max_content_width": 100}


class Clear(click.Command):
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


class Group(Clear, click.Group):
    """A command group whose commands end so."""
