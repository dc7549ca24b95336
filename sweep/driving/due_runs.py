"""Which run of a study is due next, by its records alone."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, MutableMapping, ValuesView

from sweep.decisions import promotion
from sweep.study.calibration import read_calibration
from sweep.study.config import MOST_REPLICATES, StudyConfig
from sweep.study.folder import UNFINISHED, RunKey, Stage, TrialRecord
from uvtex.runs.epochs import best_epoch, read_epochs


class Records(MutableMapping[RunKey, TrialRecord]):
    """The records of a study's runs, by key, as its driver knows them.

    What the driver asks before each trial is counted when a record changes, so that it need not go
    through thousands.
    """

    def __init__(self, records: Iterable[TrialRecord] = ()) -> None:
        self._runs: dict[RunKey, TrialRecord] = {}
        self.probes = 0
        """The number of probes."""
        self._concerned: set[RunKey] = set()
        self._ended: defaultdict[Stage, list[tuple[float, RunKey]]] = defaultdict(list)
        """The runs that have a result, by the time of their ends."""
        for record in records:
            self[record.key] = record

    def __getitem__(self, key: RunKey) -> TrialRecord:
        return self._runs[key]

    def __setitem__(self, key: RunKey, record: TrialRecord) -> None:
        if key in self._runs:
            self._forget(self._runs[key])
        self._runs[key] = record
        self.probes += record.stage == "probe"
        if record.state in UNFINISHED or is_candidate(record):
            self._concerned.add(key)
        if _has_result(record):
            insort(self._ended[record.stage], _end(record))

    def __delitem__(self, key: RunKey) -> None:
        self._forget(self._runs.pop(key))

    def __iter__(self) -> Iterator[RunKey]:
        return iter(self._runs)

    def __len__(self) -> int:
        return len(self._runs)

    def values(self) -> ValuesView[TrialRecord]:
        return self._runs.values()  # several times as fast as a mapping's own

    def _forget(self, record: TrialRecord) -> None:
        self.probes -= record.stage == "probe"
        self._concerned.discard(record.key)
        if _has_result(record):
            ended = self._ended[record.stage]
            del ended[bisect_left(ended, _end(record))]

    def concerned(self) -> list[TrialRecord]:
        """The runs that are unfinished, and the probes that are run in full, by key."""
        return [self[key] for key in sorted(self._concerned)]

    def latest(self, stage: Stage) -> Iterator[TrialRecord]:
        """The runs of a stage that have ended and did not fail, the latest first."""
        return (self[key] for _, key in reversed(self._ended[stage]))


def due(
    study: StudyConfig,
    records: Records,
    active: Collection[RunKey],
    asked: Collection[int] = (),
) -> Iterator[TrialRecord]:
    """The runs that may start now, in their order: interrupted runs first, then full runs.

    Full runs of one trial are replicates. They run one after the other, because each may decide
    that no other is needed. For the same reason, none starts that waits for the registry.

    Args:
        active: the runs that have a slot.
        asked: the trials that are admitted, and on which the registry has not answered yet.
    """
    concerned = records.concerned()
    for record in concerned:
        if record.state in UNFINISHED and record.key not in active:
            yield record
    for record in concerned:
        if is_candidate(record) and not _waits(records, record.trial, asked):
            replicate = next_replicate(study, records, record)
            if replicate is not None:
                yield replicate


def _waits(records: Records, trial: int, asked: Collection[int]) -> bool:
    """Whether a trial's next full run depends on an answer that is to come."""
    compared = any(record.gate is not None for record in replicates(records, trial))
    return trial in asked or (compared and bool(asked))


def is_candidate(record: TrialRecord) -> bool:
    """Whether a probe is to be run in full."""
    return record.stage == "probe" and (record.state == "promoted" or record.second_look)


def _has_result(record: TrialRecord) -> bool:
    return record.state not in (*UNFINISHED, "failed")


def _end(record: TrialRecord) -> tuple[float, RunKey]:
    return record.ended or 0.0, record.key


def near_miss(study: StudyConfig, records: Records) -> TrialRecord | None:
    """The probe that comes nearest to passing, of those that another seed may let pass.

    None if a trial is being decided on, or if there is none, see :func:`near_misses`.
    """
    if any(r.stage == "full" and r.state in UNFINISHED for r in records.values()):
        return None
    near = near_misses(study, records)
    return max(near, key=lambda one: (one[0], -one[1].trial))[1] if near else None


def near_misses(
    study: StudyConfig, records: Mapping[RunKey, TrialRecord]
) -> list[tuple[float, TrialRecord]]:
    """The probes that another seed may let pass, with their margins.

    There is none if a trial was admitted, if a candidate has one full run only (no test then guards
    against luck), or if no calibration says what seeds do.
    """
    found = records.values()
    if study.replicates == 1 or any(r.gate is not None and r.gate.registered for r in found):
        return []
    calibration = read_calibration(study.paths)
    if calibration is None:
        return []
    deviations = {m: spread.deviation for m, spread in calibration.spreads("probe").items()}
    thresholds, near = study.thresholds_of("probe"), []
    for record in found:
        if record.stage == "probe" and record.state == "complete" and not record.second_look:
            best = best_epoch(read_epochs(study.paths.run_dir(*record.key)))
            if best and promotion.nearly_passes(best.val, thresholds, deviations):
                near.append((best.val["margin"], record))
    return near


def replicates(records: Records, trial: int) -> list[TrialRecord]:
    """The full runs of a trial, in the order of their numbers."""
    names = ("full", *(f"full-{number}" for number in range(2, MOST_REPLICATES + 1)))
    return [records[trial, name] for name in names if (trial, name) in records]


def undecided(records: Records) -> list[int]:
    """The trials that are registered, and that more full runs could still make champion."""
    return sorted({r.trial for r in records.values() if r.gate is not None and r.gate.undecided})


def compared(records: Records) -> set[int]:
    """The trials of undecided comparisons: challengers, and champions of this study."""
    return {trial for pair in _pairs(records) for trial in pair if trial is not None}


def next_replicate(study: StudyConfig, records: Records, probe: TrialRecord) -> TrialRecord | None:
    """The next full run of a candidate; None if one is unfinished, or no more are needed."""
    made = replicates(records, probe.trial)
    if any(record.state in UNFINISHED for record in made) or len(made) >= study.replicates:
        return None
    if any(record.gate is not None for record in made) and not _is_compared(records, probe.trial):
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


def _is_compared(records: Records, trial: int) -> bool:
    """Whether one more full run of a trial serves an undecided comparison with the champion.

    Of challenger and champion, the one with fewer full runs is next. At a tie it is the challenger,
    so the champion only catches up.
    """
    own = len(replicates(records, trial))
    for challenger, champion in _pairs(records):
        if trial == challenger and (champion is None or own <= len(replicates(records, champion))):
            return True
        if trial == champion and own < len(replicates(records, challenger)):
            return True
    return False


def _pairs(records: Records) -> list[tuple[int, int | None]]:
    """Challenger and champion of each undecided comparison; None: a champion of another study."""
    return [(r.trial, r.gate.rival) for r in records.values() if r.gate and r.gate.undecided]
