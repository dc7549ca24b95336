"""The gate: a challenger becomes champion only by a greater margin on comparable figures."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sweep.decisions.gate import VersionFigures, decide_champion, incomparable
from uvtex.metric_catalogue import versions
from uvtex.thresholds import Threshold, margin

THRESHOLDS = (
    Threshold(metric="ssim_uv", at_least=0.3),
    Threshold(metric="haarpsi_view", at_least=0.2),
)
TODAY = versions(None)
figure = st.floats(-1, 1) | st.just(math.nan)
metrics = st.fixed_dictionaries({"ssim_uv": figure, "haarpsi_view": figure})
partial = st.dictionaries(st.sampled_from(["ssim_uv", "haarpsi_view", "l1_uv"]), figure)
figures = st.builds(
    VersionFigures,
    name=st.sampled_from(["version 1 (a/0)", "version 2 (b/7)"]),
    metrics=partial | metrics,
    definitions=st.sampled_from([TODAY, {}, TODAY | {"ssim": "another one"}]),
    data_fingerprint=st.sampled_from(["aaaa", "bbbb", None]),
)
comparable = st.builds(
    VersionFigures,
    name=st.just("version 1 (a/0)"),
    metrics=metrics,
    definitions=st.just(TODAY),
    data_fingerprint=st.just("aaaa"),
)


@given(figures)
def test_the_first_version_is_champion(challenger: VersionFigures) -> None:
    assert decide_champion(challenger, None, THRESHOLDS).champion


@given(figures, figures)
def test_comparability_is_symmetric(one: VersionFigures, other: VersionFigures) -> None:
    assert incomparable(one, other, THRESHOLDS) == incomparable(other, one, THRESHOLDS)


@given(figures, figures, st.none() | st.text(min_size=1))
def test_a_version_that_is_not_comparable_never_becomes_champion(
    challenger: VersionFigures, champion: VersionFigures, problem: str | None
) -> None:
    reason = incomparable(challenger, champion, THRESHOLDS)
    assume(reason is not None)
    answer = decide_champion(challenger, champion, THRESHOLDS, problem)
    assert not answer.champion
    assert (problem or str(reason)) in answer.reason
    assert champion.name in answer.reason


@given(comparable, comparable)
def test_the_champion_changes_exactly_when_the_margin_is_greater(
    challenger: VersionFigures, champion: VersionFigures
) -> None:
    answer = decide_champion(challenger, champion, THRESHOLDS)
    new, old = (margin(side.metrics, THRESHOLDS) for side in (challenger, champion))
    assert answer.champion == (new > old)
    assert champion.name in answer.reason


@given(comparable, comparable)
def test_two_versions_never_beat_each_other(one: VersionFigures, other: VersionFigures) -> None:
    forth = decide_champion(one, other, THRESHOLDS)
    back = decide_champion(other, one, THRESHOLDS)
    assert not (forth.champion and back.champion)


@given(comparable)
def test_a_tie_leaves_the_champion_in_place(one: VersionFigures) -> None:
    assert not decide_champion(one, one, THRESHOLDS).champion


@given(comparable, comparable, st.sampled_from(["ssim_uv", "haarpsi_view"]))
def test_a_figure_that_is_not_a_number_never_wins(
    challenger: VersionFigures, champion: VersionFigures, metric: str
) -> None:
    broken = replace(challenger, metrics={**challenger.metrics, metric: math.nan})
    assert not decide_champion(broken, champion, THRESHOLDS).champion


ONE = VersionFigures("version 1 (a/0)", {"ssim_uv": 0.5, "haarpsi_view": 0.5}, TODAY, "aaaa")


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"data_fingerprint": "bbbb"}, "validation pictures"),
        ({"data_fingerprint": None}, "validation pictures"),
        ({"metrics": {"ssim_uv": 0.5}}, "haarpsi_view"),
        ({"definitions": TODAY | {"ssim": "another one"}}, "ssim_uv"),
        ({"definitions": {}}, "ssim_uv"),
    ],
)
def test_the_reason_why_versions_are_not_comparable_is_named(
    change: dict[str, object], word: str
) -> None:
    other = replace(ONE, **change)  # type: ignore[arg-type]
    assert word in str(incomparable(ONE, other, THRESHOLDS))


def test_a_change_of_another_metrics_definition_does_not_matter() -> None:
    assert incomparable(ONE, replace(ONE, definitions=TODAY | {"seam": "new"}), THRESHOLDS) is None


def test_a_gate_without_a_threshold_is_an_error() -> None:
    with pytest.raises(ValueError, match="threshold"):
        decide_champion(ONE, ONE, ())
