"""A run's folder: whose it is, and how it is emptied for another run of the same name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from uvtex.errors import UvtexError
from uvtex.files import remove_leftovers
from uvtex.runs.epochs import FILE

CHECKPOINTS = "checkpoints"


@contextmanager
def claimed(run_dir: Path) -> Iterator[None]:
    """Nobody else trains into ``run_dir`` meanwhile; the system lets go if the process dies.

    Raises:
        UvtexError: somebody does.
    """
    run_dir.mkdir(parents=True, exist_ok=True)
    lock = FileLock(run_dir / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise UvtexError(
            f"{run_dir}: another process is training into it; wait for it or stop it, or give "
            "another --checkpoint-name"
        ) from None
    try:
        yield
    finally:
        lock.release()


def refuse_taken(run_dir: Path, name: str, resume: bool) -> None:
    """Raises UvtexError where a run would be lost if ``name`` were trained from the start.

    A best checkpoint alone, with ``resume``, is a first epoch that was killed: nothing to lose.
    """
    last, best = (
        (run_dir / CHECKPOINTS / f"{name}{suffix}.safetensors").is_file()
        for suffix in ("_last", "")
    )
    reported = (run_dir / FILE).is_file()
    if resume and reported:
        raise UvtexError(
            f"{run_dir}: {CHECKPOINTS}/{name}_last.safetensors is missing, so there is nothing to "
            "resume from; start anew with --force instead, or give another --checkpoint-name"
        )
    if not resume and (last or best or reported):
        raise UvtexError(
            f"{run_dir}: holds a run already; continue it with --resume, replace it with --force, "
            "or give another --checkpoint-name"
        )


def clear(run_dir: Path, name: str) -> None:
    """Removes the run ``name``: its checkpoints, grids and reports; other files stay.

    What resuming needs goes first and the reports go last, so that a run half removed is neither
    resumed nor taken for none.
    """
    checkpoints = run_dir / CHECKPOINTS
    (checkpoints / f"{name}_last.safetensors").unlink(missing_ok=True)
    (checkpoints / f"{name}.safetensors").unlink(missing_ok=True)
    for path in checkpoints.glob(f"{name}_epoch*.safetensors"):
        path.unlink()
    for path in (run_dir / "grids").glob("sample_*.png"):
        path.unlink()
    (run_dir / FILE).unlink(missing_ok=True)


def tidy(run_dir: Path) -> None:
    """Removes what a killed run was in the middle of writing."""
    for folder in (run_dir, run_dir / CHECKPOINTS):
        remove_leftovers(folder)
