"""Options that several commands share."""

from __future__ import annotations

import click

JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of text.")
DEVICE = click.option("--device", default=None, help="cpu, cuda, cuda:1 ...; auto by default.")
