"""What is wrong with the thresholds of a study, beyond what each of them says alone."""

from __future__ import annotations

from sweep.study.config import StudyConfig
from sweep.study.thresholds.relative import RelativeThreshold
from uvtex.metric_catalogue import higher_is_better


def threshold_problems(study: StudyConfig) -> list[str]:
    """The problems, each with its key."""
    problems = []
    names = [threshold.metric for threshold in study.asked_thresholds]
    for index, (name, threshold) in enumerate(zip(names, study.asked_thresholds, strict=True)):
        key = f"thresholds.{index}"
        if name in names[:index]:
            problems.append(f"{key}.metric: {name!r} has a threshold already")
        if isinstance(threshold, RelativeThreshold):
            problems.extend(f"{key}.{problem}" for problem in _relative_problems(threshold, study))
    return problems


def _relative_problems(threshold: RelativeThreshold, study: StudyConfig) -> list[str]:
    problems = []
    side = "above" if threshold.above is not None else "below"
    known = study.named_schedules
    if threshold.schedule not in known:
        problems.append(
            f"{side}: {threshold.schedule!r} is not in search.queue; known: {', '.join(known)}"
        )
    if higher_is_better(threshold.metric) is (side == "below"):
        better, instead = ("higher", "above") if side == "below" else ("lower", "below")
        problems.append(
            f"{side}: {better} values of {threshold.metric} are better; write {instead!r}"
        )
    return problems
