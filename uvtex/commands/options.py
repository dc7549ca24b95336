"""Options that several commands share, and help that tells a setting's default."""

from __future__ import annotations

import click

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
