"""What is wrong with the thresholds of a study, beyond what each of them says alone."""

from __future__ import annotations

from sweep.study.config import StudyConfig
from sweep.study.thresholds.relative import RelativeThreshold
from uvtex.metric_catalogue import higher_is_better

_ABSOLUTE, _RELATIVE = ("at_least", "at_most"), ("above", "below")
"""The keys of thresholds on metrics whose higher values are better, and whose lower ones are."""


def threshold_problems(study: StudyConfig, begun: bool) -> list[str]:
    """The problems, each with its key.

    Args:
        begun: whether a study has the settings already. Earlier versions took an absolute threshold
            on the wrong side of its metric, and what they began goes on.
    """
    problems = []
    names = [threshold.metric for threshold in study.asked_thresholds]
    for index, (name, threshold) in enumerate(zip(names, study.asked_thresholds, strict=True)):
        key = f"thresholds.{index}"
        if name in names[:index]:
            problems.append(f"{key}.metric: {name!r} has a threshold already")
        if isinstance(threshold, RelativeThreshold):
            problems.extend(f"{key}.{problem}" for problem in _relative_problems(threshold, study))
        elif not begun:
            side = "at_least" if threshold.at_least is not None else "at_most"
            problems.extend(f"{key}.{problem}" for problem in _direction(name, side, _ABSOLUTE))
    return problems


def _relative_problems(threshold: RelativeThreshold, study: StudyConfig) -> list[str]:
    problems = []
    side = "above" if threshold.above is not None else "below"
    known = study.named_schedules
    if threshold.schedule not in known:
        problems.append(
            f"{side}: {threshold.schedule!r} is not in search.queue; known: {', '.join(known)}"
        )
    return problems + _direction(threshold.metric, side, _RELATIVE)


def _direction(metric: str, side: str, sides: tuple[str, str]) -> list[str]:
    """That ``side`` is the wrong one of ``sides`` for a metric, if it is."""
    higher = higher_is_better(metric)
    wanted = sides[0] if higher else sides[1]
    if higher is None or side == wanted:
        return []
    better = "higher" if higher else "lower"
    return [f"{side}: {better} values of {metric} are better; write {wanted!r}"]
