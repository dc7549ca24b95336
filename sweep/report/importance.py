"""The importance of each schedule parameter for the objective, by PED-ANOVA.

PED-ANOVA (Watanabe et al., "PED-ANOVA: Efficiently Quantifying Hyperparameter Importance in
Arbitrary Subspaces", IJCAI 2023) is Optuna's.
"""

from __future__ import annotations

import warnings

from sweep.report.study_data import StudyData, StudyRun
from sweep.study.config import OBJECTIVE, Search

LEAST = 8
"""With fewer finished probes than this, an importance would be noise."""


def importances(data: StudyData) -> dict[str, float]:
    """Parameter -> its share of the importance, the largest first; {} with too few probes.

    Pruned probes are left out: they had fewer epochs, so their objective does not compare.
    """
    finished = [run for run in data.runs if _is_finished_probe(run)]
    if len(finished) < LEAST:
        return {}
    return _ped_anova(finished, data.study.search)


def _is_finished_probe(run: StudyRun) -> bool:
    ended = run.record.state in ("complete", "promoted")
    return run.record.stage == "probe" and ended and run.at_best(OBJECTIVE) is not None


def _ped_anova(runs: list[StudyRun], search: Search) -> dict[str, float]:
    import optuna

    from sweep.study.distributions import distributions

    space = distributions(search)
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(direction="maximize")
        for run in runs:
            params = dict(run.record.params)
            study.add_trial(
                optuna.trial.create_trial(
                    params=params,
                    distributions={name: space[name] for name in params},
                    value=run.at_best(OBJECTIVE),
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
