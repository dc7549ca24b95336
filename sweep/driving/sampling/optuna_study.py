"""The Optuna study behind a study, as the driver uses it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future

import optuna

from sweep.driving.sampling.storage_calls import StorageCalls
from sweep.driving.sampling.stored_study import Asked, StoredStudy
from sweep.driving.sampling.warm_start import EarlierProbe
from sweep.study.config import OBJECTIVE, StudyConfig
from sweep.study.folder import TrialRecord
from uvtex.runs.epochs import EpochReport


class OptunaStudy:
    """Asks Optuna for trials and tells it their results. The driver alone uses it.

    All methods that tell results depend on the records alone and may be called again. So a driver
    that recovers a study simply repeats what the last driver may have left undone. They return at
    once: a thread stores what they tell, in order, see :mod:`sweep.driving.sampling.storage_calls`.

    Every method raises StorageError if the storage refuses, or was away for too long.
    """

    def __init__(self, study: StudyConfig, say: Callable[[str], None] = lambda text: None) -> None:
        """``say`` is told, by another thread, when the storage goes away and when it answers."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        # Some samplers are experimental, and say so whenever they are made.
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        self._stored = StoredStudy(study)
        self._asking: Future[Asked | None] | None = None
        self._ended: set[int] = set()
        """The trials that have a result, stored or on its way."""
        self._failed: set[int] = set()
        """Those of them that failed."""
        self._reported: dict[int, set[int]] = {}
        """Of the other trials, the epochs that were reported."""
        self._warm_start = study.search.warm_start
        self._calls = StorageCalls(study.optuna_url, say)
        try:
            for trial in self._calls.do("open the study", self._stored.open):
                if trial.state.is_finished():
                    self._ended.add(trial.number)
                    if trial.state == optuna.trial.TrialState.FAIL:
                        self._failed.add(trial.number)
                else:
                    self._reported[trial.number] = set(trial.intermediate_values)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stores what was told, if the storage answers, and closes it."""
        self._calls.close(self._stored.close)

    def flush(self) -> None:
        """Returns once everything that was told is stored."""
        self._calls.do("store the results", lambda: None)

    def warm_start(self, probes: Sequence[EarlierProbe]) -> int:
        """Adds probes of earlier studies as trials of their own, and returns how many are new.

        A second call adds none of them again.
        """
        doing = "add the trials of earlier studies"
        return self._calls.do(doing, lambda: self._stored.warm_start(probes))

    @property
    def warm(self) -> bool:
        """Whether the studies of ``search.warm_start`` were told already."""
        told = self._calls.do("read the study", lambda: self._stored.warmed_by)
        return set(self._warm_start) <= set(told)

    def enqueue(self) -> None:
        """Queues those named schedules of the study that were never queued before."""
        self._calls.do("queue the named schedules", self._stored.enqueue)

    def ask(self, seconds: float | None = None) -> Asked | None:
        """The next trial to train: a queued one if there is one, else one of the sampler's.

        A suggestion whose settings were trained already is told its known result, and the sampler
        is asked again. If it insists, a point that was not tried is looked for.

        Args:
            seconds: the longest wait for the answer; None: as long as it takes.

        Returns:
            None if there is none, see :attr:`exhausted`, or not yet, see :attr:`waiting`.
        """
        if self.exhausted is not None:
            return None
        if self._asking is None:
            self._asking = self._calls.put("ask for a trial", self._stored.ask)
        try:
            asked = self._asking.result(seconds)
        except TimeoutError:
            return None
        self._asking = None
        return asked

    @property
    def exhausted(self) -> str | None:
        """Why there is no trial to train any more; None while there may be one."""
        return self._stored.exhausted

    @property
    def waiting(self) -> bool:
        """Whether the answer of the storage to the last :meth:`ask` has not come yet."""
        return self._asking is not None

    def settle(self, asked: Asked) -> bool:
        """Tells an unfinished trial the result of an earlier one with the same settings.

        Returns:
            Whether there is such an earlier trial.
        """
        return self._calls.do("store the result of a trial", lambda: self._stored.settle(asked))

    def unfinished(self) -> list[Asked]:
        """Trials that have no result yet, by number."""
        return self._calls.do("read the running trials", self._stored.unfinished)

    def known(self, number: int) -> Asked | None:
        """The trial of a number, whether it has ended or not; None if it was not trained here."""
        return self._calls.do("read a trial", lambda: self._stored.known(number))

    def rebuild(self, probes: Sequence[TrialRecord]) -> bool:
        """Adds the trials of records that the storage has lost, under their numbers, as running.

        Returns:
            Whether they could be added. Nothing is added if the storage has given one of their
            numbers to another trial since.
        """
        return self._calls.do("add the lost trials", lambda: self._stored.rebuild(probes))

    def numbers(self) -> set[int]:
        """The numbers of all trials that this study trains or has trained."""
        return self._calls.do("read the trials", self._stored.numbers)

    def report(self, number: int, report: EpochReport) -> None:
        """Reports an epoch's objective. An epoch that was reported before keeps its value."""
        if number in self._ended or report.epoch in self._reported.setdefault(number, set()):
            return
        value = report.val[OBJECTIVE]
        self._calls.put("store an epoch", lambda: self._stored.report(number, report.epoch, value))
        self._reported[number].add(report.epoch)

    def tell(self, record: TrialRecord, best: Mapping[str, float] | None) -> None:
        """Ends a probe's trial. A second call does nothing.

        Optuna cannot take back that a trial failed. So a probe that failed first, and was taken up
        again, gets another trial that holds its result.

        Args:
            best: metrics of the probe's best epoch; None if it has no epoch.
        """
        if record.trial in self._failed and best is not None and record.state != "failed":
            self._failed.discard(record.trial)
            doing = "store the result of a trial that had failed"
            self._calls.put(doing, lambda: self._stored.tell_again(record, best))
        if record.trial in self._ended:
            return
        if record.state == "failed":
            self._failed.add(record.trial)
        self._calls.put("store the result of a trial", lambda: self._stored.tell(record, best))
        self._ended.add(record.trial)
        self._reported.pop(record.trial, None)
