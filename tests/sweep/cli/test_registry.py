"""``sweep promote``, ``champion`` and ``rollback`` as people use them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from mlflow import MlflowClient

from sweep.cli import main
from sweep.study.config import StudyConfig
from sweep.study.folder import read_record, tracking_uri
from sweep.study.lease import lease
from tests.sweep.made_study import add_checkpoint, add_test_side, add_trial, empty_store, make_study


def call(*arguments: str) -> Result:
    # standalone_mode turns errors into exit codes, so it stays on.
    return CliRunner().invoke(main, list(arguments), catch_exceptions=False)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with a study: trial 0 passes, trial 1 does too, trial 2 misses, trial 3 is a probe.

    Trial 0 is registered, and is champion.
    """
    store = tmp_path_factory.mktemp("made")
    empty_store(store)
    study = make_study(store)
    for number, ssim in enumerate((0.66, 0.7, 0.5)):
        _, run_dir = add_trial(study, number, stage="full", reach=ssim + 0.05, seed=1)
        add_checkpoint(study, run_dir)
        add_test_side(run_dir, {"ssim_uv": ssim, "haarpsi_view": 0.5})
    add_trial(study, 3, state="pruned")
    result = call("promote", "made/0", "--store", str(store))
    assert result.exit_code == 0, result.output
    assert "0000/full (search) is version 1, champion: passes with" in result.output
    return store


@pytest.fixture
def store(made: Path, tmp_path: Path) -> Path:
    """A copy of that store. The study's data set is gone in it, as in the original."""
    return Path(shutil.copytree(made, tmp_path / "store"))


def study_of(store: Path) -> StudyConfig:
    return make_study(store)


def test_the_champion_is_told_with_figures_of_both_sides_and_its_reason(store: Path) -> None:
    out = call("champion", "--store", str(store)).output
    assert "champion: version 1 (made/0/full), schedule search" in out
    for figure in ("0.6600", "0.7"):  # the test side's, and what validation said
        assert figure in out
    assert "Test liveries chose nothing" in out
    assert "by promotion: the first champion" in out
    values = json.loads(call("champion", "--store", str(store), "--json").stdout)
    assert values["champion"]["metrics"]["ssim_uv"] == 0.66
    assert values["champion"]["validation"]["ssim_uv"] > 0.66
    assert values["champion"]["replicates"] == {"1": {"ssim_uv": 0.66, "haarpsi_view": 0.5}}
    assert values["challenger"] is None
    assert "history" not in values


def test_promote_by_name_by_folder_and_back_again(store: Path) -> None:
    folder = str(store / "studies/made/trials/0001/full")
    second = call("promote", folder, "--store", str(store))
    assert second.exit_code == 0, second.output
    assert "is version 2, not champion: " in second.output
    assert "sweep calibrate" in second.output
    out = call("champion", "--store", str(store)).output
    assert "challenger: version 2 (made/1/full): version 1 (made/0/full) stays champion" in out
    by_hand = call("promote", "made/1", "--store", str(store), "--override", "looks\nright")
    assert by_hand.exit_code == 0, by_hand.output
    assert "is version 2, champion: " in by_hand.output
    out = call("champion", "--store", str(store)).output
    assert "override: looks right" in out
    back = call("rollback", "--store", str(store), "--reason", "seams")
    assert "champion: version 1" in back.output
    listed = call("champion", "--store", str(store), "--history").output
    for kind in ("promotion", "override", "rollback"):
        assert kind in listed
    history = json.loads(call("champion", "--store", str(store), "--history", "--json").stdout)
    assert [e["version"] for e in history["history"]] == ["1", "2", "1"]
    assert json.loads(call("rollback", "2", "--store", str(store), "--json").stdout)["note"] is None


def test_the_studys_mlflow_run_has_the_decision_too(store: Path) -> None:
    client = MlflowClient(tracking_uri(store))
    (parent,) = client.search_runs(
        [client.get_experiment_by_name("made").experiment_id], "tags.`sweep.stage` = 'study'"
    )
    gate = read_record(store / "studies/made/trials/0000/full").gate
    assert gate is not None
    assert parent.data.tags["sweep.decision.0000"] == gate.reason
    assert "the first champion" in parent.data.tags["mlflow.note.content"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["promote", "made/2"], 1, "is not registered: ssim_uv 0.5 misses"),
        (["promote", "made/3"], 1, "0003/probe (search) is a probe, pruned"),
        (["promote", "made/9"], 1, "study made has no such run"),
        (["promote", "maid/0"], 1, "there is no study maid"),
        (["promote", "7"], 1, "names no run"),
        (["promote", "made/0", "--override", "  "], 2, "must be a text of 1 to 1000"),
        (["promote", "made/1", "--uri", "ftp://x"], 1, "is no tracking URI"),
        (["promote", "made/1", "--uri", "http://127.0.0.1:9"], 1, "cannot"),
        (["rollback"], 1, "no version was champion before this one"),
        (["rollback", "7"], 1, "there is no version 7 of uvtex; there are: 1"),
        (["rollback", "seven"], 2, "not a valid integer"),
        (["champion", "--uri", "http://127.0.0.1:9"], 1, "cannot look up the champion"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_an_exit_code(
    store: Path, arguments: list[str], code: int, words: str
) -> None:
    result = call(*arguments, "--store", str(store))
    assert result.exit_code == code
    assert words in result.output
    if code == 1:
        assert result.output.startswith("error: ")
        assert result.output.count("\n") == 1
    assert read_record(store / "studies/made/trials/0002/full").gate is None


def test_a_study_that_is_being_driven_is_left_to_its_driver(store: Path) -> None:
    with lease(study_of(store).paths):
        result = call("promote", "made/1", "--store", str(store))
    assert result.exit_code == 1
    assert "is being driven by" in result.output


def test_a_trial_directory_outside_a_study_is_refused(store: Path, tmp_path: Path) -> None:
    away = shutil.copytree(store / "studies/made/trials/0001/full", tmp_path / "a/b/c/full")
    result = call("promote", str(away), "--store", str(store))
    assert result.exit_code == 1
    assert "lies in no study's folder" in result.output


def test_without_a_store_nothing_is_made(tmp_path: Path) -> None:
    for command in ("champion", "rollback"):
        result = call(command, "--store", str(tmp_path / "none"))
        assert result.exit_code == 1
        assert "there is no MLflow store" in result.output
    assert not list(tmp_path.iterdir())


def test_status_and_its_summary_tell_the_test_side_first(store: Path) -> None:
    result = call("status", "made", "--store", str(store))
    assert result.exit_code == 0, result.output
    rows = [line.split() for line in result.output.splitlines()]
    (told,) = [row for row in rows if row[:1] == ["champion"]]
    assert told[told.index("test") + 1] == "0.6600"
    assert rows[rows.index(told) + 1][0] == "validation"
