"""Optuna's samplers, by the names that a study file has for them."""

from __future__ import annotations

import numpy as np
import optuna
from optuna.samplers import BaseSampler

from sweep.study.search.settings import SamplerName


def sampler(name: SamplerName, seed: int, startup_trials: int, trials: int) -> BaseSampler:
    """A new sampler for the next trial.

    What a sampler has learnt is in Optuna's storage, so a sampler that lives for one trial draws
    what one that lived from the beginning would draw. Two of the storage's users differ: ``cmaes``
    keeps its distribution in the attributes of trials, and ``qmc`` the position in its sequence in
    those of the study.

    Some samplers warn that they are experimental. The caller silences that.

    Args:
        seed: the seed of the search.
        startup_trials: number of trials that are drawn at random before ``tpe``, ``gp`` and
            ``cmaes`` use what they have learnt.
        trials: number of trials that Optuna has. It gives every trial a seed of its own.
    """
    own = int(np.random.SeedSequence([seed, trials]).generate_state(1)[0])
    if name == "tpe":
        return optuna.samplers.TPESampler(
            multivariate=True, n_startup_trials=startup_trials, seed=own
        )
    if name == "gp":
        return optuna.samplers.GPSampler(
            n_startup_trials=startup_trials, seed=own, warn_independent_sampling=False
        )
    if name == "cmaes":
        return optuna.samplers.CmaEsSampler(
            n_startup_trials=max(1, startup_trials), seed=own, warn_independent_sampling=False
        )
    if name == "qmc":
        # One sequence for the whole study, so its seed is that of the search.
        return optuna.samplers.QMCSampler(
            scramble=True,
            seed=seed,
            independent_sampler=optuna.samplers.RandomSampler(seed=own),
            warn_independent_sampling=False,
        )
    return optuna.samplers.RandomSampler(seed=own)
