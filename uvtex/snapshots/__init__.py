"""The checkpoints that runs leave: what is there, what may go, what is put away, what comes in."""

from uvtex.snapshots.archive import Archived, archive
from uvtex.snapshots.convert import Imported, import_original
from uvtex.snapshots.folder import Snapshot, find_run, snapshots
from uvtex.snapshots.retention import goers, reasons, remove

__all__ = [
    "Archived",
    "Imported",
    "Snapshot",
    "archive",
    "find_run",
    "goers",
    "import_original",
    "reasons",
    "remove",
    "snapshots",
]
