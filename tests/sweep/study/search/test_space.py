"""The search space: parameters, named schedules, and the settings of runs."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sweep.study.config import StudyConfig
from sweep.study.file import parse
from sweep.study.search import space
from sweep.study.search.settings import NamedSchedule
from tests.sweep.fakes import study
from uvtex.config import PRESETS, TERMS, Ramp, TrainConfig
from uvtex.settings import dump_yaml
from uvtex.training.schedule import weights
from uvtex.typed import yaml_dialect

weight = st.floats(0, 1, allow_subnormal=False)
param_sets = st.fixed_dictionaries(
    {f"{term}_{end}": weight for term in TERMS if term != "direct" for end in ("start", "end")}
    | {f"direct_{end}": st.floats(0.05, 1) for end in ("start", "end")}
    | {"lr_scheduler": st.sampled_from(["none", "cosine"]), "tmax": st.floats(0.5, 2)}
)


def made(epochs: int = 20, **search: Any) -> StudyConfig:
    return parse(
        {
            "name": "made",
            "data": {"path": "data"},
            "stages": {"probe": epochs, "full": 2 * epochs},
            "search": search,
        },
        "made",
    )


WHOLE = made()


@given(param_sets)
def test_params_of_a_named_schedule_read_back_equal(params: dict[str, Any]) -> None:
    assert space.params(WHOLE, space.named(WHOLE, params)) == params


@given(param_sets, st.integers(1, 200))
def test_a_run_keeps_both_ends_and_scales_t_max(params: dict[str, Any], epochs: int) -> None:
    schedule = space.train_config(made(epochs), "probe", params).schedule
    for term in TERMS:
        assert weights(schedule, 1, epochs)[term] == pytest.approx(params[f"{term}_start"])
        if epochs > 1:
            last = weights(schedule, epochs, epochs)[term]
            assert last == pytest.approx(params[f"{term}_end"], abs=1e-12)
    if params["lr_scheduler"] == "none":
        assert schedule.lr_scheduler_tmax is None
    else:
        tmax = schedule.lr_scheduler_tmax
        assert tmax is not None
        assert tmax == 1 or abs(tmax - params["tmax"] * epochs) <= 0.5


@given(param_sets)
def test_normalised_weights_sum_to_one_in_every_epoch_and_keep_their_ratios(
    params: dict[str, Any],
) -> None:
    plain = space.train_config(WHOLE, "probe", params).schedule
    schedule = space.train_config(made(normalise=True), "probe", params).schedule
    for epoch in (1, 7, 20):
        assert sum(weights(schedule, epoch, 20).values()) == pytest.approx(1)
    for epoch in (1, 20):
        before, after = weights(plain, epoch, 20), weights(schedule, epoch, 20)
        for term in TERMS:
            ratio = before[term] / before["direct"]
            assert after[term] / after["direct"] == pytest.approx(ratio)


def test_what_is_not_searched_is_as_in_the_baseline_and_in_the_train_settings() -> None:
    one = made(space={"width": {"low": 0.5, "high": 2}})
    run = space.train_config(one, "probe", {"width": 0.75})
    assert run == TrainConfig(width=0.75, epochs=20, thresholds=one.thresholds)


def test_one_end_of_a_weight_may_be_searched_alone() -> None:
    bounds = {"low": 0, "high": 1}
    end = space.named(made(space={"schedule.cross.end": bounds}), {"cross_end": 0.5})
    start = space.named(made(space={"schedule.cross.start": bounds}), {"cross_start": 0.5})
    assert end.cross == Ramp(start=0.15, end=0.5)
    assert start.cross == Ramp(start=0.5)  # the baseline holds it


def test_the_path_of_a_weight_holds_it() -> None:
    one = made(space={"schedule.cross": {"low": 0, "high": 1}})
    assert space.named(one, {"cross": 0.5}) == NamedSchedule(cross=Ramp(start=0.5))
    with pytest.raises(ValueError, match=r"moves schedule.cross from 0.1 to 0.2.* is held"):
        space.params(one, NamedSchedule(cross=Ramp(start=0.1, end=0.2)))


def test_a_schedule_that_differs_where_nothing_is_searched_has_no_parameters() -> None:
    one = made(space={"schedule.cross": {"low": 0, "high": 1}})
    with pytest.raises(ValueError, match=r"differs from 'baseline' in schedule.direct"):
        space.params(one, NamedSchedule(direct=Ramp(start=0.9)))
    with pytest.raises(ValueError, match=r"differs from 'baseline' in schedule.lr_scheduler"):
        space.params(one, NamedSchedule(lr_scheduler="cosine"))


def test_a_named_schedule_runs_with_the_other_values_of_the_train_settings(tmp_path: Path) -> None:
    searched = {"augment.noise": {"low": 0, "high": 1}, "batch_size": {"low": 2, "high": 8}}
    train = {"image_size": 32, "augment": {"noise": 0.25}}
    one = study(tmp_path, search={"space": searched, "queue": ["baseline"]}, train=train)
    params = space.params(one, one.search.schedules["baseline"])
    assert params == {"batch_size": 6, "augment.noise": 0.25}
    assert space.train_config(one, "full", params).augment.noise == 0.25


def test_a_chosen_preset_brings_its_own_settings_but_for_those_the_file_gives() -> None:
    with tempfile.TemporaryDirectory() as folder:
        one = study(
            Path(folder),
            search={"space": {"preset": {"choices": ["poc05", "atlas"]}}},
            train={"image_size": 32, "beta1": 0.7, "augment": {"background": 0.5}},
        )
    saved = parse(yaml_dialect.parse(dump_yaml(one)), "saved")
    assert saved == one
    for config in (one, saved):
        atlas = space.train_config(config, "probe", {"preset": "atlas"})
        assert (atlas.lr, atlas.beta2) == (PRESETS["atlas"]["lr"], PRESETS["atlas"]["beta2"])
        assert (atlas.beta1, atlas.image_size) == (0.7, 32)
        assert (atlas.augment.livery, atlas.augment.background) == (1.0, 0.5)
        poc05 = space.train_config(config, "probe", {"preset": "poc05"})
        assert (poc05.lr, poc05.beta2, poc05.augment.livery) == (2e-4, 0.999, 0.0)


def test_baseline_of_the_original_is_the_default_schedule() -> None:
    params = space.params(WHOLE, NamedSchedule())
    full, probe = (space.train_config(WHOLE, stage, params) for stage in ("full", "probe"))
    assert full.schedule == probe.schedule
    assert weights(full.schedule, 7, 40) == {
        "cycle": 0.30,
        "uv": 0.25,
        "direct": 0.30,
        "cross": 0.15,
    }
