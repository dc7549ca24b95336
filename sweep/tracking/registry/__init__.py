"""MLflow's model registry: versions of ``uvtex``, and which of them is champion."""

from sweep.tracking.registry.checkpoint_files import fetch_checkpoint
from sweep.tracking.registry.registration import promote, promote_command
from sweep.tracking.registry.restoring import restore
from sweep.tracking.registry.standing import Standing, rollback, standing
from sweep.tracking.registry.version_record import MODEL, Candidate, VersionRecord

__all__ = [
    "MODEL",
    "Candidate",
    "Standing",
    "VersionRecord",
    "fetch_checkpoint",
    "promote",
    "promote_command",
    "restore",
    "rollback",
    "standing",
]
