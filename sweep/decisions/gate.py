"""Which of two registered versions is champion: one pure decision on stored or measured figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from uvtex.metric_catalogue import same_definition
from uvtex.thresholds import Threshold, margin


@dataclass(frozen=True)
class VersionFigures:
    """The figures of one registered version, and what they were measured on and by."""

    name: str
    """For messages, such as ``version 3 (quickstart/7)``."""
    metrics: Mapping[str, float]
    definitions: Mapping[str, str]
    """Metric definitions, see :func:`uvtex.metric_catalogue.versions`."""
    data_fingerprint: str | None
    """Digest of the validation pictures; None if the version does not say."""
    source: str = "by their records, on the same validation pictures"
    """How the figures were had, for messages."""


@dataclass(frozen=True)
class GateDecision:
    """Whether the challenger becomes champion, and why in a clause."""

    champion: bool
    reason: str


def incomparable(
    first: VersionFigures, second: VersionFigures, thresholds: Sequence[Threshold]
) -> str | None:
    """Why the figures of two versions do not compare; None if they do.

    Figures compare if they were measured on the same validation pictures, and each threshold's
    metric by the same definition. A fact that a version does not state equals no other.
    """
    if first.data_fingerprint is None or first.data_fingerprint != second.data_fingerprint:
        return "they were measured on different validation pictures"
    for metric in (threshold.metric for threshold in thresholds):
        if metric not in first.metrics or metric not in second.metrics:
            return f"one of them has no figure for {metric}"
        if not same_definition(metric, first.definitions, second.definitions):
            return f"{metric} was measured by different definitions"
    return None


def decide_champion(
    challenger: VersionFigures,
    champion: VersionFigures | None,
    thresholds: Sequence[Threshold],
    problem: str | None = None,
) -> GateDecision:
    """The challenger wins if its margin is greater than the champion's.

    A tie, a NaN and figures that do not compare leave the champion in place.

    Args:
        challenger: the version that passed all thresholds.
        champion: the version that holds the alias; None if none does.
        thresholds: those of the challenger's study, at least one.
        problem: why the two could not be measured anew, for the message about figures that do not
            compare. By default, why they do not compare.

    Raises:
        ValueError: there is no threshold.
    """
    if champion is None:
        return GateDecision(True, "the first champion")
    reason = incomparable(challenger, champion, thresholds)
    if reason is not None:
        return GateDecision(
            False,
            f"{champion.name} stays champion, since the two cannot be compared: "
            f"{problem or reason}; set the alias in `sweep ui` if you prefer the new one",
        )
    new, old = (margin(side.metrics, thresholds) for side in (challenger, champion))
    if new > old:
        return GateDecision(
            True,
            f"beats {champion.name}, margin {new:+.4f} against {old:+.4f}, {challenger.source}",
        )
    return GateDecision(
        False,
        f"{champion.name} stays champion, margin {old:+.4f} against {new:+.4f}, "
        f"{challenger.source}",
    )
