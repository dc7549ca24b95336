"""Which run of a study is due next, by its records alone."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from sweep.study.config import StudyConfig
from sweep.study.folder import UNFINISHED, RunKey, TrialRecord

Records = dict[RunKey, TrialRecord]


def due(study: StudyConfig, records: Records, active: Collection[RunKey]) -> Iterator[TrialRecord]:
    """The runs that may start now, in their order: interrupted runs first, then full runs.

    Full runs of one trial are replicates. They run one after the other, because each may decide
    that no other is needed.

    Args:
        active: the runs that have a slot.
    """
    found = [records[key] for key in sorted(records)]
    for record in found:
        if record.state in UNFINISHED and record.key not in active:
            yield record
    for record in found:
        if record.state == "promoted":
            replicate = next_replicate(study, records, record)
            if replicate is not None:
                yield replicate


def replicates(records: Records, trial: int) -> list[TrialRecord]:
    """The full runs of a trial, in the order of their numbers."""
    full = [r for r in records.values() if r.trial == trial and r.stage == "full"]
    return sorted(full, key=lambda record: record.replicate)


def next_replicate(study: StudyConfig, records: Records, probe: TrialRecord) -> TrialRecord | None:
    """The next full run of a promoted probe; None if one is unfinished, or no more are needed."""
    made = replicates(records, probe.trial)
    if any(record.state in UNFINISHED for record in made) or len(made) >= study.replicates:
        return None
    if any(record.gate is not None for record in made):
        return None  # the gate has decided
    number = len(made) + 1
    return TrialRecord(
        trial=probe.trial,
        stage="full",
        replicate=number,
        seed=int(study.train["seed"]) + number,  # neither the probe's nor another replicate's
        schedule=probe.schedule,
        params=probe.params,
        epochs=study.epochs("full"),
    )
