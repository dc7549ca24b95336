"""Versions and the champion's history: made again where MLflow lost them, and never doubled."""

from __future__ import annotations

from pathlib import Path

import pytest
from mlflow import MlflowClient

from sweep.driving.syncing import sync
from sweep.study.config import StudyConfig
from sweep.study.folder import read_record, write_record
from sweep.tracking import export, trial_runs
from sweep.tracking.registry import promote, rollback, standing
from sweep.tracking.sync import sync as sync_tracking
from tests.sweep.made_study import add_calibration, add_trial, empty_store, make_study
from tests.sweep.tracking.driven import content, registry
from tests.sweep.tracking.tracked_runs import candidate_of, full_run, promote_run

pytestmark = pytest.mark.usefixtures("exported_once")


def registered_run(study: StudyConfig, number: int, reach: float) -> Path:
    """A full run with the registry's answer in its record, as the driver writes it."""
    run_dir = full_run(study, number, reach)
    gate = promote_run(study, run_dir)
    write_record(run_dir, read_record(run_dir).model_copy(update={"gate": gate}))
    return run_dir


def quiet(text: str) -> None:
    pass


def test_a_lost_registry_is_made_again_with_a_persons_rollback(study: StudyConfig) -> None:
    add_calibration(study, 0.001)
    for number, reach in ((0, 0.66), (1, 0.75), (2, 0.62)):
        registered_run(study, number, reach)
    rollback(study.tracking_uri, None, "stripes bleed", study.store)
    sync(study, None, quiet)
    before = content(study)
    events = [event.kind for event in standing(study.tracking_uri).events.values()]
    assert events == ["promotion", "promotion", "rollback"]
    empty_store(study.store)
    done = sync(study, None, quiet)
    assert done.versions == {(0, "full"): "1", (1, "full"): "2", (2, "full"): "3"}
    assert content(study) == before
    assert sync(study, None, quiet).versions == {}
    assert content(study) == before
    found = standing(study.tracking_uri)
    assert found.event is not None
    assert found.event.reason == "stripes bleed"


def test_a_copy_in_another_mlflow_has_the_whole_registry(
    study: StudyConfig, tmp_path: Path
) -> None:
    registered_run(study, 0, 0.66)
    registered_run(study, 1, 0.7)
    other = empty_store(tmp_path / "team")
    assert len(sync(study, other, quiet).versions) == 2
    assert registry(MlflowClient(other)) == registry(MlflowClient(study.tracking_uri))
    assert content(study, other)["models"] == [["uvtex", "READY", "0"], ["uvtex", "READY", "1"]]
    assert sync(study, other, quiet).versions == {}


def test_a_copy_leaves_the_champion_of_another_registry(study: StudyConfig, tmp_path: Path) -> None:
    registered_run(study, 0, 0.66)
    team = empty_store(tmp_path / "team")
    theirs = make_study(tmp_path / "team", name="theirs")
    registered_run(theirs, 0, 0.62)
    assert sync(study, team, quiet).versions == {(0, "full"): "2"}
    found = standing(team)
    assert found.champion is not None
    assert found.champion.study == "theirs"
    assert found.challenger is not None
    assert found.challenger.study == "made"
    assert len(found.events) == 1


def test_two_studies_of_a_store_are_made_again_one_after_the_other(study: StudyConfig) -> None:
    add_calibration(study, 0.001)
    other = make_study(study.store, name="other")
    add_calibration(other, 0.001)
    registered_run(study, 0, 0.66)
    registered_run(other, 0, 0.7)
    registered_run(study, 1, 0.8)
    registered_run(other, 1, 0.64)
    labels = [event.version for event in standing(study.tracking_uri).events.values()]
    empty_store(study.store)
    sync(study, None, quiet)
    sync(other, None, quiet)
    found = standing(study.tracking_uri)
    assert found.champion is not None
    assert (found.champion.study, found.champion.trial) == ("made", "1")
    assert len(found.events) == len(labels)
    records = [study.paths.run_dir(1, "full"), other.paths.run_dir(1, "full")]
    versions = [gate.version for path in records if (gate := read_record(path).gate)]
    assert versions == ["2", "4"]


def test_sync_asks_about_a_run_on_which_no_driver_got_an_answer(study: StudyConfig) -> None:
    late, early = full_run(study, 0, 0.66), full_run(study, 1, 0.64)
    last = read_record(late)
    write_record(late, last.model_copy(update={"ended": (last.ended or 0.0) + 1000}))
    notes: list[str] = []
    sync(study, None, notes.append)
    gates = [read_record(path).gate for path in (early, late)]
    assert [gate and gate.version for gate in gates] == ["1", "2"]
    assert len(notes) == 2
    sync(study, None, notes.append)
    assert len(notes) == 2


def models(study: StudyConfig) -> list[str]:
    client = MlflowClient(study.tracking_uri)
    experiment = client.get_experiment_by_name(study.name).experiment_id
    return [model.status for model in client.search_logged_models([experiment])]


def cut_off(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_a_model_that_was_not_finished_is_deleted_with_its_files(
    study: StudyConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_dir = full_run(study, 0, 0.66)
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "finalize_logged_model", cut_off)
        with pytest.raises(KeyboardInterrupt):
            promote(study, candidate_of(study, run_dir), study.tracking_uri)
    assert models(study) == ["PENDING"]
    promote_run(study, run_dir)
    assert models(study) == ["READY"]
    assert len(list((study.store / "artifacts/made/models").iterdir())) == 1


def test_a_model_without_a_version_gets_it_at_the_next_attempt(
    study: StudyConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_dir = full_run(study, 0, 0.66)
    with monkeypatch.context() as patch:
        patch.setattr(MlflowClient, "create_model_version", cut_off)
        with pytest.raises(KeyboardInterrupt):
            promote(study, candidate_of(study, run_dir), study.tracking_uri)
    assert models(study) == ["READY"]
    with monkeypatch.context() as patch:
        patch.setattr(export, "save", cut_off)  # it is not exported again
        promote_run(study, run_dir)
    assert models(study) == ["READY"]


def test_runs_beyond_a_page_are_found_and_doubles_are_deleted(
    study: StudyConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial_runs, "PAGE", 2)
    for number in range(5):
        add_trial(study, number)
    sync_tracking(study)
    client = MlflowClient(study.tracking_uri)
    experiment = client.get_experiment_by_name(study.name).experiment_id
    before = {run.info.run_id for run in client.search_runs([experiment])}
    first = client.search_runs([experiment], "tags.`sweep.trial` = '3'")[0]
    client.create_run(experiment, tags=first.data.tags)  # as a call that came late
    sync_tracking(study)
    assert {run.info.run_id for run in client.search_runs([experiment])} == before
