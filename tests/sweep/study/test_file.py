"""Study files: refused settings, resolved settings, and later changes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from sweep.driving import session
from sweep.study.config import StudyConfig
from sweep.study.file import changes, load, parse
from tests.sweep.fakes import study, study_file
from uvtex.config import NEW_TEST_SPLIT
from uvtex.errors import ConfigError
from uvtex.settings import dump_yaml, load_yaml

CONFIGS = Path(__file__).parents[3] / "configs"


def problems(tmp_path: Path, **changes: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(study_file(tmp_path, **changes))
    prefix = f"{tmp_path / 'study.yaml'}: "
    lines = str(caught.value).splitlines()
    assert all(line.startswith(prefix) for line in lines)
    return [line.removeprefix(prefix) for line in lines]


@pytest.mark.parametrize("name", ["quickstart", "poc05", "photos"])
def test_shipped_study_is_valid_and_reads_back_equal(name: str) -> None:
    config = load(CONFIGS / f"{name}.yaml")
    assert parse(yaml.safe_load(dump_yaml(config)), "again") == config
    assert next(iter(config.named_schedules)) == "baseline"


def test_schedules_of_the_original_come_first() -> None:
    known = load_yaml(CONFIGS / "schedules.yaml")
    assert list(known)[:6] == [
        "baseline",
        "uv-heavy",
        "direct-steady",
        "uv-lean",
        "direct-boost",
        "hybrid",
    ]


def test_the_study_of_the_original_has_its_thresholds_and_stages() -> None:
    config = load(CONFIGS / "poc05.yaml")
    assert [str(t) for t in config.thresholds] == ["ssim_uv >= 0.245", "lpips_view <= 0.52"]
    assert (config.stages.probe, config.stages.full, config.hours) == (20, 40, 5)
    assert config.wants_lpips


def test_every_problem_is_listed_with_its_path_and_the_nearest_key(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        trails=3,
        stages={"probe": 0},
        train={"image_sise": 64, "batch_size": 0, "epochs": 3},
    )
    assert "trails: unknown key; did you mean 'trials'?" in found
    assert any(line.startswith("stages.probe: ") for line in found)
    assert any(re.match("train.epochs: .*'stages'", line) for line in found)
    assert "train.image_sise: unknown key; did you mean 'image_size'?" in found
    assert any(line.startswith("train.batch_size: ") for line in found)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"search": {"queue": ["baselime"]}}, "search.queue: 'baselime' not in schedules.yaml"),
        ({"pruning": {"risk": 1.5}}, "pruning.risk: "),
        (
            {"thresholds": [{"metric": "ssim_vu", "at_least": 0.2}]},
            "thresholds.0: 'ssim_vu' is not measured",
        ),
        ({"thresholds": []}, r"thresholds: needs at least one entry, got \[\]$"),
        ({"search": {"space": {}}}, "search.space: needs at least one entry"),
        ({"search": {"space": {"lr": {"choices": []}}}}, "search.space.lr.choices: needs at least"),
        (
            {"search": {"space": {"lr": {"low": 1, "high": 2, "choices": [1]}}}},
            "search.space.lr.low: cannot stand beside 'choices'$",
        ),
        (
            {"search": {"space": {"lr": {"low": 1, "step": 1}}}},
            "search.space.lr.step: unknown key$",
        ),
        ({"search": {"space": {"lr": {"low": 1, "hihg": 2}}}}, ".*hihg: .* did you mean 'high'"),
        ({"probe": 3}, "probe: unknown key$"),
        ({"pruning": {"min_epochs": 6}}, "pruning.min_epochs: .*, got 6 and 6; .*enabled to false"),
        ({"name": "../up"}, "name: "),
        ({"hours": -1}, "hours: "),
        ({"data": {"path": "x", "showroom": {"sise": 3}}}, "data.showroom.sise: unknown key"),
        ({"train": "poc05"}, "train: "),
    ],
)
def test_impossible_study_is_refused(tmp_path: Path, change: dict[str, Any], expected: str) -> None:
    assert any(re.match(expected, line) for line in problems(tmp_path, **change))


def test_min_epochs_may_be_anything_where_pruning_is_off_and_its_default_everywhere(
    tmp_path: Path,
) -> None:
    off = {"enabled": False, "min_epochs": 60}
    assert load(study_file(tmp_path, pruning=off)).pruning.min_epochs == 60
    short = study_file(tmp_path, pruning={}, stages={"probe": 2})
    assert load(short).pruning.min_epochs == 3 > load(short).stages.probe


def test_flags_override_the_file_and_are_checked_like_it(tmp_path: Path) -> None:
    path = study_file(tmp_path)
    assert load(path, {"trials": 9, "hours": None}).trials == 9
    with pytest.raises(ConfigError, match=r"study\.yaml: trials: "):
        load(path, {"trials": 0})


def test_a_new_study_has_a_test_side(tmp_path: Path) -> None:
    assert load(study_file(tmp_path)).train["test_split"] == NEW_TEST_SPLIT > 0
    named = study_file(tmp_path, train={"test_split": 0.2, "device": "cpu"})
    assert load(named).train["test_split"] == 0.2


def test_a_study_of_before_goes_on_without_a_test_side(tmp_path: Path) -> None:
    new = load(study_file(tmp_path))
    saved = new.model_dump(mode="json")
    del saved["train"]["test_split"]
    new.paths.settings.parent.mkdir(parents=True)
    new.paths.settings.write_text(yaml.safe_dump(saved))
    again = load(study_file(tmp_path))
    assert again.train["test_split"] == 0
    assert changes(session.saved(tmp_path / "store", "made-up"), again) == []


def test_a_study_with_a_test_side_keeps_it(tmp_path: Path) -> None:
    first = load(study_file(tmp_path, train={"test_split": 0.3}))
    session.prepare(first)
    assert load(study_file(tmp_path, train={})).train["test_split"] == 0.3


def test_shares_that_leave_nothing_to_train_on_are_named(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, train={"val_split": 0.9})
    assert problem.startswith("train.val_split +")
    assert "val_split + test_split must be below 1, got 0.9 + 0.1" in problem


def test_resolved_study_holds_every_training_setting(tmp_path: Path) -> None:
    train = study(tmp_path).train
    assert train["batch_size"] == 6
    assert "epochs" not in train


def test_limits_may_change_and_the_queue_may_grow(tmp_path: Path) -> None:
    before = study(tmp_path, search={"queue": ["baseline"]})
    after = study(tmp_path, trials=50, hours=1, workers=3, search={"queue": ["good", "baseline"]})
    assert changes(before, after) == []


def test_a_changed_setting_of_a_study_with_trials_is_refused_by_name(
    tmp_path: Path,
) -> None:
    before = study(tmp_path)
    session.prepare(before)
    session.prepare(study(tmp_path, grids=2))  # no trial yet: anything may change
    _pretend_a_trial(before)
    changed = study(tmp_path, grids=3, train={"image_size": 64, "device": "cpu"})
    with pytest.raises(ConfigError, match=r"grids: 2 -> 3\n  train.image_size: 32 -> 64"):
        session.prepare(changed)


def _pretend_a_trial(config: StudyConfig) -> None:
    from sweep.study.folder import TrialRecord, write_record

    record = TrialRecord(trial=0, stage="probe", schedule="baseline", params={}, epochs=6)
    write_record(config.paths.run_dir(0, "probe"), record)


def test_an_unknown_metric_is_named_beside_the_other_problems(tmp_path: Path) -> None:
    values = {"name": "x", "data": {"path": "d"}, "foo": 1}
    thresholds = [{"metric": "ssim_vu", "at_least": 0.1}]
    with pytest.raises(ConfigError) as found:
        parse({**values, "thresholds": thresholds}, "study.yaml")
    assert "foo: unknown key" in str(found.value)
    assert "'ssim_vu' is not measured" in str(found.value)
