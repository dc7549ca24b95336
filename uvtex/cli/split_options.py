"""The options of a split of a data set, for the commands that do not train."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from uvtex.config import NEW_TEST_SPLIT, TrainConfig
from uvtex.console import FiniteRange

F = TypeVar("F", bound=Callable[..., Any])
DEFAULTS = TrainConfig()


def split_options(units: str) -> Callable[[F], F]:
    """Adds ``--val-split``, ``--test-split`` and ``--split-seed``, with the defaults of training.

    Args:
        units: what the split divides, for the help.
    """

    def add(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    options = (
        click.option(
            "--val-split",
            type=FiniteRange(0, 1, min_open=True, max_open=True),
            default=DEFAULTS.val_split,
            help=f"Share of the {units} kept for validation.",
        ),
        click.option(
            "--test-split",
            type=FiniteRange(0, 1, max_open=True),
            default=NEW_TEST_SPLIT,
            help=f"Share of the {units} kept for the test.",
        ),
        click.option(
            "--split-seed",
            type=click.IntRange(min=0),
            default=DEFAULTS.split_seed,
            help="Random seed of the split.",
        ),
    )
    return add
