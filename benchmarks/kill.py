"""Kills a training run at random moments, resumes it, and compares it with an uninterrupted run.

    uvtex showroom build /tmp/set --size 32 --cameras 4 --liveries 8 --samples 4
    python -m benchmarks.kill /tmp/set --kills 20

The signal is SIGKILL. Three kinds of moments take turns: the start (before or during the first
epoch), any time in a later epoch, and the middle of a write (as soon as a half-written file
appears). At the end, epochs.jsonl without its times must equal that of the uninterrupted run, byte
for byte. So must every tensor of every checkpoint, including the state of both optimisers.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import yaml

from uvtex.console import PATH, CleanErrorCommand
from uvtex.errors import UvtexError
from uvtex.runs import checkpoint
from uvtex.runs.header import Header

KINDS = ("starting", "anywhere", "writing")
SETTINGS: dict[str, Any] = {
    "test_split": 0.0,
    "image_size": 32,
    "width": 0.1,
    "batch_size": 4,
    "lr": 1e-3,
    "val_split": 0.34,
    "checkpoint_every": 4,
    "checkpoint_name": "killed",
    "device": "cpu",
    "thresholds": [{"metric": "ssim_uv", "at_least": 0.2}],
    "schedule": {"uv": {"start": 0.4, "end": 0.1}, "lr_scheduler": "cosine"},
    "augment": {"colour": 0.2, "affine": 0.1, "perspective": 0.1, "noise": 0.05, "blur": 1.0},
}
RUN = Path("runs") / SETTINGS["checkpoint_name"]
POLL = 0.0005
"""Seconds between two looks. The write of a checkpoint takes some milliseconds."""


@dataclass(frozen=True)
class Kill:
    """What one kill left on disk."""

    kind: str
    """One of ``KINDS``."""
    epochs: int
    """Finished epochs on disk."""
    leftovers: int
    """Half-written files on disk."""
    ended: bool
    """Whether the run had ended before the kill."""


def settings(folder: Path, **changes: Any) -> Path:
    """Writes the settings file of the run into ``folder``; returns its path."""
    file = folder / "settings.yaml"
    file.write_text(yaml.safe_dump({**SETTINGS, **changes}))
    return file


def start(
    data: Path,
    file: Path,
    folder: Path,
    program: Sequence[str] = ("-m", "uvtex"),
    env: dict[str, str] | None = None,
) -> Any:
    """Starts `uvtex train --resume` in the working directory ``folder``."""
    flags = [str(data.resolve()), "--config", str(file.resolve()), "--resume", "--json"]
    return subprocess.Popen(
        [sys.executable, *program, "train", *flags],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env={**os.environ, **(env or {})},
    )


def finish(process: Any) -> None:
    """Waits for the end of a process.

    Raises:
        UvtexError: its exit code is not 0.
    """
    _, err = process.communicate()
    if process.returncode:
        message = err.decode().strip().removeprefix("error: ")
        raise UvtexError(f"uvtex train ended with exit code {process.returncode}: {message}")


def kill(process: Any, run: Path, kind: str, rng: random.Random) -> Kill:
    """Kills ``process``, which trains into ``run``, at a random moment of ``kind``."""
    before = epochs(run)
    if kind == "starting":
        # Half of these kills come before the trainer exists, half around its first epoch.
        if rng.random() < 0.5:
            _sleep(process, rng.uniform(0, 2))
        else:
            _until(process, lambda: epochs(run) > before)
    else:
        wanted = before + rng.randint(1, 2)
        _until(process, lambda: epochs(run) >= wanted)
        _sleep(process, rng.uniform(0, 1.5) * _seconds(run))
        if kind == "writing":
            _until(process, lambda: leftovers(run) > 0)
    ended = process.poll() is not None
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return Kill(kind, epochs(run), leftovers(run), ended)


def epochs(run: Path) -> int:
    """Number of finished epochs in ``epochs.jsonl``."""
    file = run / "epochs.jsonl"
    return file.read_bytes().count(b"\n") if file.is_file() else 0


def leftovers(run: Path) -> int:
    """Number of half-written files in a run."""
    return sum(1 for folder in (run, run / "checkpoints") for _ in folder.glob(".*.part"))


def differences(run: Path, whole: Path) -> list[str]:
    """What differs between two runs, apart from times; empty if they are equal."""
    found = []
    if timeless(run) != timeless(whole):
        found.append("epochs.jsonl")
    names = [sorted(p.name for p in (r / "checkpoints").iterdir()) for r in (run, whole)]
    if names[0] != names[1]:
        return [*found, f"files {set(names[0]) ^ set(names[1])}"]
    for name in names[0]:
        (ours, head), (theirs, other) = (
            checkpoint.read(r / "checkpoints" / name) for r in (run, whole)
        )
        if ours.keys() != theirs.keys() or any(
            ours[k].numpy().tobytes() != theirs[k].numpy().tobytes() for k in ours
        ):
            found.append(f"tensors of {name}")
        if without_seconds(head) != without_seconds(other):
            found.append(f"header of {name}")
    return found


def without_seconds(header: Header) -> Header:
    """A checkpoint's header without the time that the epoch took."""
    report = header.report and replace(header.report, seconds=0.0)
    return header.model_copy(update={"report": report})


def timeless(run: Path) -> bytes:
    """``epochs.jsonl`` without its times."""
    return re.sub(rb'"seconds": [^,}]+', b"", (run / "epochs.jsonl").read_bytes())


def _seconds(run: Path) -> float:
    """Duration of the last epoch, in seconds."""
    return float(json.loads((run / "epochs.jsonl").read_text().splitlines()[-1])["seconds"])


def _until(process: Any, happened: Callable[[], bool]) -> None:
    while process.poll() is None and not happened():
        time.sleep(POLL)


def _sleep(process: Any, seconds: float) -> None:
    end = time.monotonic() + seconds
    _until(process, lambda: time.monotonic() >= end)


@click.command(cls=CleanErrorCommand)
@click.argument("data", type=PATH)
@click.option("--kills", type=int, default=20, help="Number of kills.")
@click.option("--epochs", "count", type=int, default=60, help="Epochs of the run.")
@click.option("--preset", default="poc05", help="Networks to train: poc05 or atlas.")
@click.option("--seed", type=int, default=0, help="Random seed of the moments.")
def main(data: Path, kills: int, count: int, preset: str, seed: int) -> None:
    """Kill and resume a run on DATA, then compare it with a run that was not killed.

    The exit code is 1 if the runs differ.

    \b
    Example:
      python -m benchmarks.kill /tmp/set --kills 20
    """
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        file = settings(folder, epochs=count, preset=preset)
        for name in ("whole", "again", "cut"):
            (folder / name).mkdir()
        for name in ("whole", "again"):
            finish(start(data, file, folder / name))
        whole, run = folder / "whole" / RUN, folder / "cut" / RUN
        print(f"the same run twice: {differences(folder / 'again' / RUN, whole) or 'equal'}")
        print(f"{count} epochs, the last took {_seconds(whole):.2f} s")
        torn = hit = 0
        for number in range(kills):
            done = kill(start(data, file, folder / "cut"), run, KINDS[number % 3], rng)
            torn += done.leftovers > 0
            hit += not done.ended
            print(
                f"kill {number + 1:2} {done.kind:8}  epochs whole on disk {done.epochs:2}  "
                f"half-written files {done.leftovers}{'  (had ended)' if done.ended else ''}",
                flush=True,
            )
            if done.ended:
                break
        finish(start(data, file, folder / "cut"))
        found = differences(run, whole)
        if hit < kills:
            found.append(f"only {hit} of {kills} kills met a running process; give more --epochs")
        print(f"{hit} kills, {torn} in the middle of a write; left over: {leftovers(run)}")
        print(f"against the uninterrupted run: {', '.join(found) or 'equal'}")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
