"""Damaged files of a study are named, and made again from the rest where that can be done."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import optuna
import pytest
from click.testing import CliRunner, Result

from sweep.cli import main
from sweep.driving.display import ProgressDisplay
from sweep.driving.driver import Driver
from sweep.driving.recovery import take_up_failed
from sweep.driving.session import prepare, saved
from sweep.study.config import StudyConfig
from sweep.study.database import sqlite_url
from sweep.study.folder import RECORD, TrialRecord, read_record, records, write_record
from tests.sweep.fakes import InlineLauncher, NoMirror, inject_faults, study
from tests.sweep.made_study import make_whole_study
from uvtex.errors import UvtexError
from uvtex.runs.epochs import read_epochs
from uvtex.runs.folder import RunFolder


class Notes(ProgressDisplay):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def drive(config: StudyConfig) -> tuple[list[str], list[str]]:
    """Drives a study; returns what people are told, and the runs that were started."""
    notes, launcher = Notes(), InlineLauncher()
    assert Driver(config, launcher, NoMirror(config), notes).run() == "done"
    return notes.notes, ["/".join(Path(job.run_dir).parts[-2:]) for job in launcher.jobs]


def outcome(config: StudyConfig) -> list[tuple[Any, ...]]:
    """What a study came to, without times."""
    return [
        (r.trial, r.name, r.state, r.schedule, r.params, r.best_epoch, r.reason, r.epochs_made,
         [report.val for report in read_epochs(config.paths.run_dir(*r.key))])
        for r in records(config.paths.folder)
    ]  # fmt: skip


def in_optuna(config: StudyConfig) -> list[tuple[Any, ...]]:
    """What the sampler knows of each trial, by number."""
    storage = optuna.storages.RDBStorage(sqlite_url(config.paths.optuna))
    try:
        trials = optuna.load_study(study_name=config.name, storage=storage).trials
        return [
            (t.number, t.state, t.values, t.params, t.intermediate_values, t.constraints)
            for t in trials
        ]
    finally:
        storage.remove_session()
        storage.engine.dispose()


def sweep(config: StudyConfig, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, config.name, "--store", str(config.store)])


@pytest.fixture
def config(tmp_path: Path) -> StudyConfig:
    """A study that has ended, with its settings saved."""
    made = study(tmp_path)
    (tmp_path / "store/studies/made-up").mkdir(parents=True)
    prepare(made)
    drive(made)
    return made


# -- optuna.db


def test_a_lost_database_is_made_anew_and_the_samplers_numbers_go_on(tmp_path: Path) -> None:
    whole, lost = study(tmp_path / "a", trials=7), study(tmp_path / "b", trials=5)
    drive(whole)
    drive(lost)
    lost.paths.optuna.unlink()
    notes, _ = drive(study(tmp_path / "b", trials=7))
    assert any("had lost 5 trials of 5; they were made anew from the trial" in n for n in notes)
    assert outcome(lost) == outcome(whole)
    assert in_optuna(lost) == in_optuna(whole)


def test_a_database_that_has_given_the_numbers_to_others_is_not_touched(
    config: StudyConfig,
) -> None:
    config.paths.optuna.unlink()
    storage = optuna.storages.RDBStorage(sqlite_url(config.paths.optuna))
    other = optuna.create_study(storage=storage, study_name=config.name, direction="maximize")
    other.add_trial(optuna.trial.create_trial(state=optuna.trial.TrialState.FAIL))
    storage.remove_session()
    storage.engine.dispose()
    with pytest.raises(UvtexError, match=r"trials \[1, 2, 3, 4\] are not in .*another name"):
        drive(config)


# -- trial.json


@pytest.mark.parametrize("damage", ["cut", "missing", "of another run"])
@pytest.mark.parametrize("run", ["0000/probe", "0001/probe", "0001/full"])
def test_a_damaged_record_is_named_and_made_anew(
    config: StudyConfig, damage: str, run: str
) -> None:
    before, told = outcome(config), in_optuna(config)
    path = config.paths.folder / "trials" / run / RECORD
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:200])
    elif damage == "missing":
        path.unlink()
    else:
        record = read_record(path.parent)
        write_record(path.parent, record.model_copy(update={"trial": 99999999}))
    if damage != "missing":
        status = sweep(config, "status")
        assert status.exit_code == 0, status.output
        assert f"damaged: {path}: is " in status.output
    notes, started = drive(config)
    assert started in ([], [run])
    if damage != "missing" or run != "0001/full":
        assert any(f"{path}: is " in n and "it was made anew" in n for n in notes)
    assert outcome(config) == before
    assert in_optuna(config) == told
    assert drive(config)[1] == []


def test_a_report_leaves_out_what_is_damaged_and_names_it(tmp_path: Path) -> None:
    made = make_whole_study(tmp_path)
    path = made.paths.run_dir(2, "probe") / RECORD
    path.write_bytes(path.read_bytes()[:100])
    done = sweep(made, "report")
    assert done.exit_code == 0, done.output
    assert f"warning: left out or not whole: {path}: is damaged; `sweep run`" in done.stderr


# -- reports of epochs


def test_a_cut_last_line_of_a_run_that_has_ended_is_named_and_put_back(
    tmp_path: Path, tiny_set: Path
) -> None:
    from sweep.launchers.base import Job
    from sweep.launchers.training import train

    config = study(
        tmp_path, data={"path": str(tiny_set)}, stages={"probe": 2, "full": 2}, trials=1,
        train={"image_size": 32, "width": 0.1, "val_split": 0.34, "device": "cpu"},
        search={"queue": ["baseline"], "startup_trials": 1}, pruning={"enabled": False},
    )  # fmt: skip
    run_dir = config.paths.run_dir(0, "probe")

    class Training(InlineLauncher):
        def start(self, slot: str, job: Job) -> None:
            self.jobs.append(job)
            self._runs[slot] = train(job, print)

    Driver(config, Training(), NoMirror(config), ProgressDisplay()).run()
    prepare(config)
    file = RunFolder(run_dir).epochs
    whole = file.read_bytes()
    assert read_record(run_dir).epochs_made == whole.count(b"\n") == 2
    file.write_bytes(whole[:-20])
    assert f"damaged: {file}: lacks the last of its 2 epochs" in sweep(config, "status").output
    notes, started = drive(config)
    assert started == []
    assert any("it was taken from the last checkpoint" in note for note in notes)
    assert file.read_bytes() == whole


def test_reports_that_are_garbled_make_the_run_again(config: StudyConfig) -> None:
    before = outcome(config)
    file = RunFolder(config.paths.run_dir(0, "probe")).epochs
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join([lines[0], "{garbled\n", *lines[2:]]))

    notes, started = drive(config)
    assert started == ["0000/probe"]
    assert any(f"{file}:2: not an epoch report" in note for note in notes)
    assert file.with_name("epochs.jsonl.broken").is_file()
    assert outcome(config) == before


# -- study.yaml


def test_saved_settings_that_are_cut_are_no_other_settings(config: StudyConfig) -> None:
    path = config.paths.settings
    whole = path.read_text()
    for cut in (len(whole) // 2, len(whole) - 30, 20, 0):
        path.write_text(whole[:cut])
        done = sweep(config, "status")
        assert done.exit_code == 1, cut
        assert f"{path}: is cut; restore it from a copy" in done.stderr
        with pytest.raises(UvtexError, match="is cut"):
            prepare(config)
    path.unlink()
    prepare(config)
    assert path.read_text() == whole
    path.write_text("\n".join(whole.splitlines()[1:-1]))  # of an earlier version
    assert saved(config.store, config.name).name == config.name


@pytest.mark.parametrize("name", ["../made-up", "../../elsewhere/studies/made-up", "/", "", "."])
def test_a_name_does_not_lead_out_of_the_store(config: StudyConfig, name: str) -> None:
    done = CliRunner().invoke(main, ["status", name, "--store", str(config.store)])
    assert done.exit_code == 1
    assert "no such study in" in done.stderr


# -- runs that failed


def test_a_probe_that_is_taken_up_again_gives_the_sampler_its_result_once(tmp_path: Path) -> None:
    config = study(tmp_path, trials=2)
    inject_faults(config, **{"raise": {"0001/probe": 3}})
    drive(config)
    assert [values for _, _, values, *_ in in_optuna(config)][1] is None
    inject_faults(config)
    assert len(take_up_failed(config)) == 1
    _, started = drive(config)
    assert started == ["0001/probe", "0001/full"]
    record: TrialRecord = read_record(config.paths.run_dir(1, "probe"))
    assert (record.state, record.epochs_made) == ("promoted", 6)
    told = in_optuna(config)
    best = max(report.val["ssim_uv"] for report in read_epochs(config.paths.run_dir(1, "probe")))
    assert told[-1][2] == [best]
    assert drive(config)[1] == []
    assert in_optuna(config) == told
