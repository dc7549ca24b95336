"""Optuna's pruners decide over the benchmark's storage as they do in a study of Optuna's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from benchmarks.promotion.policies.optuna_pruners import LOWEST, PRUNERS, OptunaPolicy, Storage
from benchmarks.promotion.replay import Trial, draw, replay
from benchmarks.promotion.task import Task, load

PROBES = Path(__file__).parents[2] / "benchmarks" / "promotion" / "curves" / "probe.npz"


def long_task() -> Task:
    """Sixty runs of 40 points, so that hyperband has four brackets; one is no number from 5 on."""
    rng = np.random.default_rng(0)
    ends = rng.uniform(-0.8, 0.2, size=60)
    rise = 1 - np.exp(-np.arange(1, 41) / rng.uniform(2, 20, size=60)[:, None])
    joint = -1 + (1 + ends[:, None]) * rise + rng.normal(0, 0.02, size=(60, 40))
    joint[7, 5:] = -np.inf
    slacks = np.stack([joint, joint + 0.1], axis=2)
    return Task("made", slacks, joint, joint, joint.max(axis=1) >= 0, np.arange(60), None, None)


def in_optuna(name: str, task: Task, number: int) -> list[int]:
    """Points run of each trial of a replay, by ``ask``, ``report``, ``should_prune``, ``tell``."""
    study = optuna.create_study(
        study_name=f"replay {number}", direction="maximize", pruner=PRUNERS[name](task.points)
    )
    return [followed(study, task.joint[row]) for row, _ in draw(task, 0, number)]


def followed(study: optuna.Study, joint: np.ndarray) -> int:
    asked = study.ask()
    values = np.maximum(joint, LOWEST)
    for point, value in enumerate(values[:-1]):
        asked.report(float(value), point)
        if values[: point + 1].max() < 0 and asked.should_prune():
            study.tell(asked, state=TrialState.PRUNED)
            return point + 1
    asked.report(float(values[-1]), len(values) - 1)
    study.tell(asked, float(values.max()))
    return len(values)


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.parametrize("name", PRUNERS)
@pytest.mark.parametrize("task", [load(PROBES, 0.1), long_task()], ids=["probes", "made"])
def test_a_replay_decides_as_a_study_of_optuna_does(name: str, task: Task) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    stops = []
    for number in (0, 1):
        fates = replay(task, OptunaPolicy(name), 0, number).fates
        assert [fate.points for fate in fates] == in_optuna(name, task, number)
        stops += [fate.points for fate in fates if fate.flagged]
    assert len(stops) > 10  # the pruner had something to decide


def test_the_brackets_of_hyperband_depend_on_the_replay() -> None:
    task = long_task()
    judges = [OptunaPolicy("hyperband").judge(task, number) for number in (0, 1)]
    ran = [[judge.follow(Trial(task, row, row)).points for row in range(60)] for judge in judges]
    assert ran[0] != ran[1]


def test_a_trial_that_was_read_does_not_change_when_an_attribute_is_set() -> None:
    storage = Storage()
    number = storage.begin()
    read = storage.get_all_trials(0, deepcopy=False)
    storage.set_trial_system_attr(number, "completed_rung_0", 0.5)
    assert read[0].system_attrs == {}
    assert storage.trials[number].system_attrs == {"completed_rung_0": 0.5}
