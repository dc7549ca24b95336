"""Calls of the `uvtex` command in this process."""

from typing import Any

from click.testing import CliRunner, Result

from uvtex.cli import main

TRAIN = ["--image-size", "32", "--width", "0.1", "--epochs", "1", "--val-split", "0.34"]


def call(*args: Any) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args])
