"""The catalogue of metrics and loss terms: title, better direction and definition of each.

This module computes nothing. For a metric outside the catalogue the title is its name, the better
direction is unknown, and two figures never compare.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Needs = Literal["UV maps", "a built set", "an LPIPS backbone", "as many views of a livery"]

VIEW_COUNTS = (2, 3, 4, 8, 16)
"""Numbers of views of a livery with a metric of the texture that is made of them."""

DEFINITIONS = {
    "ssim": "torchmetrics SSIM on [-1, 1], Gaussian 11 sigma 1.5, K 0.01 0.03, data range 2",
    "haarpsi": "piq HaarPSI on [0, 1], three scales, c 30, alpha 4.2",
    "lpips": "lpips 0.1 AlexNet on [-1, 1]",
    "alone": "that SSIM, its windows' weights outside the mask 0, a window's weights 1 in all",
    "inside": "means of the SSIM and LPIPS maps weighted by the mask, the view's own outside",
    "seam": "energy of Liu et al. 2017 beyond the truth's, by that of random pairs, floor 8/255",
    "bleed": "change of the texture by that of the background, now plain; depths 0, 2, 4, 8 pixels",
    "l1": "mean absolute difference on [-1, 1], weighted by the mask where there is one",
    "loss": "L1 terms on [-1, 1], views inside their masks; totals by the terms' weights",
    "views": "one texture of N views of a livery; each group of its views counts once",
    "coverage": "share of the texels that a view sees, of several views that any of them sees",
    "margin": "least slack over the thresholds, each by its scale",
}
"""The text of each definition. Every stored figure has a table of these texts beside it.

Change the text when the definition changes: figures under the old text then no longer compare. If
the change concerns one metric alone, add a key and name it in that metric, so that the figures of
the other metrics still compare.
"""


@dataclass(frozen=True)
class Metric:
    """The facts about a metric that need no measurement."""

    name: str
    title: str
    """The name in tables and pages."""
    higher_is_better: bool
    definition: tuple[str, ...]
    """Keys of :data:`DEFINITIONS`. Figures of two runs compare if the texts of all keys agree."""
    needs: Needs | None = None
    """What the measurement needs; None if any data set will do."""
    threshold: bool = True
    """Whether a threshold may be set on the metric."""


def _score(name: str, title: str, *definition: str, needs: Needs | None = None) -> Metric:
    return Metric(name, title, True, definition, needs)


def _error(name: str, title: str, *definition: str, needs: Needs | None = None) -> Metric:
    return Metric(name, title, False, definition, needs)


def _other(
    name: str, title: str, definition: str, higher: bool = False, needs: Needs | None = None
) -> Metric:
    return Metric(name, title, higher, (definition,), needs, threshold=False)


_MAPS: Needs = "UV maps"
_LPIPS: Needs = "an LPIPS backbone"
_VIEWS: Needs = "as many views of a livery"


def _of_views(count: int) -> tuple[Metric, Metric, Metric]:
    """The metrics of textures that are made of ``count`` views."""
    return (
        _score(f"ssim_uv_views{count}", f"SSIM(UV), {count} views", "ssim", "views", needs=_VIEWS),
        _score(
            f"ssim_uv_visible_views{count}",
            f"SSIM(UV), visible texels, {count} views",
            *("ssim", "views"),
            needs=_MAPS,
        ),
        Metric(
            f"coverage_views{count}",
            f"Coverage, {count} views",
            True,
            ("coverage", "views"),
            _MAPS,
            threshold=False,
        ),
    )


_ALL = (
    _score("ssim_uv", "SSIM(UV)", "ssim"),
    _score("ssim_uv_visible", "SSIM(UV), visible texels", "ssim", needs=_MAPS),
    _score("ssim_uv_visible_alone", "SSIM(UV), visible texels alone", "ssim", "alone", needs=_MAPS),
    _score("ssim_uv_covered", "SSIM(UV), covered texels", "ssim", needs=_MAPS),
    _error("l1_uv", "L1(UV)", "l1"),
    _error("l1_uv_visible", "L1(UV), visible texels", "l1", needs=_MAPS),
    _error("l1_uv_covered", "L1(UV), covered texels", "l1", needs=_MAPS),
    _score("ssim_view", "SSIM(View)", "ssim"),
    _score("ssim_view_true", "SSIM(View) of the true texture", "ssim"),
    _score("ssim_view_noisy", "SSIM(View) after noise", "ssim"),
    _score("ssim_view_inside", "SSIM(View) inside the mask", "ssim", "inside"),
    _score(
        "ssim_view_true_inside", "SSIM(View) of the true texture inside the mask", "ssim", "inside"
    ),
    _score("ssim_view_noisy_inside", "SSIM(View) after noise inside the mask", "ssim", "inside"),
    _score("haarpsi_view", "HaarPSI(View)", "haarpsi"),
    _score("haarpsi_view_true", "HaarPSI(View) of the true texture", "haarpsi"),
    _error("lpips_view", "LPIPS(View)", "lpips", needs=_LPIPS),
    _error("lpips_view_true", "LPIPS(View) of the true texture", "lpips", needs=_LPIPS),
    _error("lpips_view_inside", "LPIPS(View) inside the mask", "lpips", "inside", needs=_LPIPS),
    _error(
        "lpips_view_true_inside",
        "LPIPS(View) of the true texture inside the mask",
        "lpips",
        "inside",
        needs=_LPIPS,
    ),
    _error("seam_uv", "Panel seams", "seam", needs="a built set"),
    _error("bleed", "Bleed of the background", "bleed"),
    _error("bleed_border", "Bleed at the silhouette", "bleed", needs=_MAPS),
    _other("bleed_2px", "Bleed 2 pixels inside the silhouette", "bleed", needs=_MAPS),
    _other("bleed_4px", "Bleed 4 pixels inside the silhouette", "bleed", needs=_MAPS),
    _other("bleed_8px", "Bleed 8 pixels inside the silhouette", "bleed", needs=_MAPS),
    _other("bleed_towards", "Bleed towards the background's colour", "bleed", needs=_MAPS),
    _other("coverage", "Coverage", "coverage", higher=True, needs=_MAPS),
    *(metric for count in VIEW_COUNTS for metric in _of_views(count)),
    _other("margin", "margin", "margin", higher=True),
    _other("cycle", "Loss term cycle", "loss"),
    _other("uv", "Loss term uv", "loss"),
    _other("direct", "Loss term direct", "loss"),
    _other("cross", "Loss term cross", "loss"),
    _other("render", "Loss term render", "loss"),
    _other("flow", "Loss term flow", "loss", needs=_MAPS),
    _other("total", "Loss", "loss"),
    _other("total_ref", "Loss by the default weights", "loss"),
)

METRICS: Mapping[str, Metric] = {metric.name: metric for metric in _ALL}
"""Name -> metric, in the order in which they are listed to people."""

THRESHOLDS = tuple(metric.name for metric in _ALL if metric.threshold)
"""What a threshold may be on."""

EVALUATION = (
    *("ssim_uv", "ssim_uv_visible", "ssim_uv_visible_alone", "l1_uv_visible", "ssim_view"),
    *("haarpsi_view", "lpips_view", "ssim_view_true", "ssim_view_noisy", "seam_uv"),
    "bleed_border",
)
"""Columns of the table of ``uvtex evaluate``, those that there are."""
BY_VIEWS = ("ssim_uv", "ssim_uv_visible", "coverage")
"""Metrics that there are of one view, and with the ending ``_viewsN`` of N views of a livery."""
CHECKPOINTS = ("ssim_uv", "ssim_uv_visible", "ssim_view", "lpips_view", "haarpsi_view", "margin")
"""Columns of the list of a run's checkpoints."""
SUMMARY = ("ssim_uv", "ssim_uv_visible", "ssim_view", "haarpsi_view")
"""Columns of a study's summary, after those of its thresholds."""


def title(metric: str) -> str:
    """A metric's name for people."""
    return METRICS[metric].title if metric in METRICS else metric


def higher_is_better(metric: str) -> bool | None:
    """Whether a higher figure is the better one; None where that is not known of ``metric``."""
    return METRICS[metric].higher_is_better if metric in METRICS else None


def needs(metric: str) -> Needs | None:
    """What there must be for ``metric`` to be measured; None also where that is not known."""
    return METRICS[metric].needs if metric in METRICS else None


def views_of(metric: str) -> int | None:
    """The number of views that ``metric`` makes one texture of; None for a metric of one view."""
    number = metric.rpartition("_views")[2]
    return int(number) if metric in METRICS and number.isdigit() else None


def needs_lpips(metric: str) -> bool:
    """Whether ``metric`` is one of LPIPS."""
    return needs(metric) == _LPIPS


def versions(lpips: str | None) -> dict[str, str]:
    """The table of definitions to store beside figures.

    Args:
        lpips: the version of LPIPS, its backbone included; None where LPIPS is not measured.
    """
    return {k: v for k, v in DEFINITIONS.items() if k != "lpips"} | (
        {"lpips": lpips} if lpips else {}
    )


def same_definition(metric: str, ours: Mapping[str, str], theirs: Mapping[str, str]) -> bool:
    """Whether figures of ``metric`` that were stored with two tables of definitions compare.

    A definition that either table lacks is unknown, and the same as none.
    """
    if metric not in METRICS:
        return False
    return all(
        key in ours and key in theirs and ours[key] == theirs[key]
        for key in METRICS[metric].definition
    )
