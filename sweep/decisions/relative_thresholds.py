"""Relative thresholds in absolute figures, by a calibration."""

from __future__ import annotations

from collections.abc import Sequence

from sweep.study.calibration import Calibration
from sweep.study.folder import Stage
from sweep.study.thresholds.relative import RelativeThreshold
from uvtex.errors import ConfigError
from uvtex.thresholds import Threshold


def resolve(
    thresholds: Sequence[Threshold | RelativeThreshold],
    calibration: Calibration | None,
    stage: Stage,
) -> tuple[Threshold, ...]:
    """``thresholds`` with each relative one replaced by its absolute one, in the same order.

    Args:
        stage: the stage of the runs that are to be judged.

    Raises:
        ConfigError: there is no calibration, or it lacks a schedule or a metric. The message lists
            every problem with its key.
    """
    found: list[Threshold] = []
    problems: list[str] = []
    for index, threshold in enumerate(thresholds):
        if isinstance(threshold, Threshold):
            found.append(threshold)
        elif problem := _problem(threshold, calibration, threshold.stage or stage):
            problems.append(f"thresholds.{index}: {problem}")
        else:
            assert calibration is not None  # a problem otherwise
            measured = calibration.stages[threshold.stage or stage]
            mean = measured.means[threshold.schedule][threshold.metric]
            found.append(threshold.at(mean, measured.noise[threshold.metric].seeds.deviation))
    if problems:
        raise ConfigError("\n".join(problems))
    return tuple(found)


def _problem(
    threshold: RelativeThreshold, calibration: Calibration | None, wanted: Stage
) -> str | None:
    if calibration is None:
        return f"'{threshold}' needs a calibration; run `sweep calibrate` with the study's file"
    stage = calibration.stages.get(wanted)
    known = () if stage is None else tuple(stage.means)
    if stage is None or threshold.schedule not in known:
        return (
            f"the calibration has no runs of schedule {threshold.schedule!r} at stage "
            f"{wanted!r}; it has: {', '.join(known) or 'none'}. To add them: "
            f"sweep calibrate FILE --schedules {threshold.schedule}"
        )
    if threshold.metric not in stage.noise:
        return f"the calibration did not measure {threshold.metric}; it has: " + ", ".join(
            stage.noise
        )
    return None
