"""Every kind of inconsistency is made, found, and mended where that loses nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from sweep.cli import main
from sweep.driving.active_run import ActiveRun
from sweep.driving.recovery import tell_run
from sweep.driving.sampling.optuna_study import OptunaStudy
from sweep.study.config import StudyConfig
from sweep.study.folder import read_record
from sweep.study.lease import StudyTaken, lease
from sweep.upkeep.doctor import diagnose, mend
from sweep.upkeep.run_files import inspect_run
from sweep.upkeep.study_files import inspect_study
from tests.sweep.upkeep.damages import (
    BY_HAND,
    MENDED,
    cut,
    dead_driver,
    kinds,
    orphan_model,
    run_dir,
    running_in_optuna,
    set_state,
    swap_champion,
)
from tests.sweep.upkeep.made_store import PASSED, PLAIN, UNFINISHED
from uvtex.files import sha256_of


def test_a_whole_study_has_no_finding(whole: StudyConfig) -> None:
    assert diagnose(whole.store).findings == ()


@pytest.mark.parametrize("part", MENDED)
def test_what_can_be_mended_is_found_and_mended(part: str, whole: StudyConfig) -> None:
    best = run_dir(whole, PASSED, "full") / "checkpoints" / "best.safetensors"
    before = sha256_of(best)
    for damage, _ in MENDED[part]:
        damage(whole)
    found = diagnose(whole.store).findings
    assert {kind for _, kind in MENDED[part]} <= kinds(found)
    assert all(finding.remedy is not None for finding in found), found
    said: list[str] = []
    left = mend(whole.store, None, said.append).findings
    assert left == ()
    assert not any(line.startswith("failed") for line in said)
    assert sha256_of(best) == before


def test_the_second_trial_of_a_run_that_was_taken_up_again_needs_no_record(
    whole: StudyConfig,
) -> None:
    running_in_optuna(whole)
    run = ActiveRun.load(whole, read_record(run_dir(whole, PASSED + 1)))
    trials = OptunaStudy(whole)
    try:
        trials.tell(run.record.model_copy(update={"state": "failed"}), None)
        tell_run(trials, run)
    finally:
        trials.close()
    assert "trial-without-record" not in kinds(diagnose(whole.store).findings)


def test_what_could_lose_a_result_is_found_and_left_to_a_person(whole: StudyConfig) -> None:
    swap_champion(whole)  # before its record in this list is damaged
    for damage, _ in BY_HAND:
        damage(whole)
    files = {path: path.stat().st_size for path in whole.store.rglob("*") if is_result(path)}
    assert {kind for _, kind in BY_HAND} <= kinds(diagnose(whole.store).findings)
    left = mend(whole.store, None, lambda line: None).findings
    assert {kind for _, kind in BY_HAND} <= kinds(left)
    after = {path: path.stat().st_size for path in whole.store.rglob("*") if is_result(path)}
    assert files.items() <= after.items()


def is_result(path: Path) -> bool:
    return path.suffix in (".safetensors", ".json", ".jsonl")


RUN_DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "settings cut": (lambda run: (run / "config.yaml").write_text("epochs: [3"), "damaged-file"),
    "settings missing": (lambda run: (run / "config.yaml").unlink(), "missing-file"),
    "test figures cut": (lambda run: (run / "test.json").write_text("{"), "damaged-file"),
    "epochs missing": (lambda run: (run / "epochs.jsonl").unlink(), "damaged-epochs"),
    "best missing": (
        lambda run: (run / "checkpoints/best.safetensors").unlink(),
        "missing-checkpoint",
    ),
    "periodic cut": (
        lambda run: cut(run / "checkpoints/best_epoch002.safetensors"),
        "broken-checkpoint",
    ),
}


@pytest.mark.parametrize("case", RUN_DAMAGES)
def test_damages_of_one_run_are_found(case: str, whole: StudyConfig) -> None:
    damage, kind = RUN_DAMAGES[case]
    record = read_record(run_dir(whole, PLAIN))
    assert list(inspect_run(whole, record)) == []
    damage(run_dir(whole, PLAIN))
    assert kinds(tuple(inspect_run(whole, record))) == {kind}


def test_damaged_settings_of_a_study_are_found(whole: StudyConfig) -> None:
    whole.paths.settings.write_text("name: [made")
    assert kinds(diagnose(whole.store).findings) == {"damaged-file"}


def test_what_is_left_of_a_lost_study_is_found(whole: StudyConfig) -> None:
    shutil.rmtree(whole.paths.folder)
    found = diagnose(whole.store).findings
    assert kinds(found) == {"optuna-without-folder", "mlflow-without-folder"}
    assert mend(whole.store, None, print).findings == found


def test_the_note_of_a_dead_driver_is_removed(whole: StudyConfig) -> None:
    dead_driver(whole)
    assert kinds(tuple(inspect_study(whole))) == {"left-lock"}
    assert mend(whole.store, "made", print).findings == ()
    assert not whole.paths.driver.exists()


def test_orphans_are_told_with_their_bytes(whole: StudyConfig) -> None:
    orphan_model(whole)
    [finding] = [f for f in diagnose(whole.store).findings if f.kind == "orphan-model"]
    assert finding.bytes == 5000


def test_a_lost_mlflow_database_is_found(whole: StudyConfig) -> None:
    (whole.store / "mlflow.db").unlink()
    assert "mlflow-missing" in kinds(diagnose(whole.store, "made").findings)
    assert not (whole.store / "mlflow.db").exists()


def test_without_mlflow_its_side_is_said_to_be_unchecked(whole: StudyConfig) -> None:
    (whole.store / "mlflow.db").write_text("no database")
    result = CliRunner().invoke(main, ["doctor", "made", "--store", str(whole.store)])
    assert result.exit_code == 1
    assert "MLflow's side was not checked" in result.output


def test_nothing_is_mended_while_a_driver_runs(whole: StudyConfig) -> None:
    set_state(whole, UNFINISHED, "running")
    with lease(whole.paths):
        found = diagnose(whole.store)
        assert found.driven == ("made",)
        assert found.findings == ()
        with pytest.raises(StudyTaken):
            mend(whole.store, "made", print)
    assert read_record(run_dir(whole, UNFINISHED)).state == "running"


def test_the_exit_code_says_whether_something_is_left(whole: StudyConfig) -> None:
    command = ["doctor", "made", "--store", str(whole.store)]
    result = CliRunner().invoke(main, command)
    assert (result.exit_code, result.output) == (0, "study made: nothing is inconsistent\n")
    set_state(whole, UNFINISHED, "running")
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 1
    assert "running-without-driver" in result.output
    assert CliRunner().invoke(main, [*command, "--fix"]).exit_code == 0
    (run_dir(whole, PLAIN) / "trial.json").unlink()
    assert CliRunner().invoke(main, [*command, "--fix"]).exit_code == 1
    values = json.loads(CliRunner().invoke(main, [*command, "--json"]).output)
    assert [one["kind"] for one in values["findings"]] == ["files-without-record"]


def test_an_unknown_study_is_refused(whole: StudyConfig) -> None:
    for name in ("other", "../made", "."):
        result = CliRunner().invoke(main, ["doctor", name, "--store", str(whole.store)])
        assert result.exit_code == 1
        assert "studies there: made" in result.output
