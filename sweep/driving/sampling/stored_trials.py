"""What Optuna's storage holds, without creating a study in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import optuna

from sweep.driving.sampling.optuna_storage import mapped_errors, open_storage
from sweep.driving.sampling.results import has_directory
from sweep.study.config import StudyConfig


@dataclass(frozen=True)
class StoredTrial:
    """A trial in Optuna's storage that has a trial directory, or should have."""

    state: str
    """Optuna's word for it, such as ``COMPLETE``."""
    finished: bool
    epochs: frozenset[int]
    """The epochs that Optuna was told of."""


def stored_trials(study: StudyConfig) -> Mapping[int, StoredTrial] | None:
    """The study's trials by number, those without a directory left out; None: no such study.

    Raises:
        StorageError: the storage cannot be read.
    """
    with _open(study.optuna_url) as storage:
        try:
            found = optuna.load_study(study_name=study.name, storage=storage)
        except KeyError:
            return None
        return {
            trial.number: StoredTrial(
                trial.state.name, trial.state.is_finished(), frozenset(trial.intermediate_values)
            )
            for trial in found.get_trials(deepcopy=False)
            if has_directory(trial)
        }


def studies_in_optuna(url: str) -> dict[str, bool]:
    """The names of the studies in a storage -> whether any trial has a result."""
    with _open(url) as storage:
        names = optuna.get_all_study_names(storage)
        return {
            name: _has_results(optuna.load_study(study_name=name, storage=storage))
            for name in names
        }


def forget(url: str, name: str) -> None:
    """Deletes a study from Optuna's storage."""
    with _open(url) as storage:
        optuna.delete_study(study_name=name, storage=storage)


def _has_results(study: optuna.Study) -> bool:
    trials = study.get_trials(deepcopy=False)
    return any(trial.state.is_finished() or trial.intermediate_values for trial in trials)


@contextmanager
def _open(url: str) -> Iterator[optuna.storages.RDBStorage]:
    storage = open_storage(url)
    try:
        with mapped_errors("read it", url):
            yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()
