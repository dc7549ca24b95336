"""The Optuna study behind a study.

A trial keeps its number for life. A trial that was running when its driver died is resumed under
the same number, so the trial directories and Optuna's storage agree about the numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution

from sweep.decisions import promotion
from sweep.driving.optuna_storage import mapped_errors, open_storage
from sweep.study import space
from sweep.study.config import CONSTANTS, OBJECTIVE, StudyConfig
from sweep.study.distributions import distributions
from sweep.study.folder import SEARCHED, TrialRecord
from uvtex.config import Schedule
from uvtex.runs.epochs import EpochReport

SCHEDULE = "schedule"
"""Name of the user attribute that holds the schedule's name."""

State = optuna.trial.TrialState


@dataclass(frozen=True)
class Asked:
    """A trial to run."""

    number: int
    schedule: str
    params: space.Params


class OptunaStudy:
    """Asks Optuna for trials and tells it their results. The driver alone uses it.

    All methods that tell results depend on the records alone and may be called again. So a driver
    that recovers a study simply repeats what the last driver may have left undone.
    """

    def __init__(self, study: StudyConfig) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.database = study.paths.optuna
        self._config = study
        self._storage = open_storage(self.database)
        self._distributions = distributions(study.search)
        with mapped_errors("open the study", self.database):
            self._study = optuna.create_study(
                storage=self._storage,
                study_name=study.name,
                direction="maximize",
                load_if_exists=True,
                sampler=self._sampler(0),
            )
            self._id = self._storage.get_study_id_from_name(study.name)

    def close(self) -> None:
        """Closes the storage."""
        self._storage.remove_session()
        self._storage.engine.dispose()

    def enqueue(self) -> None:
        """Queues those named schedules of the study that were never queued before."""
        with mapped_errors("queue the named schedules", self.database):
            known = {trial.user_attrs.get(SCHEDULE) for trial in self._study.get_trials()}
            for name in self._config.search.queue:
                if name not in known:
                    params = space.params(self._config.search.schedules[name])
                    self._study.enqueue_trial(
                        params | self._constants(), user_attrs={SCHEDULE: name}
                    )

    def _constants(self) -> dict[str, float]:
        """Searched constant -> its value in the train settings, which named schedules run with."""
        settings = self._config.train_config("probe", Schedule())
        searched = (name for name in CONSTANTS if getattr(self._config.search, name) is not None)
        return {name: getattr(settings, name) for name in searched}

    def ask(self) -> Asked:
        """The next trial: a queued one if there is one, else one that the TPE sampler chose."""
        with mapped_errors("ask for a trial", self.database):
            # A new sampler for each trial, so that a resumed study draws the same trials.
            self._study.sampler = self._sampler(len(self._study.get_trials(deepcopy=False)))
            return self._asked(self._study.ask(fixed_distributions=self._distributions))

    def unfinished(self) -> list[Asked]:
        """Trials that have no result yet, by number."""
        with mapped_errors("read the running trials", self.database):
            running = self._study.get_trials(deepcopy=False, states=(State.RUNNING,))
            return [self._asked(self._completed(trial.number)) for trial in running]

    def numbers(self) -> set[int]:
        """The numbers of all trials that were asked for, finished or not."""
        with mapped_errors("read the trials", self.database):
            trials = self._study.get_trials(deepcopy=False)
            return {trial.number for trial in trials if trial.state != State.WAITING}

    def report(self, number: int, report: EpochReport) -> None:
        """Reports an epoch's objective. An epoch that was reported before keeps its value."""
        with mapped_errors("store an epoch", self.database):
            trial = self._study.get_trials(deepcopy=False)[number]
            if not trial.state.is_finished() and report.epoch not in trial.intermediate_values:
                self._trial(number).report(report.val[OBJECTIVE], report.epoch)

    def tell(self, record: TrialRecord, best: dict[str, float] | None) -> None:
        """Ends a probe's trial. A second call does nothing.

        Args:
            best: metrics of the probe's best epoch; None if it has no epoch.
        """
        with mapped_errors("store the result of a trial", self.database):
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
