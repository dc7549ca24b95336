"""A study in Optuna's storage. What fails may be done again.

A trial keeps its number for life. A trial that was running when its driver died is resumed under
the same number, so the trial directories and Optuna's storage agree about the numbers. Three
kinds of trials have a number and no directory: those of earlier studies, those that repeat another,
and those that hold the result of a trial that had failed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial

from sweep.driving.sampling import repeats
from sweep.driving.sampling.drawing import Drawing
from sweep.driving.sampling.known_settings import KnownSettings
from sweep.driving.sampling.lost_trials import rebuild
from sweep.driving.sampling.optuna_storage import open_storage
from sweep.driving.sampling.results import (
    REPEATS,
    RETRIED,
    SCHEDULE,
    WARM_START,
    as_retried,
    as_trial,
    constraints,
    has_directory,
    is_trained,
    result_state,
)
from sweep.driving.sampling.unfinished import Unfinished
from sweep.driving.sampling.warm_start import EarlierProbe
from sweep.study.config import OBJECTIVE, StudyConfig
from sweep.study.folder import SEARCHED, TrialRecord
from sweep.study.search import space
from sweep.study.search.distributions import distributions

State = optuna.trial.TrialState


@dataclass(frozen=True)
class Asked:
    """A trial to run."""

    number: int
    schedule: str
    params: space.Params


class StoredStudy:
    """The study's trials in Optuna's storage, for one thread.

    A method that failed may be called again, also if the storage has kept what it wrote before it
    failed: every method reads first what is there.
    """

    def __init__(self, study: StudyConfig) -> None:
        self._config = study
        self._distributions = distributions(study.search)
        self._points = repeats.number_of_points(self._distributions)
        self._known = KnownSettings(study, self._distributions)
        self._drawing = Drawing(study.search, self._distributions)
        self._storage: optuna.storages.RDBStorage | None = None
        self._unfinished = Unfinished()
        self._handed: set[int] = set()
        """The unfinished trials that the driver knows."""
        self.exhausted: str | None = None
        """Why there is no trial to train any more; None while there may be one."""

    def open(self) -> list[FrozenTrial]:
        """Opens the storage, and creates what is missing there; returns the trials by number."""
        self._storage = self._storage or open_storage(self._config.optuna_url)
        self._study = optuna.create_study(
            storage=self._storage,
            study_name=self._config.name,
            direction="maximize",
            load_if_exists=True,
            sampler=self._drawing.sampler(0),
        )
        self._id = self._storage.get_study_id_from_name(self._config.name)
        return self._trials()

    def close(self) -> None:
        """Closes the storage."""
        if self._storage is not None:
            self._storage.remove_session()
            self._storage.engine.dispose()

    @property
    def warmed_by(self) -> list[str]:
        """The earlier studies that were told."""
        return list(self._study.user_attrs.get(WARM_START, []))

    def warm_start(self, probes: Sequence[EarlierProbe]) -> int:
        """Adds those of ``probes`` that were not added before; returns how many there were."""
        known = {trial.user_attrs.get(WARM_START) for trial in self._trials()}
        new = {name: p for p in probes if (name := f"{p.study}/{p.record.trial:04d}") not in known}
        for name, probe in new.items():
            self._study.add_trial(as_trial(self._config, self._distributions, name, probe))
        self._study.set_user_attr(WARM_START, list(self._config.search.warm_start))
        return len(new)

    def enqueue(self) -> None:
        """Queues those named schedules of the study that were never queued before."""
        known = {trial.user_attrs.get(SCHEDULE) for trial in self._trials()}
        for name in self._config.search.queue:
            if name not in known:
                params = space.params(self._config, self._config.search.schedules[name])
                self._study.enqueue_trial(params, user_attrs={SCHEDULE: name})

    def ask(self) -> Asked | None:
        """The next trial to train; None if there is none, see :attr:`exhausted`."""
        trials: Sequence[FrozenTrial] = self._trials()
        left = self._points > len(trials) or self._points > len(self._tried(trials))
        if left or self._left_over(trials) or self._queued(trials):
            for _ in range(repeats.MOST_REPEATS):
                asked, trials = self._draw(trials)
                if not self._settle(asked, trials):
                    return self._hand(asked)
                trials = self._trials()
            point = repeats.untried(self._config, self._distributions, self._tried(trials))
            if point is not None:
                self._study.enqueue_trial(point)
                return self._hand(self._draw(self._trials())[0])
        if self._points <= repeats.LARGEST_LISTED:
            self.exhausted = "every point of the search space was tried"
        else:
            self.exhausted = (
                f"the last {repeats.MOST_REPEATS} suggestions of the sampler were trained already"
            )
        return None

    def _hand(self, asked: Asked) -> Asked:
        self._handed.add(asked.number)
        return asked

    def _draw(self, trials: Sequence[FrozenTrial]) -> tuple[Asked, Sequence[FrozenTrial]]:
        """The next trial, and all trials with it."""
        if (unknown := self._left_over(trials)) is not None:
            asked = self._asked(self._completed(unknown))
        elif self._queued(trials):
            asked = self._asked(self._study.ask(fixed_distributions=self._distributions))
        else:
            stored = self._store(trials)
            return self._asked(stored), [*trials, stored]
        return asked, self._trials()

    def _store(self, trials: Sequence[FrozenTrial]) -> FrozenTrial:
        """Draws a trial, and stores it in one transaction."""
        assert self._storage is not None
        before = self._storage.get_study_system_attrs(self._id)
        trial, attributes = self._drawing.draw(trials, before)
        for key, value in attributes.items():
            self._storage.set_study_system_attr(self._id, key, value)
        self._study.add_trial(trial)
        return trial

    def _left_over(self, trials: Sequence[FrozenTrial]) -> FrozenTrial | None:
        """A trial that an attempt to ask has left, although it failed."""
        running = (t for t in self._unfinished.of(trials) if t.state == State.RUNNING)
        return next((trial for trial in running if trial.number not in self._handed), None)

    def _queued(self, trials: Sequence[FrozenTrial]) -> bool:
        return any(trial.state == State.WAITING for trial in self._unfinished.of(trials))

    def settle(self, asked: Asked) -> bool:
        """Tells an unfinished trial the result of an earlier one with the same settings, if any."""
        return self._settle(asked, self._trials())

    def _settle(self, asked: Asked, trials: Sequence[FrozenTrial]) -> bool:
        if asked.schedule != SEARCHED:
            return False  # a person asked for it
        own = trials[asked.number]
        if own.state.is_finished():
            return True  # by an attempt whose answer was lost
        first = self._first_alike(own, trials)
        if first is None:
            return False
        trial = self._trial(asked.number)
        # The attribute comes first: a trial that has it never gets a directory.
        trial.set_user_attr(REPEATS, first.number)
        if not first.state.is_finished() or first.state == State.FAIL:
            self._study.tell(asked.number, state=State.FAIL)  # its result is not known yet
            return True
        for step, value in first.intermediate_values.items():
            trial.report(value, step)
        for name, value in first.constraints.items():
            trial.set_constraint(name, value)
        values = first.values if first.state == State.COMPLETE else None
        self._study.tell(asked.number, values, state=first.state)
        return True

    def _first_alike(self, own: FrozenTrial, trials: Sequence[FrozenTrial]) -> FrozenTrial | None:
        if REPEATS in own.user_attrs:
            return trials[int(own.user_attrs[REPEATS])]  # found by an attempt that failed
        self._known.add(trials)
        alike = (trials[number] for number in self._known.earlier(own.number))
        return next((trial for trial in alike if is_trained(trial)), None)

    def _tried(self, trials: Sequence[FrozenTrial]) -> set[str]:
        self._known.add(trials)
        found = (self._known.of(trial.number) for trial in trials if is_trained(trial))
        return {fingerprint for fingerprint in found if fingerprint is not None}

    def unfinished(self) -> list[Asked]:
        """Trials that have no result yet, by number."""
        unfinished = self._unfinished.of(self._trials())
        running = [trial for trial in unfinished if trial.state == State.RUNNING]
        self._handed.update(trial.number for trial in running)
        return [self._asked(self._completed(trial)) for trial in running]

    def known(self, number: int) -> Asked | None:
        """The trial of a number; None if there is none, or none with a directory."""
        trials = self._trials()
        if number >= len(trials) or not has_directory(trials[number]):
            return None
        whole = trials[number].params.keys() >= self._distributions.keys()
        return self._asked(self._trial(number)) if whole else None

    def rebuild(self, probes: Sequence[TrialRecord]) -> bool:
        """Adds trials under the numbers of ``probes``, if none of these was given since."""
        return rebuild(self._study, self._distributions, probes)

    def numbers(self) -> set[int]:
        """The numbers of all trials that this study trains or has trained."""
        return {trial.number for trial in self._trials() if has_directory(trial)}

    def report(self, number: int, epoch: int, value: float) -> None:
        """Stores an epoch's objective in place of what it had."""
        assert self._storage is not None
        self._storage.set_trial_intermediate_value(self._trial_id(number), epoch, value)

    def tell(self, record: TrialRecord, best: Mapping[str, float] | None) -> None:
        """Ends a probe's trial, if it has no result yet."""
        assert self._storage is not None
        frozen = self._storage.get_trial(self._trial_id(record.trial))
        if frozen.state.is_finished():
            return
        if record.state == "failed" or best is None:
            self._study.tell(record.trial, state=State.FAIL)
            return
        trial = self._trial(record.trial)
        for name, value in constraints(self._config, best).items():
            if name not in frozen.constraints:
                trial.set_constraint(name, value)
        trial.set_user_attr("margin", best["margin"])
        if result_state(self._config, record) == State.PRUNED:
            self._study.tell(record.trial, state=State.PRUNED)
        else:
            self._study.tell(record.trial, best[OBJECTIVE])

    def tell_again(self, record: TrialRecord, best: Mapping[str, float]) -> None:
        """Adds a trial with the result of a probe whose own trial failed, unless there is one."""
        if any(trial.user_attrs.get(RETRIED) == record.trial for trial in self._trials()):
            return
        made = self._trials()[record.trial].intermediate_values
        self._study.add_trial(as_retried(self._config, self._distributions, record, best, made))

    def _asked(self, trial: optuna.Trial | FrozenTrial) -> Asked:
        drawn = trial.params
        params = {name: drawn[name] for name in self._distributions}
        return Asked(trial.number, trial.user_attrs.get(SCHEDULE, SEARCHED), params)

    def _completed(self, frozen: FrozenTrial) -> optuna.Trial:
        """A running trial with all its parameters.

        A driver that died while it took a trial from the queue left some of them out of Optuna's
        storage. Suggesting a parameter returns the stored value or the queued one.
        """
        trial = self._trial(frozen.number)
        if frozen.params.keys() >= self._distributions.keys():
            return trial
        for name, of in self._distributions.items():
            if isinstance(of, CategoricalDistribution):
                trial.suggest_categorical(name, of.choices)
            elif isinstance(of, IntDistribution):
                trial.suggest_int(name, of.low, of.high, step=of.step, log=of.log)
            elif isinstance(of, FloatDistribution):
                trial.suggest_float(name, of.low, of.high, log=of.log)
        return trial

    def _trials(self) -> list[FrozenTrial]:
        """All trials, by number. They must not be changed: Optuna's cache holds them."""
        return self._study.get_trials(deepcopy=False)

    def _trial(self, number: int) -> optuna.Trial:
        return optuna.Trial(self._study, self._trial_id(number))

    def _trial_id(self, number: int) -> int:
        assert self._storage is not None
        return self._storage.get_trial_id_from_study_id_trial_number(self._id, number)
