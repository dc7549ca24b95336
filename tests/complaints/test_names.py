"""Names that people choose: taken as they are, encoded for a destination, or refused early."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import strategies as st

from sweep.cli import main
from sweep.driving.display import ProgressDisplay
from sweep.driving.driver import Driver
from sweep.study.file import load
from sweep.tracking import client, schema
from sweep.tracking.client import TrackingError
from sweep.tracking.mirror import MlflowMirror
from sweep.tracking.sync import sync
from tests.sweep.fakes import InlineLauncher, study_file
from tests.sweep.made_study import add_checkpoint, add_trial, empty_store, make_study
from tests.sweep.tracking.tracked_runs import candidate_of
from uvtex.errors import ConfigError

ODD = "uv+cycle [/b] %20 é?#<b>"
PRINTABLE = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=300)


@given(PRINTABLE, PRINTABLE)
@example("uv+cycle", "uv_cycle")
@example("..", ".")
@example("a//b", "a/b")
@example("/a", "a")
@example("x" * 300, "x" * 299)
def test_any_name_makes_a_key_that_mlflow_takes_and_no_two_share_one(one: str, other: str) -> None:
    from mlflow.utils import validation

    keys = [schema.key(one), schema.key(other)]
    for key in keys:
        validation._validate_tag_name(key)
        validation._validate_param_name(key)
        validation._validate_metric_name(key)
    assert (keys[0] == keys[1]) == (one == other)


def named_study(folder: Path, name: str) -> Path:
    path = study_file(folder, trials=1, search={"startup_trials": 1, "queue": [name]})
    weights = {"cycle": 0.3, "uv": 0.45, "direct": 0.3, "cross": 0.15}
    (folder / "schedules.yaml").write_text(yaml.safe_dump({name: weights}, allow_unicode=True))
    return path


def test_a_study_with_an_odd_schedule_name_is_tracked_whole(tmp_path: Path) -> None:
    study = load(named_study(tmp_path, ODD))
    warnings: list[str] = []
    mirror = MlflowMirror(study, warnings.append)
    Driver(study, InlineLauncher(), mirror, ProgressDisplay()).run()
    mirror.close()
    assert warnings == []
    assert not mirror.behind
    store = client.client(study.tracking_uri)
    experiment = store.get_experiment_by_name(study.name)
    runs = store.search_runs([experiment.experiment_id], "tags.`sweep.trial` = '0'")
    assert runs[0].data.tags["sweep.schedule"] == ODD


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("search", "sampler's own trials"),
        (" padded ", "space"),
        ("two\nlines", "control characters"),
        ("bell\a", "control characters"),
        ("\x1b[31mred", "control characters"),
        ("x" * 101, "100"),
    ],
)
def test_a_schedule_name_that_no_destination_can_show_is_refused_by_a_dry_run(
    tmp_path: Path, name: str, problem: str
) -> None:
    done = CliRunner().invoke(main, ["run", str(named_study(tmp_path, name)), "--dry-run"])
    assert done.exit_code == 2
    assert problem in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("name", ["con", "NUL.txt", "x" * 101, "a/b", "..", "dot.", "é", ""])
def test_a_study_name_that_is_no_file_name_everywhere_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="name: "):
        load(study_file(tmp_path, name=name))


def test_one_refused_call_does_not_keep_the_gate_from_being_asked(tmp_path: Path) -> None:
    empty_store(tmp_path)
    study = make_study(tmp_path)
    _, strange = add_trial(study, 0)
    epochs = strange / "epochs.jsonl"
    epochs.write_text(epochs.read_text().replace('"ssim_uv"', '"ssim+uv"'))
    _, run_dir = add_trial(study, 1, stage="full", reach=0.66)
    add_checkpoint(study, run_dir)
    notes: list[str] = []
    mirror = MlflowMirror(study, notes.append)
    mirror.study_started()
    mirror.ask(candidate_of(study, run_dir))
    assert mirror.wait_for_answer(lambda: False)
    (answer,) = mirror.answers()
    mirror.close()
    assert mirror.behind
    assert len(notes) == 1
    assert "ssim+uv" in notes[0]
    assert answer.gate is not None
    assert answer.gate.registered


def test_a_run_that_mlflow_refuses_keeps_no_other_from_being_synced(tmp_path: Path) -> None:
    empty_store(tmp_path)
    study = make_study(tmp_path)
    for number in range(3):
        _, run_dir = add_trial(study, number)
        if number == 1:  # a metric of a later version of this package, or of a careless hand
            epochs = run_dir / "epochs.jsonl"
            epochs.write_text(epochs.read_text().replace('"ssim_uv"', '"ssim+uv"'))
    with pytest.raises(TrackingError, match=r"0001/probe.*ssim\+uv"):
        sync(study)
    store = client.client(study.tracking_uri)
    experiment = store.get_experiment_by_name(study.name)
    states = {
        run.data.tags["sweep.trial"]: run.info.status
        for run in store.search_runs([experiment.experiment_id], "tags.`sweep.stage` = 'probe'")
    }
    assert states["0"] == states["2"] == "FINISHED"
