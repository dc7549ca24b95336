"""Trials are drawn in memory: as Optuna itself draws them, and of a limited view of the study."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from sweep.driving.sampling import drawing
from sweep.driving.sampling.drawing import Drawing, Shown
from sweep.driving.sampling.optuna_study import OptunaStudy
from sweep.study.config import StudyConfig
from sweep.study.search.settings import Search
from tests.sweep.driving.sampling.asking import ask, told
from tests.sweep.driving.sampling.test_samplers import SAMPLERS, made

SPACE = {"x": FloatDistribution(0, 1), "y": FloatDistribution(0.1, 10, log=True)}


def trial(number: int, value: float | None, state: TrialState, broken: float = -1.0) -> FrozenTrial:
    """A trial of a study, which breaks its constraint where ``broken`` is above 0."""
    made = create_trial(
        state=state,
        value=value,
        params={"x": number / 100 % 1, "y": 1.0},
        distributions=dict(SPACE),
        intermediate_values={} if value is None else {1: value},
        constraints={"other": broken},
    )
    made.number = number
    return made


def whole(number: int, value: float, broken: float = -1.0) -> FrozenTrial:
    return trial(number, value, TrialState.COMPLETE, broken)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_trial_is_drawn_as_optuna_draws_it_in_its_own_storage(
    tmp_path: Path, sampler: str
) -> None:
    """Also with a trial that is running, whose settings the sampler takes into account."""
    config = made(tmp_path, sampler)
    ask(config, 3)
    ask_only(config)
    trials, attributes = told(config)
    assert [one.state for one in trials][-1] == TrialState.RUNNING
    space = dict(trials[0].distributions)
    mine = Drawing(config.search, space)
    drawn, changed = mine.draw(trials, attributes)

    storage, own = optuna.storages.InMemoryStorage(), mine.sampler(len(trials))
    optunas = optuna.create_study(
        storage=storage, study_name="s", direction="maximize", sampler=own
    )
    optunas.add_trials(trials)
    study = storage.get_study_id_from_name("s")
    for key, value in attributes.items():
        storage.set_study_system_attr(study, key, value)
    theirs = optunas.ask(fixed_distributions=space)
    assert drawn.number == theirs.number == 4
    assert drawn.params == theirs.params
    assert list(drawn.params) == list(space)
    assert drawn.distributions == theirs.distributions
    assert drawn.system_attrs == optunas.trials[-1].system_attrs
    assert {**attributes, **changed} == storage.get_study_system_attrs(study)
    assert bool(changed) == (sampler == "qmc")


def ask_only(config: StudyConfig) -> None:
    trials = OptunaStudy(config)
    assert trials.ask() is not None
    trials.close()


def test_a_trial_is_stored_in_one_transaction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = made(tmp_path, "tpe")
    ask(config, 3)
    writes: list[str] = []
    for name in ("_create_new_trial", "_set_trial_param", "set_trial_system_attr"):
        real = getattr(RDBStorage, name)

        def counted(*arguments: Any, _real: Any = real, _name: str = name, **options: Any) -> Any:
            writes.append(_name)
            return _real(*arguments, **options)

        monkeypatch.setattr(RDBStorage, name, counted)
    ask_only(config)
    assert writes == ["_create_new_trial"]
    last = told(config)[0][-1]
    assert last.state == TrialState.RUNNING
    assert len(last.params) == 4


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_drawn_trial_stays_until_it_is_stored() -> None:
    """So a storage that refuses it gets the same trial, and ``qmc`` leaves no point out."""
    drawn = Drawing(Search(sampler="qmc"), SPACE)
    trials = [whole(0, 0.5)]
    first, changed = drawn.draw(trials, {})
    assert drawn.draw(trials, changed)[0] is first
    trials.append(first)
    second, _ = drawn.draw(trials, changed)
    assert second.params != first.params


def test_of_many_trials_a_sampler_sees_the_best_and_the_latest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(drawing, "MOST_SHOWN", 6)
    monkeypatch.setattr(drawing, "BEST_SHOWN", 4)
    trials = [
        whole(0, 0.9, broken=0.3),
        whole(1, 0.1),
        trial(2, 0.8, TrialState.PRUNED),
        trial(3, None, TrialState.FAIL),
        whole(4, 0.7),
        whole(5, 0.95, broken=0.2),
        trial(6, 0.6, TrialState.PRUNED, broken=0.1),
        trial(7, None, TrialState.RUNNING),
        whole(8, 0.2),
        trial(9, None, TrialState.RUNNING),
    ]
    seen = Shown()
    # What breaks no constraint comes first, of that what is complete; then what breaks it least.
    assert [one.number for one in seen.of(trials)] == [1, 2, 4, 6, 8, 9]
    assert [one.number for one in seen.of(trials[:6])] == [0, 1, 2, 3, 4, 5]
    trials[7] = whole(7, 0.3)
    assert [one.number for one in seen.of(trials)] == [1, 2, 4, 7, 8, 9]
    assert [one.number for one in Shown().of(trials)] == [1, 2, 4, 7, 8, 9]


def test_what_a_sampler_sees_does_not_depend_on_when_trials_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever has followed the study sees what a driver sees that resumes it. Many values tie."""
    monkeypatch.setattr(drawing, "MOST_SHOWN", 8)
    monkeypatch.setattr(drawing, "BEST_SHOWN", 3)
    random = Random(0)
    trials: list[FrozenTrial] = []
    following = Shown()
    for number in range(80):
        trials.append(trial(number, None, TrialState.RUNNING))
        for running in [one.number for one in trials if one.state == TrialState.RUNNING]:
            if random.random() < 0.1:
                state = random.choice([TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL])
                value = None if state == TrialState.FAIL else random.randrange(4) / 4
                trials[running] = trial(running, value, state)
        seen = [one.number for one in following.of(trials)]
        assert seen == [one.number for one in Shown().of(trials)]
        if len(trials) > 8:
            earlier = [
                t for t in trials[:-5] if t.state in (TrialState.COMPLETE, TrialState.PRUNED)
            ]
            best = sorted(earlier, key=drawing._quality, reverse=True)[:3]
            latest = range(number - 4, number + 1)
            assert seen == [*sorted(one.number for one in best), *latest]


@pytest.mark.parametrize("sampler", ["tpe", "cmaes", "qmc"])
def test_a_study_of_more_trials_than_a_sampler_sees_is_resumed_to_the_same_trials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sampler: str
) -> None:
    monkeypatch.setattr(drawing, "MOST_SHOWN", 4)
    monkeypatch.setattr(drawing, "BEST_SHOWN", 2)
    at_once = ask(made(tmp_path / "a", sampler), 6)
    parts = [drawn for number in (5, 1) for drawn in ask(made(tmp_path / "b", sampler), number)]
    assert at_once == parts
    assert len({str(params) for params in at_once}) == 6
