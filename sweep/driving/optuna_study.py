"""The Optuna study behind a study: the only room that talks to Optuna.

A trial keeps its number for life. One that was running when its driver died is gone on with under
the same number, so the directories and Optuna's storage never disagree about which is which.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution

from sweep.decisions import promotion
from sweep.study import space
from sweep.study.config import CONSTANTS, OBJECTIVE, StudyConfig
from sweep.study.distributions import distributions
from sweep.study.folder import SEARCHED, TrialRecord
from uvtex.config import Schedule
from uvtex.runs.epochs import EpochReport

SCHEDULE = "schedule"
"""User attribute that holds the schedule's name."""

State = optuna.trial.TrialState


@dataclass(frozen=True)
class Asked:
    """A trial that is to be run."""

    number: int
    schedule: str
    params: space.Params


class OptunaStudy:
    """Asks for schedules and tells how they did. One owner at a time, the driver.

    What is told depends on the records alone and may be told again: the driver that takes over
    a study calls the same methods for what the last one may have left undone.
    """

    def __init__(self, study: StudyConfig) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study.paths.store.mkdir(parents=True, exist_ok=True)
        self._config = study
        self._storage = optuna.storages.RDBStorage(study.paths.optuna)
        self._study = optuna.create_study(
            storage=self._storage,
            study_name=study.name,
            direction="maximize",
            load_if_exists=True,
            sampler=self._sampler(0),
        )
        self._distributions = distributions(study.search)
        self._id = self._storage.get_study_id_from_name(study.name)

    def close(self) -> None:
        """Lets go of the storage."""
        self._storage.remove_session()
        self._storage.engine.dispose()

    def enqueue(self) -> None:
        """Queues the study's named schedules, those that never were."""
        known = {trial.user_attrs.get(SCHEDULE) for trial in self._study.get_trials()}
        for name in self._config.search.queue:
            if name not in known:
                params = space.params(self._config.search.schedules[name])
                self._study.enqueue_trial(params | self._constants(), user_attrs={SCHEDULE: name})

    def _constants(self) -> dict[str, float]:
        """What named schedules have for the searched constants: what the train settings say."""
        settings = self._config.train_config("probe", Schedule())
        searched = (name for name in CONSTANTS if getattr(self._config.search, name) is not None)
        return {name: getattr(settings, name) for name in searched}

    def ask(self) -> Asked:
        """The next schedule: queued ones first, then what TPE makes of those told so far."""
        # One sampler a trial, so that a study gone on with draws what it would have drawn anyway.
        self._study.sampler = self._sampler(len(self._study.get_trials(deepcopy=False)))
        return self._asked(self._study.ask(fixed_distributions=self._distributions))

    def unfinished(self) -> list[Asked]:
        """Trials that were asked for and never told, in the order of their numbers."""
        running = self._study.get_trials(deepcopy=False, states=(State.RUNNING,))
        return [self._asked(self._completed(trial.number)) for trial in running]

    def numbers(self) -> set[int]:
        """Every trial that was asked for, finished or not."""
        trials = self._study.get_trials(deepcopy=False)
        return {trial.number for trial in trials if trial.state != State.WAITING}

    def report(self, number: int, report: EpochReport) -> None:
        """Keeps an epoch's objective; what was reported before stays as it is."""
        trial = self._study.get_trials(deepcopy=False)[number]
        if not trial.state.is_finished() and report.epoch not in trial.intermediate_values:
            self._trial(number).report(report.val[OBJECTIVE], report.epoch)

    def tell(self, record: TrialRecord, best: dict[str, float] | None) -> None:
        """Ends a probe's trial by its record and its best epoch's metrics; once is enough."""
        frozen = self._study.get_trials()[record.trial]
        if frozen.state.is_finished():
            return
        if record.state == "failed" or best is None:
            self._study.tell(record.trial, state=State.FAIL)
            return
        trial = self._trial(record.trial)
        for name, value in promotion.constraints(best, self._config.thresholds).items():
            if name not in frozen.constraints:
                trial.set_constraint(name, value)
        trial.set_user_attr("margin", best["margin"])
        if record.state == "pruned":
            self._study.tell(record.trial, state=State.PRUNED)
        else:
            self._study.tell(record.trial, best[OBJECTIVE])

    def _asked(self, trial: optuna.Trial) -> Asked:
        drawn = trial.params
        params = {name: drawn[name] for name in self._distributions}
        return Asked(trial.number, trial.user_attrs.get(SCHEDULE, SEARCHED), params)

    def _completed(self, number: int) -> optuna.Trial:
        """A running trial with all its parameters.

        A driver that died between two suggestions left some of them out of Optuna's storage.
        Suggesting a parameter again returns the stored value.
        """
        trial = self._trial(number)
        for name, of in self._distributions.items():
            if isinstance(of, CategoricalDistribution):
                trial.suggest_categorical(name, of.choices)
            elif isinstance(of, FloatDistribution):
                trial.suggest_float(name, of.low, of.high, log=of.log)
        return trial

    def _trial(self, number: int) -> optuna.Trial:
        found = self._storage.get_trial_id_from_study_id_trial_number(self._id, number)
        return optuna.Trial(self._study, found)

    def _sampler(self, trials: int) -> optuna.samplers.TPESampler:
        search = self._config.search
        seed = np.random.SeedSequence([search.seed, trials]).generate_state(1)[0]
        return optuna.samplers.TPESampler(
            multivariate=True, n_startup_trials=search.startup_trials, seed=int(seed)
        )
