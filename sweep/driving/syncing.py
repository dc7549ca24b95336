"""``sweep sync``: MLflow made to agree with a study, and the registry asked what is overdue."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sweep.driving.due_runs import Records
from sweep.driving.gate import RegistryGate
from sweep.report.summary import summarise
from sweep.study.config import StudyConfig
from sweep.study.folder import Gate, TrialRecord, records, write_record
from sweep.study.lease import lease
from sweep.study.summary_record import read_summary, write_summary
from sweep.tracking import sync as tracking_sync
from sweep.tracking.mirror import Answer
from sweep.tracking.registry import Candidate, promote


def sync(study: StudyConfig, uri: str | None, note: Callable[[str], None]) -> tracking_sync.Synced:
    """Makes MLflow agree with the study's records, and asks the registry what is overdue.

    Args:
        uri: another MLflow than the study's, which only gets a copy; None: the study's.
        note: is told of each run that was registered.

    Raises:
        StudyTaken: a driver runs the study. It keeps MLflow up to date itself.
        UvtexError: see :func:`sweep.tracking.sync.sync` and :func:`ask_overdue`.
    """
    if uri is not None and uri != study.tracking_uri:
        return tracking_sync.sync(study, uri)
    with lease(study.paths):  # another driver must not be at work
        pass
    done = tracking_sync.sync(study)
    with lease(study.paths):
        before = records(study.paths.folder)
        for record in before:
            number = done.versions.get(record.key)
            if record.gate is not None and number not in (None, record.gate.version):
                gate = record.gate.model_copy(update={"version": number})
                kept = record.model_copy(update={"gate": gate})
                write_record(study.paths.run_dir(*record.key), kept)
        ask_overdue(study, note)
        answered = records(study.paths.folder) != before
        if answered:
            _summarise_again(study)
    if answered:
        tracking_sync.show_end(study)
    return done


def _summarise_again(study: StudyConfig) -> None:
    """Writes the summary and the report anew: the registry has answered since they were written."""
    from sweep.report.build import write_report

    last = read_summary(study)
    if last is None:  # the study has not ended
        return
    kept = {"outcome": last.outcome, "ending": last.ending, "report": last.report}
    write_summary(study, summarise(study).model_copy(update=kept))
    if last.report is not None:
        write_report(study)


class AnswersAtOnce:
    """The registry of a study, for a command that may wait for it."""

    def __init__(self, study: StudyConfig) -> None:
        self._study = study
        self._answers: list[Answer] = []

    def ask(self, candidate: Candidate) -> None:
        """Asks, and keeps the answer.

        Raises:
            RegistryError, TrackingError: MLflow is away or refuses.
            UvtexError: the run's checkpoint cannot be used.
        """
        gate = promote(self._study, candidate, self._study.tracking_uri)
        self._answers.append(Answer(candidate, gate))

    def answers(self) -> list[Answer]:
        """The answers since the last call."""
        found, self._answers = self._answers, []
        return found

    def decided(self, found: Iterable[TrialRecord]) -> None:
        """Shows the records' decisions in MLflow."""
        tracking_sync.tracker_of(self._study).study_decisions(found)


def ask_overdue(study: StudyConfig, note: Callable[[str], None]) -> None:
    """Asks about all trials of a study on which its drivers got no answer, and waits for each.

    The caller holds the study's lease. Each answer is written as soon as it is there.

    Raises:
        UvtexError: see :meth:`AnswersAtOnce.ask`.
    """
    found = Records(records(study.paths.folder))

    def write(record: TrialRecord, gate: Gate) -> None:
        found[record.key] = record.model_copy(update={"gate": gate})
        write_record(study.paths.run_dir(*record.key), found[record.key])

    registry = AnswersAtOnce(study)
    gate = RegistryGate(study, found, registry, note, write)
    try:
        gate.ask_overdue()
    finally:
        gate.hear()
