"""The Optuna study behind a study.

A trial keeps its number for life. A trial that was running when its driver died is resumed under
the same number, so the trial directories and Optuna's storage agree about the numbers. Two kinds of
trials have a number and no directory: those of earlier studies, and those that repeat another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial

from sweep.decisions import promotion
from sweep.driving.sampling import repeats
from sweep.driving.sampling.optuna_storage import mapped_errors, open_storage
from sweep.driving.sampling.samplers import sampler
from sweep.driving.sampling.warm_start import EarlierProbe
from sweep.study.config import OBJECTIVE, StudyConfig
from sweep.study.folder import SEARCHED, TrialRecord
from sweep.study.search import space
from sweep.study.search.distributions import distributions
from uvtex.runs.epochs import EpochReport

SCHEDULE = "schedule"
"""Name of the user attribute that holds the schedule's name."""

REPEATS = "repeats"
"""Name of the user attribute of a trial that was not trained, because its settings had been trained
already. It holds the number of the trial whose result it has."""

WARM_START = "warm_start"
"""Name of the user attribute of a trial that an earlier study trained, such as ``STUDY/0007``. The
study has an attribute of this name too, which lists the earlier studies that were told."""

READ_COMPLETE_ONLY = ("gp", "cmaes")
"""Samplers that pass over trials in the state PRUNED (docs/decisions/0018)."""

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
        self._fingerprints: dict[int, str] = {}
        self.exhausted: str | None = None
        """Why there is no trial to train any more; None while there may be one."""
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

    def warm_start(self, probes: Sequence[EarlierProbe]) -> int:
        """Adds probes of earlier studies as trials of their own, and returns how many are new.

        A second call adds none of them again.
        """
        with mapped_errors("add the trials of earlier studies", self.database):
            known = {trial.user_attrs.get(WARM_START) for trial in self._study.get_trials()}
            new = {
                name: p for p in probes if (name := f"{p.study}/{p.record.trial:04d}") not in known
            }
            for name, probe in new.items():
                self._study.add_trial(self._as_trial(name, probe))
            self._study.set_user_attr(WARM_START, list(self._config.search.warm_start))
        return len(new)

    @property
    def warm(self) -> bool:
        """Whether the studies of ``search.warm_start`` were told already."""
        with mapped_errors("read the study", self.database):
            told = self._study.user_attrs.get(WARM_START, [])
        return set(self._config.search.warm_start) <= set(told)

    def enqueue(self) -> None:
        """Queues those named schedules of the study that were never queued before."""
        with mapped_errors("queue the named schedules", self.database):
            known = {trial.user_attrs.get(SCHEDULE) for trial in self._study.get_trials()}
            for name in self._config.search.queue:
                if name not in known:
                    params = space.params(self._config, self._config.search.schedules[name])
                    self._study.enqueue_trial(params, user_attrs={SCHEDULE: name})

    def ask(self) -> Asked | None:
        """The next trial to train: a queued one if there is one, else one of the sampler's.

        A suggestion whose settings were trained already is told its known result, and the sampler
        is asked again. If it insists, a point that was not tried is looked for.

        Returns:
            None if there is none, see :attr:`exhausted`.
        """
        if self.exhausted is not None:
            return None
        with mapped_errors("ask for a trial", self.database):
            points = repeats.number_of_points(self._distributions)
            queued = self._study.get_trials(deepcopy=False, states=(State.WAITING,))
            if queued or len(self._tried()) < points:
                for _ in range(repeats.MOST_REPEATS):
                    asked = self._draw()
                    if not self._settled(asked):
                        return asked
                point = repeats.untried(self._config, self._distributions, self._tried())
                if point is not None:
                    self._study.enqueue_trial(point)
                    return self._draw()
        if points <= repeats.LARGEST_LISTED:
            self.exhausted = "every point of the search space was tried"
        else:
            self.exhausted = (
                f"the last {repeats.MOST_REPEATS} suggestions of the sampler were trained already"
            )
        return None

    def settle(self, asked: Asked) -> bool:
        """Tells an unfinished trial the result of an earlier one with the same settings.

        Returns:
            Whether there is such an earlier trial.
        """
        with mapped_errors("store the result of a trial", self.database):
            return self._settled(asked)

    def _draw(self) -> Asked:
        # A new sampler for each trial, so that a resumed study draws the same trials.
        self._study.sampler = self._sampler(len(self._study.get_trials(deepcopy=False)))
        return self._asked(self._study.ask(fixed_distributions=self._distributions))

    def _settled(self, asked: Asked) -> bool:
        if asked.schedule != SEARCHED:
            return False  # a person asked for it
        own = repeats.fingerprint(self._config, asked.params)
        same = (t for t in self._trained() if t.number < asked.number)
        first = next((t for t in same if self._fingerprint(t) == own), None)
        if first is None:
            return False
        trial = self._trial(asked.number)
        # The attribute comes first: a trial that has it never gets a directory.
        trial.set_user_attr(REPEATS, first.number)
        if first.state == State.RUNNING:
            self._study.tell(asked.number, state=State.FAIL)  # its result is not known yet
            return True
        for step, value in first.intermediate_values.items():
            trial.report(value, step)
        for name, value in first.constraints.items():
            trial.set_constraint(name, value)
        values = first.values if first.state == State.COMPLETE else None
        self._study.tell(asked.number, values, state=first.state)
        return True

    def _trained(self) -> list[FrozenTrial]:
        """Trials with a result or on their way to one, without those that repeat another."""
        states = (State.COMPLETE, State.PRUNED, State.RUNNING)
        trials = self._study.get_trials(deepcopy=False, states=states)
        whole = self._distributions.keys()
        return [t for t in trials if REPEATS not in t.user_attrs and t.params.keys() >= whole]

    def _tried(self) -> set[str]:
        return {self._fingerprint(trial) for trial in self._trained()}

    def _fingerprint(self, trial: FrozenTrial) -> str:
        if trial.number not in self._fingerprints:
            found = repeats.fingerprint(self._config, trial.params)
            self._fingerprints[trial.number] = found
        return self._fingerprints[trial.number]

    def unfinished(self) -> list[Asked]:
        """Trials that have no result yet, by number."""
        with mapped_errors("read the running trials", self.database):
            running = self._study.get_trials(deepcopy=False, states=(State.RUNNING,))
            return [self._asked(self._completed(trial.number)) for trial in running]

    def numbers(self) -> set[int]:
        """The numbers of all trials that this study trains or has trained."""
        with mapped_errors("read the trials", self.database):
            trials = self._study.get_trials(deepcopy=False)
            return {
                trial.number
                for trial in trials
                if trial.state != State.WAITING
                and not trial.user_attrs.keys() & {REPEATS, WARM_START}
            }

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
            for name, value in self._constraints(best).items():
                if name not in frozen.constraints:
                    trial.set_constraint(name, value)
            trial.set_user_attr("margin", best["margin"])
            if self._state(record) == State.PRUNED:
                self._study.tell(record.trial, state=State.PRUNED)
            else:
                self._study.tell(record.trial, best[OBJECTIVE])

    def _state(self, record: TrialRecord) -> optuna.trial.TrialState:
        """The state that the sampler is told of a finished probe (docs/decisions/0018)."""
        reads_pruned = self._config.search.sampler not in READ_COMPLETE_ONLY
        return State.PRUNED if record.state == "pruned" and reads_pruned else State.COMPLETE

    def _constraints(self, best: dict[str, float]) -> dict[str, float]:
        if self._config.search.sampler == "cmaes":
            return {}  # it would not use them, and warns of them
        return promotion.constraints(best, self._config.thresholds_of("probe"))

    def _as_trial(self, name: str, probe: EarlierProbe) -> FrozenTrial:
        state = self._state(probe.record)
        return optuna.trial.create_trial(
            state=state,
            value=probe.best[OBJECTIVE] if state == State.COMPLETE else None,
            params=probe.params,
            distributions=self._distributions,
            user_attrs={WARM_START: name, "margin": probe.best["margin"]},
            intermediate_values={r.epoch: r.val[OBJECTIVE] for r in probe.epochs},
            constraints=self._constraints(probe.best),
        )

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
            elif isinstance(of, IntDistribution):
                trial.suggest_int(name, of.low, of.high, step=of.step, log=of.log)
            elif isinstance(of, FloatDistribution):
                trial.suggest_float(name, of.low, of.high, log=of.log)
        return trial

    def _trial(self, number: int) -> optuna.Trial:
        found = self._storage.get_trial_id_from_study_id_trial_number(self._id, number)
        return optuna.Trial(self._study, found)

    def _sampler(self, trials: int) -> optuna.samplers.BaseSampler:
        search = self._config.search
        return sampler(search.sampler, search.seed, search.startup_trials, trials)
