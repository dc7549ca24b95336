"""Files that a study can do without are listed, removed, and recorded as removed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from sweep.cli import main
from sweep.decisions.retention import kept
from sweep.driving.disk_space.retention import Cleaner, removals
from sweep.study.config import StudyConfig
from sweep.study.folder import Gate, read_record, records, write_record
from sweep.study.lease import StudyTaken, lease
from sweep.tracking.sync import sync
from sweep.upkeep.clean import clean, superfluous
from sweep.upkeep.doctor import diagnose
from tests.sweep.made_study import add_calibration, add_checkpoint, add_trial, make_study
from tests.sweep.upkeep.damages import artifacts_of
from tests.sweep.upkeep.made_store import PASSED, PLAIN, PRUNED, UNFINISHED


def checkpoints(study: StudyConfig, trial: int, name: str = "probe") -> set[str]:
    folder = study.paths.run_dir(trial, name) / "checkpoints"
    return {path.stem for path in folder.iterdir()}


def by_key(study: StudyConfig) -> dict[tuple[int, str], object]:
    return {record.key: record for record in records(study.paths.folder)}


ALL = {"best", "best_last", "best_epoch002"}


def test_what_stays_depends_on_the_verdict(whole: StudyConfig) -> None:
    rows = {row.verdict: row for row in superfluous(whole)}
    assert rows.keys() == {"probe pruned", "probe complete"}
    assert (rows["probe pruned"].files, rows["probe complete"].files) == (3, 2)
    copied = artifacts_of(whole, PRUNED) / "checkpoints"
    assert rows["probe pruned"].in_mlflow == sum(path.stat().st_size for path in copied.iterdir())
    assert checkpoints(whole, PRUNED) == ALL  # so far it was only listed

    removed = clean(whole)
    assert removed == list(rows.values())
    assert checkpoints(whole, PRUNED) == set()
    assert checkpoints(whole, PLAIN) == {"best"}
    assert checkpoints(whole, UNFINISHED) == ALL
    assert checkpoints(whole, PASSED) == checkpoints(whole, PASSED, "full") == ALL
    assert list(copied.iterdir()) == []
    assert (artifacts_of(whole, PLAIN) / "checkpoints" / "best.safetensors").is_file()
    assert superfluous(whole) == []


def test_a_cleaned_study_is_whole_and_stays_so(whole: StudyConfig) -> None:
    clean(whole)
    assert diagnose(whole.store, "made").findings == ()
    sync(whole)
    assert diagnose(whole.store, "made").findings == ()
    record = read_record(whole.paths.run_dir(PRUNED, "probe"))
    assert record.cleaned is not None
    assert "checkpoints/best.safetensors" in record.cleaned.files
    assert record.cleaned.data_fingerprint == "f" * 16


def test_a_clean_that_was_cut_off_is_finished(whole: StudyConfig) -> None:
    run_dir = whole.paths.run_dir(PRUNED, "probe")
    content = (run_dir / "checkpoints" / "best.safetensors").read_bytes()
    clean(whole)
    (run_dir / "checkpoints" / "best.safetensors").write_bytes(content)
    assert {finding.kind for finding in diagnose(whole.store, "made").findings} == {"not-removed"}
    clean(whole)
    assert diagnose(whole.store, "made").findings == ()


def test_one_grid_of_a_pruned_run_stays(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    add_trial(study, 0, state="pruned", made=3, grids=3)
    [found] = removals(study, by_key(study))
    assert [path.name for path in found.files] == ["sample_001.png", "sample_002.png"]


def test_a_persons_checkpoint_and_links_stay(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    _, run_dir = add_trial(study, 0, state="pruned", made=3)
    checkpoint = add_checkpoint(study, run_dir)
    checkpoint.with_name("mine.safetensors").write_bytes(b"mine")
    last = checkpoint.with_name("best_last.safetensors")
    last.rename(tmp_path / "elsewhere.safetensors")
    last.symlink_to(tmp_path / "elsewhere.safetensors")
    [found] = removals(study, by_key(study))
    assert {path.stem for path in found.files} == {"best", "best_epoch002"}


def test_a_trial_that_is_still_decided_on_keeps_everything(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    for stage in ("probe", "full"):
        state = "promoted" if stage == "probe" else "complete"
        record, run_dir = add_trial(study, 0, stage=stage, state=state, reach=0.66)
        add_checkpoint(study, run_dir)
    assert list(removals(study, by_key(study))) == []
    refused = record.model_copy(update={"gate": Gate(registered=False, reason="too low")})
    write_record(run_dir, refused)
    assert {found.verdict for found in removals(study, by_key(study))} == {
        "probe promoted",
        "full complete",
    }
    assert list(removals(study, by_key(study), protected=[0])) == []


def test_a_near_miss_keeps_everything_until_another_trial_is_admitted(tmp_path: Path) -> None:
    study = make_study(tmp_path).model_copy(update={"replicates": 2})
    add_calibration(study, 0.1)
    _, run_dir = add_trial(study, 0, reach=0.59)
    add_checkpoint(study, run_dir)
    assert list(removals(study, by_key(study))) == []
    record, full = add_trial(study, 1, stage="full", reach=0.7)
    write_record(full, record.model_copy(update={"gate": Gate(registered=True, reason="good")}))
    [found] = removals(study, by_key(study))
    assert found.record.trial == 0


@pytest.mark.parametrize("state", ["failed", "running", "interrupted"])
def test_a_run_that_may_go_on_keeps_everything(state: str) -> None:
    assert kept(state, is_open=False, is_protected=False) == "everything"  # type: ignore[arg-type]


def test_the_study_cleans_by_itself_if_it_is_asked_to(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    _, run_dir = add_trial(study, 0, state="pruned", made=3)
    add_checkpoint(study, run_dir)
    found = by_key(study)
    Cleaner(study, found).clean(0)
    assert checkpoints(study, 0) == ALL
    Cleaner(study.model_copy(update={"keep": "verdict"}), found).clean(0)
    assert checkpoints(study, 0) == set()
    assert found[0, "probe"].cleaned is not None


def test_the_command_lists_and_then_removes(whole: StudyConfig) -> None:
    command = ["clean", "made", "--store", str(whole.store)]
    listed = CliRunner().invoke(main, command)
    assert listed.exit_code == 0
    assert "probe pruned" in listed.output
    assert f"sweep clean made --store {whole.store} --yes" in listed.output
    assert checkpoints(whole, PRUNED) == ALL
    removed = json.loads(CliRunner().invoke(main, [*command, "--yes", "--json"]).output)
    assert removed["removed"] is True
    assert checkpoints(whole, PRUNED) == set()
    assert "every file is needed" in CliRunner().invoke(main, command).output
    with lease(whole.paths), pytest.raises(StudyTaken):
        clean(whole)


def test_the_commands_that_read_runs_still_do(whole: StudyConfig) -> None:
    clean(whole)
    store = ["--store", str(whole.store)]
    for command in (["compare", f"made/{PRUNED}", f"made/{PLAIN}"], ["report", "made"]):
        result = CliRunner().invoke(main, [*command, *store])
        assert result.exit_code == 0, result.output
