"""How many good and failing runs still rise at a look: what the least chance tells apart.

    python -m benchmarks.promotion.kinds FILE... --pass-rate 0.1

A row is a file and a pass rate. A cell is a look: the share that still rises of the runs that fail
and of those that will pass, among runs that have not passed yet, and the number of the latter.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np

from benchmarks.promotion.policies.ours import curves
from benchmarks.promotion.task import PASS_RATE, Task, load
from sweep.decisions.stopping.curves import LOOKS, epochs_seen, rising, spread
from uvtex.console import CleanErrorCommand
from uvtex.errors import DataError
from uvtex.output import echo


def shares(task: Task, look: int) -> tuple[float, float, int]:
    """The shares of failing and of good runs that rise at ``look``, and the number of good ones.

    NaN where there is no such run.
    """
    seen = epochs_seen(look, task.points) or task.points - 1
    still = rising(curves(task, list(range(len(task.joint)))), seen, spread(task.slacks))
    waiting = task.joint[:, :seen].max(axis=1) < 0
    fail, good = still[waiting & ~task.passes], still[waiting & task.passes]
    failing, passing = (float(kind.mean()) if len(kind) else np.nan for kind in (fail, good))
    return failing, passing, len(good)


@click.command(cls=CleanErrorCommand)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--pass-rate", "rates", multiple=True, default=[0.03, 0.1, 0.3], type=PASS_RATE)
def main(files: Sequence[Path], rates: Sequence[float]) -> None:
    """Prints a Markdown table."""
    heads = " | ".join(f"{look:.0%}: fail, good" for look in LOOKS)
    echo(f"| file | passing | {heads} |")
    echo("| --- |" + " --- |" * (1 + len(LOOKS)))
    for file in files:
        for rate in rates:
            task = load(file, rate)
            if task.points < 2:
                raise DataError(f"{file}: a look needs runs of at least two points, got one")
            cells = [shares(task, look) for look in range(len(LOOKS))]
            told = " | ".join(
                f"{fail:.0%}, {good:.0%} of {n}" if n else f"{fail:.0%}, -"
                for fail, good, n in cells
            )
            echo(f"| {task.name} | {rate:.0%} | {told} |")


if __name__ == "__main__":
    main()
