"""MLflow's copies of files that were removed from the trial directories on purpose."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sweep.study.config import StudyConfig
from sweep.study.folder import TrialRecord
from sweep.tracking.holdings import artifact_store
from sweep.tracking.holdings.inventory import Holdings


def copies(
    study: StudyConfig, held: Holdings, named: Iterable[tuple[TrialRecord, Iterable[str]]]
) -> Iterator[tuple[str, str, int]]:
    """The copies of files in MLflow: artifact location, path and bytes.

    Args:
        named: records, and paths of files in their trial directories.

    Raises:
        TrackingError: MLflow is away or refuses.
    """
    runs = {run.key: run for run in held.runs}
    for record, names in named:
        run, wanted = runs.get((str(record.trial), record.name)), set(names)
        if run is None or not wanted:
            continue
        there = artifact_store.files(study.tracking_uri, run.location)
        for name in sorted(wanted & there.keys()):
            yield run.location, name, there[name]


def remove_copies(study: StudyConfig, held: Holdings | None, records: Iterable[TrialRecord]) -> int:
    """Removes the copies of what the records say was removed; returns their bytes.

    Raises:
        TrackingError: MLflow is away or refuses.
    """
    if held is None:
        return 0
    named = [(record, record.cleaned.files) for record in records if record.cleaned is not None]
    freed = 0
    for location, name, size in list(copies(study, held, named)):
        artifact_store.delete(study.tracking_uri, location, name)
        freed += size
    return freed
