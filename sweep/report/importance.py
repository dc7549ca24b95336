"""Which parts of a schedule decide SSIM(UV): PED-ANOVA over the probes that ran to their end."""

from __future__ import annotations

import warnings

from sweep.report.study_data import StudyData, StudyRun
from sweep.study.config import OBJECTIVE, Search

LEAST = 8
"""Whole probes below which an importance would be noise."""


def importances(story: StudyData) -> dict[str, float]:
    """Parameter -> share of the importance, largest first; {} with too few probes to say.

    Pruned probes are left out: what they reached they reached in fewer epochs.
    """
    whole = [run for run in story.runs if _is_whole(run)]
    if len(whole) < LEAST:
        return {}
    return _ped_anova(whole, story.study.search)


def _is_whole(run: StudyRun) -> bool:
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
            # The better third against all: a tenth of a dozen probes would be one probe.
            evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=1 / 3)
            found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    finally:
        optuna.logging.set_verbosity(verbosity)
    return {name: float(value) for name, value in found.items()}
