"""The registry: what is registered, what a version says, and which version is champion."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mlflow import MlflowClient

from sweep.driving import admission
from sweep.driving.admission import promote_by_hand
from sweep.study.config import StudyConfig
from sweep.study.folder import Gate, read_record
from sweep.tracking.client import RegistryError, TrackingError
from sweep.tracking.registry import VersionRecord, promote, rollback, standing
from sweep.tracking.tracker import Tracker
from tests.sweep.made_study import (
    add_calibration,
    add_checkpoint,
    add_test_side,
    add_trial,
    empty_store,
    make_study,
)
from tests.sweep.tracking.tracked_runs import candidate_of, full_run, promote_run
from uvtex import metric_catalogue
from uvtex.config import TrainConfig
from uvtex.errors import UvtexError

pytestmark = pytest.mark.usefixtures("exported_once")
TODAY = metric_catalogue.versions(None)


def versions(study: StudyConfig) -> list[str]:
    found = MlflowClient(study.tracking_uri).search_model_versions("name = 'uvtex'")
    return sorted(str(version.version) for version in found)


def champion(study: StudyConfig) -> VersionRecord:
    found = standing(study.tracking_uri).champion
    assert found is not None
    return found


def replicate(
    study: StudyConfig,
    trial: int,
    number: int,
    ssim: float,
    fingerprint: str = "t" * 16,
    table: dict[str, str] | None = None,
) -> Path:
    """A full run with figures on the test side, under the seed that the driver would give it."""
    _, run_dir = add_trial(
        study, trial, stage="full", replicate=number, seed=number, reach=ssim + 0.05
    )
    if not (run_dir / "checkpoints" / "best.safetensors").is_file():
        add_checkpoint(study, run_dir)
    add_test_side(run_dir, {"ssim_uv": ssim, "haarpsi_view": ssim - 0.1}, fingerprint, table)
    return run_dir


def replicated(study: StudyConfig, deviation: float = 0.01, most: int = 3) -> StudyConfig:
    add_calibration(study, deviation)
    return study.model_copy(update={"replicates": most})


def test_a_run_that_misses_a_threshold_is_not_admitted(study: StudyConfig) -> None:
    run_dir = full_run(study, 0, reach=0.5)
    answer = admission.judge(study, [read_record(run_dir)])
    assert (answer.verdict, answer.chosen) == ("reject", None)
    assert "misses" in answer.reason


def test_the_first_run_that_passes_becomes_champion_with_its_origin(study: StudyConfig) -> None:
    run_dir = full_run(study, 4, reach=0.66)
    record = read_record(run_dir)
    tracker = Tracker(study.tracking_uri, study.store / "artifacts", study.name)
    run_id = tracker.show(record, run_dir, TrainConfig())
    answer = promote_run(study, run_dir)
    assert (answer.registered, answer.version, answer.champion) == (True, "1", True)
    facts = champion(study)
    assert (facts.study, facts.trial, facts.run) == ("made", "4", "full")
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
    assert len(standing(study.tracking_uri).events) == 1


def test_a_single_run_replaces_no_champion_without_a_calibration(study: StudyConfig) -> None:
    assert promote_run(study, full_run(study, 0, reach=0.66)).champion
    better = promote_run(study, full_run(study, 1, reach=0.9))
    assert (better.registered, better.champion, better.undecided) == (True, False, False)
    assert "sweep calibrate" in better.reason
    assert f"sweep promote made/1/full --store {study.store} --override REASON" in better.reason
    found = standing(study.tracking_uri)
    assert found.challenger is not None
    assert found.challenger.version == "2"


def test_a_single_run_replaces_the_champion_where_a_calibration_tells_them_apart(
    study: StudyConfig,
) -> None:
    add_calibration(study, 0.01)
    assert promote_run(study, replicate(study, 0, 1, 0.66)).champion
    near = promote_run(study, replicate(study, 1, 1, 0.665))
    assert not near.champion
    assert "not shown: ssim_uv better" in near.reason
    assert promote_run(study, replicate(study, 2, 1, 0.7)).champion
    found = standing(study.tracking_uri)
    assert found.champion is not None
    assert found.champion.version == "3"
    assert found.event is not None
    assert "replaces version 1 (made/0/full)" in found.event.reason


def test_a_version_tells_its_own_figures_validations_and_the_replicates_interval(
    study: StudyConfig,
) -> None:
    study = replicated(study)
    replicate(study, 0, 1, 0.66)
    run_dir = replicate(study, 0, 2, 0.67)
    answer = promote_run(study, run_dir)
    facts = champion(study)
    assert facts.side == "test"
    assert set(facts.replicates) == {1, 2}
    assert facts.noise["ssim_uv"].seeds.degrees == 12
    (ssim, _) = answer.tests
    assert (ssim.replicates, round(ssim.mean, 6), ssim.error) == (2, 0.665, 0.05)
    page = MlflowClient(study.tracking_uri).get_model_version("uvtex", "1").description
    assert f"| ssim_uv | >= 0.6 | {facts.metrics['ssim_uv']:.4f} |" in page
    assert f"{facts.validation['ssim_uv']:.4f}" in page
    assert f"| {ssim.mean:.4f} | {ssim.low:.4f} to {ssim.high:.4f} |" in page
    assert "tested at 5%" in page
    assert "the first champion" in page


def test_the_studys_run_says_in_words_why_trials_were_admitted(study: StudyConfig) -> None:
    study = replicated(study)
    run_dir = replicate(study, 0, 1, 0.66)
    record, gate = read_record(run_dir), promote_run(study, run_dir)
    turned = Gate(registered=False, reason="ssim_uv is too low")
    tracker = Tracker(study.tracking_uri, study.store / "artifacts", study.name)
    parent = tracker.study_started(study)
    other = record.model_copy(update={"trial": 1, "gate": turned})
    tracker.study_decisions([record.model_copy(update={"gate": gate}), other])
    tags = MlflowClient(study.tracking_uri).get_run(parent).data.tags
    assert tags["sweep.decision.0000"] == gate.reason
    assert tags["sweep.decision.0001"] == "ssim_uv is too low"
    assert json.loads(tags["sweep.tests.0000"])[0]["critical"] == gate.tests[0].critical
    note = tags["mlflow.note.content"]
    assert "ssim_uv >= 0.6: 0.6600" in note
    assert "error rate 5%" in note


def test_an_undecided_comparison_is_decided_by_more_seeds(study: StudyConfig) -> None:
    study = replicated(study)
    assert promote_run(study, replicate(study, 0, 1, 0.66)).champion
    one = replicate(study, 1, 1, 0.675)
    first = promote_run(study, one)
    assert (first.champion, first.undecided, first.rival) == (False, True, 0)
    assert "full runs under more seeds are due" in first.reason
    for number in (2, 3):
        replicate(study, 0, number, 0.66)
        replicate(study, 1, number, 0.675)
    held = promote_run(study, study.paths.run_dir(0, "full"))  # the champion's figures, told anew
    assert held.champion
    assert held.seeds == (1, 2, 3)
    assert promote_run(study, one).champion
    assert champion(study).version == "2"


@pytest.mark.parametrize(
    ("fingerprint", "table", "cause"),
    [
        ("o" * 16, TODAY, "different test pictures"),
        ("t" * 16, TODAY | {"ssim": "another one"}, "different definitions"),
        ("t" * 16, {}, "different definitions"),
    ],
)
def test_a_champion_that_cannot_be_compared_stays_and_the_override_is_named(
    study: StudyConfig, fingerprint: str, table: dict[str, str], cause: str
) -> None:
    add_calibration(study, 0.01)
    assert promote_run(study, replicate(study, 0, 1, 0.66, fingerprint, table)).champion
    answer = promote_run(study, replicate(study, 1, 1, 0.9))
    assert not answer.champion
    assert cause in answer.reason
    assert "--override REASON" in answer.reason


def test_a_champion_of_an_earlier_version_holds_no_figures_by_seed(study: StudyConfig) -> None:
    add_calibration(study, 0.01)
    assert promote_run(study, replicate(study, 0, 1, 0.66)).champion
    client = MlflowClient(study.tracking_uri)
    for tag in ("replicates", "noise", "tests", "admitted", "admission", "answer"):
        client.delete_model_version_tag("uvtex", "1", f"sweep.{tag}")
    answer = promote_run(study, replicate(study, 1, 1, 0.9))
    assert not answer.champion
    assert "holds no figures by seed" in answer.reason


def test_an_override_makes_a_run_champion_that_the_rule_turns_down(study: StudyConfig) -> None:
    assert promote_run(study, full_run(study, 0, reach=0.66)).champion
    bad = full_run(study, 1, reach=0.5)
    uri = study.tracking_uri
    with pytest.raises(UvtexError, match=r"is not registered: ssim_uv .* --override REASON"):
        promote_by_hand(study, (1, "full"), uri, None)
    assert versions(study) == ["1"]
    _, gate = promote_by_hand(study, (1, "full"), uri, "the customer likes it")
    assert (gate.champion, gate.unproven, gate.override) == (True, True, "the customer likes it")
    assert read_record(bad).gate == gate
    found = standing(uri)
    assert found.champion is not None
    assert found.champion.override == "the customer likes it"
    assert not found.champion.admitted
    assert found.event is not None
    assert found.event.kind == "override"
    assert "the customer likes it" in found.event.reason
    # What was not admitted is no challenger of another champion.
    assert found.challenger is not None
    assert found.challenger.version == "1"


def test_a_version_that_a_person_rolled_back_does_not_come_back_by_itself(
    study: StudyConfig,
) -> None:
    add_calibration(study, 0.01)
    better = replicate(study, 1, 1, 0.7)
    assert promote_run(study, replicate(study, 0, 1, 0.66)).champion
    assert promote_run(study, better).champion
    rollback(study.tracking_uri, None, "stripes bleed")
    again = promote_run(study, better)
    assert not again.champion
    assert "version 2 (made/1/full) was rolled back: stripes bleed" in again.reason
    assert "--override REASON" in again.reason
    assert champion(study).version == "1"


@pytest.mark.parametrize(
    ("stage", "state", "words"),
    [
        ("probe", "complete", "is a probe"),
        ("full", "running", "has made 10 of 10 epochs; resume"),
        ("full", "failed", "failed: made to end failed"),
    ],
)
def test_a_run_that_did_not_end_well_is_refused_even_with_an_override(
    study: StudyConfig, stage: str, state: str, words: str
) -> None:
    record, _ = add_trial(study, 0, stage=stage, state=state)  # type: ignore[arg-type]
    with pytest.raises(UvtexError, match=words):
        promote_by_hand(study, record.key, study.tracking_uri, "because")


def test_promoting_to_an_unreachable_registry_is_an_error(tmp_path: Path) -> None:
    empty_store(tmp_path)
    study = make_study(tmp_path)
    run_dir = full_run(study, 0, reach=0.66)
    with pytest.raises((RegistryError, TrackingError), match=r"127\.0\.0\.1:9"):
        promote(study, candidate_of(study, run_dir), "http://127.0.0.1:9")
