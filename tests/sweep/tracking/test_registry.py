"""The registry: which run is registered, and which is the champion."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow import MlflowClient

from sweep.study.config import StudyConfig
from sweep.study.folder import read_record
from sweep.tracking.client import RegistryError, TrackingError
from sweep.tracking.registry import champion, promote
from sweep.tracking.tracker import Tracker
from tests.sweep.made_study import add_checkpoint, add_trial, empty_store, make_study
from tests.sweep.tracking.tracked_runs import full_run, promote_run
from uvtex import metric_catalogue
from uvtex.config import TrainConfig
from uvtex.thresholds import Threshold


def versions(study: StudyConfig) -> list[str]:
    found = MlflowClient(study.tracking_uri).search_model_versions("name = 'uvtex'")
    return sorted(str(version.version) for version in found)


def test_a_run_that_misses_a_threshold_is_not_registered(study: StudyConfig) -> None:
    answer = promote_run(study, full_run(study, 0, reach=0.5))
    assert (answer.registered, answer.version, answer.champion) == (False, None, False)
    assert "misses" in answer.reason
    assert champion(study.tracking_uri) is None


def test_the_first_run_that_passes_becomes_champion_with_its_origin(study: StudyConfig) -> None:
    run_dir = full_run(study, 4, reach=0.66)
    record = read_record(run_dir)
    tracker = Tracker(study.tracking_uri, study.store / "artifacts", study.name)
    run_id = tracker.trial_started(record, TrainConfig(), run_dir, live=False)
    answer = promote_run(study, run_dir)
    assert (answer.registered, answer.version, answer.champion) == (True, "1", True)
    facts = champion(study.tracking_uri)
    assert facts is not None
    assert (facts.study, facts.trial, facts.stage) == ("made", "4", "full")
    assert facts.run_id == run_id
    assert facts.data_fingerprint == "f" * 16
    assert facts.thresholds == study.thresholds
    assert facts.metrics["ssim_uv"] >= 0.6
    assert facts.margin == facts.metrics["margin"]
    version = MlflowClient(study.tracking_uri).get_model_version("uvtex", "1")
    assert version.run_id == run_id


def test_promoting_a_run_again_registers_nothing_new(study: StudyConfig) -> None:
    run_dir = full_run(study, 0, reach=0.66)
    first, second = promote_run(study, run_dir), promote_run(study, run_dir)
    assert first.version == second.version == "1"
    assert second.champion
    assert versions(study) == ["1"]


def test_only_a_better_run_replaces_the_champion(study: StudyConfig) -> None:
    assert promote_run(study, full_run(study, 0, reach=0.66)).champion
    worse = promote_run(study, full_run(study, 1, reach=0.65))
    assert (worse.registered, worse.champion) == (True, False)
    assert "version 1 (made/0) stays champion" in worse.reason
    better = promote_run(study, full_run(study, 2, reach=0.7))
    assert better.champion
    assert "beats version 1" in better.reason
    # The old champion is promoted again, as after a crash between registering and the alias.
    assert not promote_run(study, study.paths.run_dir(0, "full")).champion
    facts = champion(study.tracking_uri)
    assert facts is not None
    assert facts.version == "3"
    assert versions(study) == ["1", "2", "3"]


def test_a_champion_with_figures_of_other_data_is_measured_again(
    tmp_path: Path, tiny_set: Path
) -> None:
    empty_store(tmp_path)
    study = make_study(tmp_path, data=tiny_set)
    promote_run(study, full_run(study, 0, reach=0.9, fingerprint="other"))
    answer = promote_run(study, full_run(study, 1, reach=0.66))
    assert "both measured on this study's validation pictures" in answer.reason


TODAY = metric_catalogue.versions(None)

ALONE = "ssim_uv_visible_alone"


def with_threshold_on(study: StudyConfig, metric: str) -> StudyConfig:
    thresholds = (Threshold(metric=metric, at_least=0.1),)
    return study.model_copy(update={"asked_thresholds": thresholds})


def run_with_definitions(
    study: StudyConfig, number: int, reach: float, table: dict[str, str]
) -> Path:
    """A full run with the thresholds' metrics, measured by the definitions in ``table``."""
    _, run_dir = add_trial(study, number, stage="full", reach=reach, extra={ALONE: reach})
    add_checkpoint(study, run_dir, table=table)
    return run_dir


@pytest.mark.parametrize(
    ("metric", "champions_table", "compared"),
    [
        (ALONE, TODAY, True),
        (ALONE, TODAY | {"alone": "another one"}, False),
        (ALONE, TODAY | {"ssim": "another one"}, False),
        (ALONE, {"ssim": TODAY["ssim"]}, False),  # older than this metric
        ("ssim_uv", TODAY | {"alone": "another one"}, True),
        ("ssim_uv", {k: v for k, v in TODAY.items() if k not in ("l1", "loss", "margin")}, True),
        ("ssim_uv", {}, False),
    ],
)
def test_figures_are_compared_only_if_the_definition_of_that_metric_is_equal(
    study: StudyConfig, metric: str, champions_table: dict[str, str], compared: bool
) -> None:
    """The data set is missing, so figures that are not comparable cannot be measured again."""
    study = with_threshold_on(study, metric)
    assert promote_run(study, run_with_definitions(study, 0, 0.6, champions_table)).champion
    answer = promote_run(study, run_with_definitions(study, 1, 0.7, TODAY))
    assert answer.champion == compared
    assert ("by their records" if compared else "cannot be compared") in answer.reason


def test_a_champion_without_a_figure_for_a_threshold_stays(
    study: StudyConfig,
) -> None:
    assert promote_run(study, full_run(study, 0, reach=0.66)).champion
    other = with_threshold_on(study, ALONE)
    answer = promote_run(other, run_with_definitions(other, 1, 0.7, TODAY))
    assert not answer.champion
    assert "cannot be compared" in answer.reason


def test_a_champion_that_cannot_be_compared_stays(study: StudyConfig) -> None:
    """The study's data set is missing, so nothing can be measured again."""
    promote_run(study, full_run(study, 0, reach=0.66, fingerprint="other"))
    answer = promote_run(study, full_run(study, 1, reach=0.9))
    assert not answer.champion
    assert "cannot be compared" in answer.reason
    assert "sweep ui" in answer.reason


def test_promoting_to_an_unreachable_registry_is_an_error(study: StudyConfig) -> None:
    run_dir = full_run(study, 0, reach=0.66)
    with pytest.raises((RegistryError, TrackingError), match=r"127\.0\.0\.1:9"):
        promote(study, read_record(run_dir), run_dir, "http://127.0.0.1:9")
