"""Shows a study in MLflow while it runs. No call here waits for MLflow, but those at the end.

The driver says what has changed, and a thread brings MLflow up to date with the trial directories
(:mod:`sweep.tracking.delivery`). What the registry answered, the driver fetches with
:meth:`MlflowMirror.answers`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sweep.study.config import StudyConfig
from sweep.study.folder import UNFINISHED, Gate, RunKey, TrialRecord, records
from sweep.study.summary_record import Summary
from sweep.tracking import client
from sweep.tracking.delivery import Delivery
from uvtex.config import TrainConfig
from uvtex.errors import UvtexError

if TYPE_CHECKING:
    from sweep.tracking.registry import Candidate
    from sweep.tracking.tracker import Tracker

PATIENCE = 30.0
"""Seconds that a study waits at its end for an MLflow that does not answer."""

LITTLE_PATIENCE = 5.0
"""The same after a second Ctrl-C."""

LOOK_SECONDS = 0.5
"""Longest time between two looks at whether a wait has ended."""


@dataclass(frozen=True)
class Answer:
    """What the registry said of a trial that was admitted."""

    candidate: Candidate
    """What was asked, as it was given to :meth:`MlflowMirror.ask`."""
    gate: Gate | None
    """None: the registry could not be asked, although MLflow answers."""


class MlflowMirror:
    """The driver's side of MLflow. Only the thread behind it uses an MLflow client.

    An outage is told once, and its end once. MLflow then gets everything in its order.
    """

    def __init__(
        self, study: StudyConfig, note: Callable[[str], None], patience: float = PATIENCE
    ) -> None:
        """``note`` shows a message to the user; the driver's thread calls it."""
        self._study, self._note = study, note
        self.patience = patience
        """Seconds to wait for an MLflow that does not answer."""
        self._texts: deque[str] = deque()
        self._answers: deque[Answer] = deque()
        self._delivery = Delivery(self._probe, self._lost, self._found, self._refused)
        self._tracker: Tracker | None = None
        self._training: set[RunKey] = set()
        """The runs that the driver has told of. It tells their ends as well."""
        self._missing = False
        """Whether something was left out, although MLflow answers."""
        self._told_lost = self._told_refused = self._gave_up = False

    # -- what the driver tells

    def study_started(self) -> None:
        """Opens the study's run, and compares the study's records with what MLflow has of them."""
        self._delivery.put("study", self._open_study)
        self._delivery.put("compare", self._compare)

    def run_changed(
        self, record: TrialRecord, run_dir: Path, config: TrainConfig, epochs: int
    ) -> None:
        """Brings a run up to date: its settings, its first ``epochs`` epochs, and its state."""
        self._training.add(record.key)
        self._delivery.put(
            ("run", record.key),
            lambda: self._open().show(record, run_dir, config, epochs=epochs, live=True),
        )

    def ask(self, candidate: Candidate) -> None:
        """Asks the registry about a trial; see :meth:`answers`.

        Questions are asked in the order of these calls. Of two questions on a trial, the first of
        which was not asked yet, only the second is.
        """
        self._delivery.put(
            ("question", candidate.record.trial),
            lambda: self._answers.append(Answer(candidate, self._promote(candidate))),
            dropped=lambda: self._answers.append(Answer(candidate, None)),
            last=True,
        )

    def decided(self, found: Iterable[TrialRecord]) -> None:
        """Shows on the study's run what was decided on its trials."""
        found = tuple(found)
        self._delivery.put("decisions", lambda: self._open().study_decisions(found), last=True)

    def study_ended(self, summary: Summary, report: Path | None, state: str) -> None:
        """Shows how the study ended, and waits for MLflow. Ctrl-C ends the wait.

        Nobody hears the answers of the registry any more, so the next driver asks again.
        """
        unasked = self._delivery.drop(lambda key: isinstance(key, tuple) and key[0] == "question")
        self._training.clear()
        if self._missing:
            self._missing = False
            self._delivery.put("compare", self._compare, last=True)
        self._delivery.put("end", lambda: self._end_study(summary, report, state), last=True)
        self._drain()
        self._missing |= unasked > 0

    # -- what the driver hears

    def answers(self) -> list[Answer]:
        """The registry's answers since the last call, oldest first. Shows messages too."""
        while self._texts:
            self._note(self._texts.popleft())
        return [self._answers.popleft() for _ in range(len(self._answers))]

    @property
    def behind(self) -> bool:
        """Whether MLflow lacks something."""
        return self._missing or self._delivery.pending > 0

    def wait_for_answer(self, stopped: Callable[[], bool]) -> bool:
        """Waits for an answer of the registry; returns whether there is one.

        An MLflow that answers is waited for as long as it takes, and one that does not for
        ``patience`` seconds.
        """
        return self._wait(lambda: bool(self._answers), stopped)

    def close(self) -> None:
        """Waits until MLflow has everything, as :meth:`wait_for_answer` does; ends the thread."""
        self._delivery.put("close", self._close_tracker, last=True)
        self._drain()
        self._delivery.close()

    def _drain(self) -> None:
        try:
            self._wait(lambda: self._delivery.pending == 0, lambda: False)
        except KeyboardInterrupt:
            self._gave_up = True
        self.answers()

    def _wait(self, done: Callable[[], bool], stopped: Callable[[], bool]) -> bool:
        began, told = time.monotonic(), False
        self._delivery.hurry()
        while not done():
            away = self._delivery.away
            quiet = time.monotonic() - max(began, self._delivery.heard)
            self._gave_up = away and (self._gave_up or quiet > self.patience)
            if self._gave_up or stopped():
                self._gave_up = True
                return False
            if away and not told:
                told = True
                self._note(f"Waiting up to {self.patience:g} s for MLflow; Ctrl-C ends the wait.")
            self._delivery.wait(LOOK_SECONDS)
        return True

    # -- the thread's side

    def _open(self) -> Tracker:
        from sweep.tracking.sync import tracker_of

        if self._tracker is None:
            self._tracker = tracker_of(self._study)
        return self._tracker

    def _close_tracker(self) -> None:
        if self._tracker is not None:
            self._tracker.close()

    def _open_study(self) -> None:
        from sweep.tracking.sync import began

        self._open().study_started(self._study, began=began(records(self._study.paths.folder)))

    def _end_study(self, summary: Summary, report: Path | None, state: str) -> None:
        from sweep.tracking.sync import ended

        at = ended(records(self._study.paths.folder))
        self._open().study_ended(summary, report, state, at)

    def _promote(self, candidate: Candidate) -> Gate:
        from sweep.tracking.registry import promote

        return promote(self._study, candidate, self._study.tracking_uri)

    def _compare(self) -> None:
        """Adds what MLflow lacks of the runs that no worker of this driver trains, and versions.

        A run that an earlier driver left as running is shown as interrupted: nothing runs it now.
        """
        from sweep.tracking.registry import restore
        from sweep.tracking.sync import show_all

        found = []
        for record in records(self._study.paths.folder):
            if record.state not in UNFINISHED:
                found.append(record)
            elif record.key not in self._training:
                found.append(record.model_copy(update={"state": "interrupted"}))
        tracker = self._open()
        for error in show_all(self._study, tracker, found):
            self._refused(error)
        tracker.study_decisions(found)
        restore(self._study, found, self._study.tracking_uri)

    def _probe(self) -> None:
        client.ask_anything(self._study.tracking_uri)

    def _lost(self, error: UvtexError) -> None:
        if not self._told_lost:
            self._told_lost = True
            why = str(error).removesuffix(client.ADVICE)
            self._texts.append(f"MLflow is away; it gets all results when it is back: {why}")

    def _found(self) -> None:
        # What the tracker remembers of MLflow may be wrong after an outage, and a call that was
        # given up may have been carried out since.
        self._close_tracker()
        self._tracker = None
        self._delivery.put("compare", self._compare, last=True)
        self._delivery.put("back", self._end_of_outage, last=True)

    def _end_of_outage(self) -> None:
        self._told_lost = False
        if not self._missing:
            self._texts.append("MLflow is back, and has all results.")

    def _refused(self, error: UvtexError) -> None:
        self._missing = True
        if not self._told_refused:
            self._told_refused = True
            self._texts.append(f"MLflow lacks a part of the study: {error}")
