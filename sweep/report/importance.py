"""The importance of each searched parameter for coming near to passing, by PED-ANOVA.

What is explained is the joint slack, see :func:`sweep.report.pruning.joint_slacks`.

PED-ANOVA (Watanabe et al., "PED-ANOVA: Efficiently Quantifying Hyperparameter Importance in
Arbitrary Subspaces", IJCAI 2023) is Optuna's.
"""

from __future__ import annotations

import math
import warnings

from sweep.report.pruning import joint_slacks
from sweep.report.study_data import StudyData, StudyRun, even_share
from sweep.study.search.settings import Search

LEAST = 8
"""With fewer probes than this, an importance would be noise."""
MOST = 2000
"""Of more probes, an even share is taken."""


def importances(data: StudyData) -> dict[str, float]:
    """Parameter -> its share of the importance, the largest first; {} with too few probes.

    A probe that was stopped counts by its forecast.
    """
    slacks = joint_slacks(data)
    known = [
        (run, slacks[run.record.trial])
        for run in data.runs
        if run.record.stage == "probe" and math.isfinite(slacks.get(run.record.trial, math.nan))
    ]
    if len(known) < LEAST:
        return {}
    return _ped_anova(even_share(known, MOST), data.study.search)


def _ped_anova(runs: list[tuple[StudyRun, float]], search: Search) -> dict[str, float]:
    import optuna

    from sweep.study.search.distributions import distributions

    space = distributions(search)
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(direction="maximize")
        for run, slack in runs:
            params = dict(run.record.params)
            study.add_trial(
                optuna.trial.create_trial(
                    params=params,
                    distributions={name: space[name] for name in params},
                    value=slack,
                )
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            # Optuna's default is the best tenth. Of a dozen probes that would be one probe.
            evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=1 / 3)
            found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    finally:
        optuna.logging.set_verbosity(verbosity)
    return {name: float(value) for name, value in found.items()}
