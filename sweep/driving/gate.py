"""The driver's part in the gate: whom it asks about, in what order, and what it does meanwhile.

The registry is asked by the mirror's thread, and answers later. The driver writes the answers into
the records. What has no answer is asked again by the next driver.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Set
from typing import Protocol

from sweep.driving import admission, due_runs
from sweep.driving.due_runs import Records
from sweep.study.config import StudyConfig
from sweep.study.folder import Gate, TrialRecord
from sweep.tracking.mirror import Answer
from sweep.tracking.registry import Candidate


class Registry(Protocol):
    """What the gate needs of the mirror."""

    def ask(self, candidate: Candidate) -> None:
        """Takes a question."""

    def answers(self) -> list[Answer]:
        """The answers since the last call."""

    def decided(self, found: Iterable[TrialRecord]) -> None:
        """Shows the records' decisions in MLflow."""


class RegistryGate:
    """Judges trials by their full runs, and asks the registry about those that are admitted."""

    def __init__(
        self,
        study: StudyConfig,
        records: Records,
        mirror: Registry,
        note: Callable[[str], None],
        write: Callable[[TrialRecord, Gate], None],
    ) -> None:
        """``records`` are the driver's. ``write`` writes an answer into a record and into them."""
        self._study, self._records, self._mirror = study, records, mirror
        self._note, self._write = note, write
        self._asked: dict[int, Candidate] = {}
        self._unanswered: set[int] = set()

    @property
    def waits(self) -> bool:
        """Whether an answer is to come."""
        return bool(self._asked)

    @property
    def open(self) -> Set[int]:
        """The trials that are admitted, and on which the registry has not answered yet."""
        return self._asked.keys() | self._unanswered

    def ask_overdue(self) -> None:
        """Asks about the trials on which an earlier driver got no answer.

        Those that were never asked about come first, in the order in which their runs ended.
        """
        ended: dict[int, tuple[bool, float]] = {}
        for record in self._records.values():
            if record.stage == "full":
                known, at = ended.get(record.trial, (False, 0.0))
                last = math.inf if record.ended is None else record.ended
                ended[record.trial] = known or record.gate is not None, max(at, last)
        self._ask(sorted(ended, key=lambda trial: (*ended[trial], trial)))

    def run_ended(self, trial: int) -> None:
        """Judges a trial after one of its full runs, and asks again about undecided ones."""
        answer = self._judged(trial)
        if answer is not None and self._study.replicates > 1 and answer.verdict != "admit":
            self._note(f"{trial:04d}: {answer.reason}")
        again = sorted(self._unanswered)
        self._ask(dict.fromkeys([*again, trial, *due_runs.undecided(self._records)]))

    def hear(self) -> None:
        """Writes the answers that have come since the last call."""
        for answer in self._mirror.answers():
            trial = answer.candidate.record.trial
            if self._asked.get(trial) is answer.candidate:
                del self._asked[trial]
            if answer.gate is None:
                self._unanswered.add(trial)
            else:
                self._decided(self._records[answer.candidate.record.key], answer.gate)

    def _judged(self, trial: int) -> admission.Admission | None:
        """The decision on a trial; None if none is due."""
        full = due_runs.replicates(self._records, trial)
        return admission.judge(self._study, full) if admission.is_due(self._study, full) else None

    def _ask(self, trials: Iterable[int]) -> None:
        for trial in trials:
            answer = self._judged(trial)
            if answer is None:
                continue
            full = due_runs.replicates(self._records, trial)
            if answer.verdict == "reject":
                gate = Gate(registered=False, reason=answer.reason, tests=answer.tests)
                self._decided(full[-1], gate)
            elif answer.chosen is not None:
                told = admission.candidate(self._study, full, answer, answer.chosen)
                self._unanswered.discard(trial)
                self._asked[trial] = told
                self._mirror.ask(told)

    def _decided(self, record: TrialRecord, gate: Gate) -> None:
        self._write(record, gate)
        self._mirror.decided(self._records.values())
        if gate.registered and (record.gate is None or record.gate.reason != gate.reason):
            self._note(f"{record.label}: {gate.reason}")
