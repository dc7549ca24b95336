"""Searches of studies that were begun before there were paths."""

from __future__ import annotations

from pathlib import Path

import pytest

from sweep.study.file import changes, load, parse
from sweep.study.search.distributions import distributions
from sweep.study.search.settings import Choices, Range, Search, whole_schedule
from tests.sweep.fakes import study, study_file
from uvtex.errors import ConfigError

OF_BEFORE = {
    "seed": 3,
    "startup_trials": 4,
    "weights": {
        term: {"low": low, "high": 1.0, "log": False}
        for term, low in (("cycle", 0.0), ("uv", 0.0), ("direct", 0.1), ("cross", 0.0))
    },
    "lr": {"low": 1e-4, "high": 1e-2, "log": True},
    "tmax": {"low": 0.5, "high": 1.5, "log": False},
    "lr_schedulers": ["cosine"],
    "queue": [],
    "schedules": {},
}


def test_a_saved_search_reads_as_a_space_of_paths() -> None:
    found = Search.model_validate(OF_BEFORE)
    assert (found.seed, found.sampler) == (3, "tpe")
    assert found.space == whole_schedule() | {
        "schedule.direct.start": Range(low=0.1, high=1.0),
        "schedule.direct.end": Range(low=0.1, high=1.0),
        "schedule.lr_scheduler": Choices(choices=("cosine",)),
        "schedule.tmax": Range(low=0.5, high=1.5),
        "lr": Range(low=1e-4, high=1e-2, log=True),
    }
    assert list(distributions(found))[-3:] == ["lr_scheduler", "lr", "tmax"]


def test_a_study_of_before_goes_on_with_the_same_space_in_the_new_words(tmp_path: Path) -> None:
    one = study(tmp_path, search={"queue": ["baseline"]})
    saved = one.model_dump(mode="json")
    del saved["search"]["space"], saved["search"]["sampler"], saved["search"]["normalise"]
    default = {"low": 0.0, "high": 1.0, "log": False}
    saved["search"]["weights"] = dict.fromkeys(("cycle", "uv", "cross"), default)
    saved["search"]["weights"]["direct"] = {"low": 0.05, "high": 1.0, "log": False}
    saved["search"]["tmax"] = {"low": 0.5, "high": 2.0, "log": False}
    saved["search"]["lr_schedulers"] = ["none", "cosine"]
    assert changes(parse(saved, "saved"), one) == []


def test_a_study_file_with_a_key_of_before_is_told_the_path(tmp_path: Path) -> None:
    file = study_file(tmp_path, search={"lr": {"low": 1e-4, "high": 1e-2}, "tmax": {}})
    with pytest.raises(ConfigError) as caught:
        load(file)
    (line,) = str(caught.value).splitlines()
    assert "search: name searched settings in search.space by their path: " in line
    assert "'tmax' is now schedule.tmax; 'lr' is now lr" in line
