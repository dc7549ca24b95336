"""The catalogue of metrics: the facts of each, and when its figures are comparable."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.sets import make_showroom
from uvtex import metric_catalogue as catalogue
from uvtex.config import resolve
from uvtex.data.store import PairStore
from uvtex.metric_catalogue import DEFINITIONS, METRICS, THRESHOLDS, same_definition, versions
from uvtex.training.trainer import Trainer

FIRST = {
    "ssim": "torchmetrics SSIM on [-1, 1], Gaussian 11 sigma 1.5, K 0.01 0.03, data range 2",
    "haarpsi": "piq HaarPSI on [0, 1], three scales, c 30, alpha 4.2",
    "lpips": "lpips 0.1 AlexNet on [-1, 1], backbone sha256 7be5be79",
    "alone": "that SSIM, its windows' weights outside the mask 0, a window's weights 1 in all",
    "inside": "means of the SSIM and LPIPS maps weighted by the mask, the view's own outside",
    "seam": "energy of Liu et al. 2017 beyond the truth's, by that of random pairs, floor 8/255",
    "bleed": "change of the texture by that of the background, now plain; depths 0, 2, 4, 8 pixels",
}
"""The table in checkpoints from before the catalogue. It must not change."""

metrics = st.sampled_from(sorted(METRICS))
tables = st.dictionaries(st.sampled_from(sorted(DEFINITIONS)), st.sampled_from(["a", "b"]))


def test_every_reported_metric_is_in_the_catalogue(tmp_path: Path) -> None:
    """On a set with UV maps and plates. The LPIPS backbone may be missing."""
    config = resolve(
        {"preset": "atlas", "image_size": 32, "width": 0.1, "epochs": 1, "val_split": 0.3},
        {"device": "cpu", "thresholds": [{"metric": "ssim_uv", "at_least": 0.1}]},
    )
    store = PairStore.open(make_showroom(tmp_path / "set"), config)
    (report,) = Trainer(config, store, tmp_path / "run").epochs()
    assert report.val.keys() <= METRICS.keys()
    unmeasured = {name for name in METRICS if catalogue.views_of(name) is None}
    unmeasured -= report.val.keys()
    assert {catalogue.needs(name) for name in unmeasured - {"flow"}} <= {
        "an LPIPS backbone",
        "a built set",
    }


@pytest.mark.parametrize("name", sorted(METRICS))
def test_every_metric_has_a_definition_that_is_stored(name: str) -> None:
    table = versions("LPIPS on some backbone")
    assert METRICS[name].definition
    assert same_definition(name, table, table)


def test_older_figures_are_comparable_where_their_definition_is_known() -> None:
    now = versions(FIRST["lpips"])
    of_one = [name for name in THRESHOLDS if catalogue.views_of(name) is None]
    unknown = {name for name in of_one if not same_definition(name, now, FIRST)}
    assert unknown == {"l1_uv", "l1_uv_visible", "l1_uv_covered"}


def test_lpips_on_another_backbone_is_another_metric() -> None:
    ours, theirs = versions("LPIPS on one"), versions("LPIPS on another")
    for name in THRESHOLDS:
        assert same_definition(name, ours, theirs) == (catalogue.needs(name) != "an LPIPS backbone")
    assert not same_definition("lpips_view", versions(None), versions(None))


@given(metrics, tables, tables)
def test_definitions_are_equal_only_if_both_are_known_and_all_parts_agree(
    name: str, ours: dict[str, str], theirs: dict[str, str]
) -> None:
    parts = [(ours.get(key), theirs.get(key)) for key in METRICS[name].definition]
    expected = all(a is not None and a == b for a, b in parts)
    assert same_definition(name, ours, theirs) == expected == same_definition(name, theirs, ours)
    assert not same_definition(f"{name}_of_tomorrow", ours, ours)


def test_an_unknown_metric_has_no_direction() -> None:
    assert catalogue.higher_is_better("ssim_of_tomorrow") is None
    assert catalogue.title("ssim_of_tomorrow") == "ssim_of_tomorrow"
    assert catalogue.higher_is_better("ssim_uv") is True
    assert catalogue.higher_is_better("lpips_view") is False


@pytest.mark.parametrize(
    "columns", [catalogue.EVALUATION, catalogue.CHECKPOINTS, catalogue.SUMMARY]
)
def test_the_columns_of_tables_are_known_metrics(columns: tuple[str, ...]) -> None:
    assert set(columns) <= METRICS.keys()
