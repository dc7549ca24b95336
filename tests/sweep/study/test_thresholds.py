"""Relative thresholds: how they are written, and what they become."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sweep.decisions.calibration import calibrate
from sweep.decisions.relative_thresholds import resolve
from sweep.driving import session
from sweep.study.calibration import Calibration, RunFigures, write_calibration
from sweep.study.file import changes, load, parse, write_saved
from sweep.study.folder import TrialRecord, write_record
from sweep.study.thresholds.relative import RelativeThreshold
from tests.sweep.fakes import study, study_file
from uvtex.config import Schedule
from uvtex.errors import ConfigError
from uvtex.settings import dump_yaml
from uvtex.thresholds import Threshold

ABOVE = {"metric": "ssim_uv", "above": "baseline", "by": 2}
BELOW = {"metric": "l1_uv", "below": "good", "by": 1}


def calibration(offset: float = 0.0) -> Calibration:
    """Deviation 0.01 over seeds of both metrics; ``baseline`` has 0.3, ``good`` 0.9.

    Probes have 0.1 less SSIM(UV) than full runs.
    """
    runs = [
        RunFigures(
            schedule=schedule,
            seed=seed,
            stage=stage,
            metrics={"ssim_uv": mean + noise + offset + of_stage, "l1_uv": 1 - mean + noise},
            seconds=1,
            epochs=8,
        )
        for stage, of_stage in (("probe", -0.1), ("full", 0.0))
        for schedule, mean in (("baseline", 0.3), ("good", 0.9))
        for seed, noise in enumerate((-0.01, 0.0, 0.01))
    ]
    return calibrate(runs, ("ssim_uv", "l1_uv"))


def problem(tmp_path: Path, *thresholds: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        load(study_file(tmp_path, thresholds=list(thresholds)))
    return str(caught.value)


def test_relative_thresholds_become_absolute_with_the_deviation_as_scale() -> None:
    asked = [
        RelativeThreshold.model_validate(ABOVE),
        RelativeThreshold.model_validate(BELOW),
        Threshold(metric="haarpsi_view", at_least=0.5),
    ]
    ssim, l1, haarpsi = resolve(asked, calibration(), "full")
    assert (ssim.at_least, ssim.scale) == (pytest.approx(0.32), pytest.approx(0.01))
    assert (l1.at_most, l1.scale) == (pytest.approx(0.09), pytest.approx(0.01))
    assert haarpsi == asked[2]


@given(st.floats(-5, 5))
def test_slack_of_the_schedule_itself_is_minus_the_distance_asked(by: float) -> None:
    asked = RelativeThreshold(metric="l1_uv", below="good", by=by)
    (threshold,) = resolve([asked], calibration(), "full")
    assert threshold.slack(0.1) == pytest.approx(-by)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"above": "bad"}, "no runs of schedule 'bad' at stage 'full'; it has: baseline, good"),
        ({"metric": "haarpsi_view"}, "did not measure haarpsi_view"),
    ],
)
def test_what_a_calibration_lacks_is_named(changed: dict[str, Any], says: str) -> None:
    asked = RelativeThreshold.model_validate(ABOVE | changed)
    with pytest.raises(ConfigError, match=f"thresholds.0: .*{re.escape(says)}"):
        resolve([asked], calibration(), "full")


def test_without_a_calibration_the_command_that_makes_one_is_named() -> None:
    with pytest.raises(ConfigError, match="sweep calibrate"):
        resolve([RelativeThreshold.model_validate(ABOVE)], None, "full")


@pytest.mark.parametrize(
    ("threshold", "says"),
    [
        (ABOVE | {"above": "nobody"}, "thresholds.0.above: 'nobody' is not in search.queue"),
        ({"metric": "l1_uv", "above": "good", "by": 1}, "thresholds.0.above: lower values"),
        ({"metric": "ssim_uv", "below": "good", "by": 1}, "thresholds.0.below: higher values"),
        ({"metric": "ssim_uv", "above": "good"}, "thresholds.0.by: is required"),
        (ABOVE | {"below": "good"}, "exactly one of above, below"),
        ({"metric": "l1_uv", "at_least": 0.3}, "thresholds.0.at_least: lower values"),
        ({"metric": "ssim_uv", "at_most": 0.3}, "are better; write 'at_least'"),
        (ABOVE | {"at_least": 0.3}, "thresholds.0.at_least: cannot stand beside 'above' and 'by'"),
        ({"metric": "ssim_uv", "at_leat": 0.3}, "did you mean 'at_least'"),
        ({"metric": "ssim_uv"}, "exactly one of at_least, at_most"),
        (ABOVE | {"metric": "ssim_vu"}, "thresholds.0: 'ssim_vu' is not measured"),
    ],
)
def test_impossible_threshold_is_refused_by_its_key(
    tmp_path: Path, threshold: dict[str, Any], says: str
) -> None:
    assert says in problem(tmp_path, threshold)


def test_a_study_that_was_begun_with_a_threshold_on_the_wrong_side_can_be_read_and_goes_on(
    tmp_path: Path,
) -> None:
    wrong = [{"metric": "ssim_uv", "at_most": 0.3}]
    old = (Threshold(metric="ssim_uv", at_most=0.3),)
    begun = study(tmp_path).model_copy(update={"asked_thresholds": old})
    begun.paths.folder.mkdir(parents=True)
    write_saved(begun)
    assert session.saved(begun.store, begun.name).thresholds[0].at_most == 0.3
    path = study_file(tmp_path, thresholds=wrong)
    with pytest.raises(ConfigError, match="at_most: higher values"):
        load(path)
    (begun.paths.folder / "trials").mkdir()
    assert load(path).thresholds[0].at_most == 0.3


def test_study_file_may_not_give_what_the_study_resolves(tmp_path: Path) -> None:
    path = study_file(tmp_path, resolved_thresholds=[{"metric": "ssim_uv", "at_least": 0.1}])
    with pytest.raises(ConfigError, match="resolved_thresholds: the study sets it"):
        load(path)


def test_saved_settings_of_a_study_with_absolute_thresholds_can_be_run_again(
    tmp_path: Path,
) -> None:
    config = study(tmp_path)
    session.prepare(config)
    assert load(config.paths.settings) == config


def test_unresolved_thresholds_cannot_be_used_and_train_by_their_direction(tmp_path: Path) -> None:
    config = study(tmp_path, thresholds=[ABOVE, BELOW])
    with pytest.raises(ConfigError, match="sweep calibrate"):
        _ = config.thresholds
    ssim, l1 = config.training_thresholds("probe")
    assert ssim.slack(0.5) > ssim.slack(0.4)
    assert l1.slack(0.4) > l1.slack(0.5)


def test_thresholds_are_resolved_and_saved_when_the_study_is_prepared(tmp_path: Path) -> None:
    config = study(tmp_path, thresholds=[ABOVE])
    assert session.prepare(config).resolved_thresholds == ()
    write_calibration(config.paths, calibration())
    prepared = session.prepare(config)
    assert prepared.thresholds_of("full")[0].at_least == pytest.approx(0.32)
    assert prepared.thresholds_of("probe")[0].at_least == pytest.approx(0.22)
    saved = session.saved(config.store, config.name)
    assert saved.thresholds[0].at_least == pytest.approx(0.32)
    assert saved.relative_thresholds == config.relative_thresholds
    assert changes(saved, config) == []
    assert parse(yaml.safe_load(dump_yaml(saved)), "again") == saved


def test_study_with_trials_keeps_its_thresholds_when_the_calibration_grows(tmp_path: Path) -> None:
    config = study(tmp_path, thresholds=[ABOVE])
    write_calibration(config.paths, calibration())
    session.prepare(config)
    record = TrialRecord(trial=0, stage="probe", schedule="baseline", params={}, epochs=6)
    write_record(config.paths.run_dir(0, "probe"), record)
    write_calibration(config.paths, calibration(offset=0.1))
    assert session.prepare(config).thresholds[0].at_least == pytest.approx(0.32)


def test_changed_relative_threshold_of_a_study_with_trials_is_refused(tmp_path: Path) -> None:
    one = study(tmp_path, thresholds=[ABOVE])
    other = study(tmp_path, thresholds=[ABOVE | {"by": 3}])
    assert any(line.startswith("thresholds") for line in changes(one, other))


def test_a_threshold_with_a_stage_compares_both_stages_with_that_one() -> None:
    asked = RelativeThreshold.model_validate(ABOVE | {"stage": "probe"})
    for stage in ("probe", "full"):
        (threshold,) = resolve([asked], calibration(), stage)
        assert threshold.at_least == pytest.approx(0.22)


def test_the_runs_of_a_stage_train_by_the_thresholds_of_their_stage(tmp_path: Path) -> None:
    config = study(tmp_path, thresholds=[ABOVE])
    write_calibration(config.paths, calibration())
    prepared = session.prepare(config)
    for stage, bound in (("probe", 0.22), ("full", 0.32)):
        (threshold,) = prepared.train_config(stage, Schedule()).thresholds
        assert threshold.at_least == pytest.approx(bound)
