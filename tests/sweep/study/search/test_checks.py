"""Search spaces that cannot be used."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from sweep.study.file import load
from sweep.study.search import paths
from sweep.study.search.space import train_config
from tests.sweep.fakes import study_file
from uvtex.config import TrainConfig
from uvtex.errors import ConfigError
from uvtex.settings import flatten

UNIT = {"low": 0.1, "high": 1}


def problems(folder: Path, space: Any, queue: tuple[str, ...] = (), **changes: Any) -> list[str]:
    search = {"queue": list(queue), "space": space, **changes.pop("search", {})}
    with pytest.raises(ConfigError) as caught:
        load(study_file(folder, search=search, **changes))
    prefix = f"{folder / 'study.yaml'}: search."
    lines = str(caught.value).splitlines()
    assert all(line.startswith(prefix) for line in lines), lines
    return [line.removeprefix(prefix) for line in lines]


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("epochs", "cannot be searched: stages sets it"),
        ("seed", "cannot be searched: a seed that looks good is luck"),
        ("val_split", "cannot be searched: all trials .* the same split"),
        ("device", "cannot be searched: it is the machine's"),
        ("image_size", "cannot be searched: figures of several sizes do not compare"),
        ("thresholds", "cannot be searched: thresholds of the study"),
        ("schedule.lr_scheduler_tmax", "cannot be searched: .*schedule.tmax"),
        ("lrr", "there is no such setting of a run; did you mean lr"),
        ("noise", "there is no such setting of a run; did you mean augment.noise"),
        ("cross.end", "there is no such setting of a run; did you mean schedule.cross.end"),
        ("zzz", "there is no such setting of a run$"),
        ("augment", "is a section; name a setting in it: augment.livery, "),
    ],
)
def test_a_path_that_cannot_be_searched_is_refused_with_the_reason(
    tmp_path: Path, path: str, says: str
) -> None:
    (problem,) = problems(tmp_path, {path: UNIT})
    assert re.match(rf"space.{re.escape(path)}: {says}", problem)


def test_wrong_paths_and_wrong_values_are_listed_together(tmp_path: Path) -> None:
    found = problems(tmp_path, {"lrr": UNIT, "preset": {"choices": ["atlsa"]}})
    assert [line.split(":")[0] for line in found] == ["space.lrr", "space.preset"]


def test_every_setting_of_a_run_is_searchable_or_refused_with_a_reason() -> None:
    known = {path for path in flatten(TrainConfig().model_dump()) if "schedule." not in path}
    assert known == {
        path for path in (*paths.searchable(), *paths.REFUSED) if "schedule." not in path
    }
    assert not paths.searchable().keys() & paths.REFUSED.keys()


def test_no_two_paths_have_one_parameter() -> None:
    names = [paths.parameter(path) for path in paths.searchable()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("path", "values", "says"),
    [
        ("lr", {"low": 0, "high": 1e-3}, "space.lr: .*greater than 0, got 0"),
        ("beta1", {"low": 0.5, "high": 1}, "space.beta1: .*less than 1, got 1"),
        ("batch_size", {"low": 1.5, "high": 8}, "space.batch_size: must be a whole number"),
        ("batch_size", {"choices": [4, 0]}, "space.batch_size: .*got 0"),
        ("preset", UNIT, "space.preset: is no number; give choices"),
        ("preset", {"choices": ["atlas", "atlsa"]}, "space.preset: must be 'poc05' or 'atlas'"),
        ("augment.noise", {"low": 0, "high": 2}, "space.augment.noise: .*got 2"),
        ("schedule.cross.end", {"low": -1, "high": 1}, "space.schedule.cross.end: .*got -1"),
        ("schedule.tmax", {"low": 0, "high": 1}, "space.schedule.tmax: .*got 0"),
        ("schedule.lr_scheduler", {"choices": ["cos"]}, "space.schedule.lr_scheduler: .*'cos'"),
        ("lr", {"low": 1, "high": 1}, "space.lr: low must be < high"),
        ("lr", {"low": 0, "high": 1, "log": True}, "space.lr: low must be > 0 where log is true"),
        ("width", {"low": 0.5, "high": 2, "integer": True}, "space.width: low and high .* whole"),
        ("lr", {"choices": []}, "space.lr.choices: "),
        ("lr", {"choices": [1, 1]}, "space.lr: choices: contains a value twice"),
        ("lr", {"hihg": 1, "low": 0}, "space.lr.h"),
        ("lr", 0.1, "space.lr: "),
    ],
)
def test_values_that_a_run_refuses_are_refused_with_their_path(
    tmp_path: Path, path: str, values: Any, says: str
) -> None:
    assert re.match(says, problems(tmp_path, {path: values})[0])


def test_what_one_preset_has_is_searched_with_that_preset(tmp_path: Path) -> None:
    """Several views and a deeper refiner are settings of `atlas` alone."""
    space = {"views": {"low": 1, "high": 3}, "refiner_depth": {"choices": [1, 2]}}
    study = load(study_file(tmp_path, search={"space": space}, train={"preset": "atlas"}))
    run = train_config(study, "probe", {"views": 3, "refiner_depth": 2})
    assert (run.views, run.refiner_depth) == (3, 2)
    either = {"preset": {"choices": ["poc05", "atlas"]}}
    alone, both = problems(tmp_path, space), problems(tmp_path, space | either)
    for found in (alone, both):
        refiner, views = sorted(found)
        assert views == (
            "space.views: views must be 1 with preset poc05, got 3: it keeps no evidence of its "
            "views that could be fused; take preset atlas"
        )
        assert refiner.startswith("space.refiner_depth: refiner_depth must be 1 with preset poc05")
    (problem,) = problems(tmp_path, either, train={"preset": "atlas", "views": 2})
    assert problem.startswith("space.preset: views must be 1 with preset poc05, got 2")


def test_the_stiffness_of_maps_is_searched_by_choices(tmp_path: Path) -> None:
    space = {"map_stiffness": {"choices": [1, 0.5]}}
    atlas = {"preset": "atlas"}
    study = load(study_file(tmp_path, search={"space": space}, train=atlas))
    assert train_config(study, "probe", {"map_stiffness": 0.5}).map_stiffness == 0.5
    (problem,) = problems(tmp_path, space, ("baseline",), train=atlas)
    assert problem == (
        "space.map_stiffness: a queued schedule takes it from the train settings, where it is not "
        "set; set train.map_stiffness to one of 1, 0.5"
    )
    load(
        study_file(
            tmp_path,
            search={"space": space, "queue": ["baseline"]},
            train={**atlas, "map_stiffness": 1},
        )
    )
    (problem,) = problems(tmp_path, {"map_stiffness": {"low": 0.5, "high": 2}}, train=atlas)
    assert problem == "space.map_stiffness: is no number; give choices"
    (problem,) = problems(tmp_path, {"map_stiffness": {"choices": [1, 0]}}, train=atlas)
    assert problem.startswith("space.map_stiffness: Input should be greater than 0, got 0")


def test_a_space_of_sections_is_told_to_use_dots(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, {"schedule": {"cross": {"end": UNIT}}})
    assert "write a path with dots, schedule.cross" in problem


def test_a_weight_is_held_or_moved_and_not_both(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, {"schedule.uv": UNIT, "schedule.uv.end": UNIT})
    assert problem.startswith("space.schedule.uv: holds the weight, and schedule.uv.end moves it")


def test_weights_that_could_all_be_zero_are_refused(tmp_path: Path) -> None:
    zero = {"low": 0, "high": 1}
    terms = ("cycle", "uv", "direct", "cross")
    (problem,) = problems(tmp_path, {f"schedule.{term}": zero for term in terms})
    assert problem.startswith("space: all weights could be 0 at the start")
    ends = {f"schedule.{term}.end": zero for term in terms}
    assert "at the end" in problems(tmp_path, ends)[0]


def test_a_queued_schedule_outside_the_space_is_refused(tmp_path: Path) -> None:
    space = {f"schedule.{term}": UNIT for term in ("cycle", "direct")}
    found = problems(tmp_path, space, ("good", "bad"))
    assert found == [
        "queue: schedule 'good' differs from 'baseline' in schedule.lr_scheduler, which is not "
        "searched"
    ]
    space["schedule.direct"] = {"low": 0.2, "high": 1}
    (problem,) = problems(tmp_path, space, ("bad",))
    assert problem == "space.schedule.direct: 0.2 to 1 excludes 0.1, the value of schedule 'bad'"
    (problem,) = problems(tmp_path, {"lr": {"choices": [0.1, 0.2]}}, ("baseline",))
    assert problem == "space.lr: 0.1, 0.2 excludes 0.0002, the value of the train settings"


def test_a_weight_without_effect_is_refused(tmp_path: Path) -> None:
    shown = {"path": "x", "showroom": {}}
    (problem,) = problems(tmp_path, {"w_render": UNIT}, train={"preset": "atlas"}, data=shown)
    assert problem.startswith("space.w_render: has no effect, because preset 'atlas'")
    both = {"w_render": UNIT, "preset": {"choices": ["poc05", "atlas"]}}
    file = study_file(tmp_path, train={"preset": "atlas"}, data=shown, search={"space": both})
    assert load(file).search.space.keys() == both.keys()


def test_a_study_does_not_start_from_itself(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, {"lr": UNIT}, search={"warm_start": ["made-up"]})
    assert problem == "warm_start: 'made-up' is this study itself"
