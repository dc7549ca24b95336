"""Comparison of runs, by each form of a run's name."""

from __future__ import annotations

import io
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from sweep.report.comparison import compare
from sweep.study.config import StudyConfig
from sweep.study.folder import read_record, write_record
from sweep.tracking.sync import show
from sweep.tracking.tracker import Tracker
from tests.sweep.made_study import add_trial, empty_store, make_study
from uvtex.errors import UvtexError
from uvtex.output import rich_console


@pytest.fixture
def study(tmp_path: Path) -> StudyConfig:
    study = make_study(tmp_path)
    add_trial(study, 0, schedule="baseline", reach=0.5)
    add_trial(study, 7, state="promoted", schedule="uv-heavy", reach=0.6)
    add_trial(study, 7, stage="full", schedule="uv-heavy", reach=0.65)
    return study


def test_a_trial_name_means_its_full_run_if_there_is_one(study: StudyConfig) -> None:
    rows = compare(["made/0", "made/7", "made/7/probe"], study.tracking_uri, study.store).rows
    assert [row.label for row in rows] == [
        "0000 probe baseline",
        "0007 full uv-heavy",
        "0007 probe uv-heavy",
    ]


def test_differences_are_relative_to_the_first_run(study: StudyConfig) -> None:
    result = compare(["made/0", "made/7"], study.tracking_uri, study.store)
    first, second = result.rows
    assert set(result.differences[0].values()) == {0.0}
    expected = second.metrics["ssim_uv"] - first.metrics["ssim_uv"]
    assert result.differences[1]["ssim_uv"] == expected > 0


def test_a_run_can_be_given_by_its_trial_directory(study: StudyConfig) -> None:
    folder = study.paths.run_dir(0, "probe")
    (row,) = compare([str(folder)], "http://nobody.invalid", study.store).rows
    assert (row.settings["w_cycle"], row.settings["w_cycle_end"]) == (0.4, 0.1)
    assert row.settings["schedule"] == "baseline"


def test_a_run_can_be_given_by_its_mlflow_run_id(study: StudyConfig) -> None:
    empty_store(study.store)
    folder = study.paths.run_dir(7, "full")
    tracker = Tracker(study.tracking_uri, study.store / "artifacts", "made")
    run_id = show(study, tracker, read_record(folder))
    from_mlflow, from_disk = compare([run_id, "made/7/full"], study.tracking_uri, study.store).rows
    assert from_mlflow.run == run_id
    assert replace(from_mlflow, run=from_disk.run) == from_disk


def test_a_run_id_whose_directory_is_missing_is_refused(study: StudyConfig) -> None:
    empty_store(study.store)
    folder = study.paths.run_dir(7, "full")
    tracker = Tracker(study.tracking_uri, study.store / "artifacts", "made")
    parent = tracker.study_started(study)
    run_id = show(study, tracker, read_record(folder))
    shutil.rmtree(folder)
    with pytest.raises(UvtexError, match=f"{run_id}: study made has no such run"):
        compare([run_id], study.tracking_uri, study.store)
    with pytest.raises(UvtexError, match=f"{parent}.*shows no trial"):
        compare([parent], study.tracking_uri, study.store)


def test_a_comparison_is_printed_as_a_table_and_as_json(study: StudyConfig) -> None:
    result = compare(["made/0", "made/7"], study.tracking_uri, study.store)
    text = str(result)
    for word in ("0007 full uv-heavy", "w_direct_end", "ssim_uv", "haarpsi_view", "+0."):
        assert word in text
    rows = json.loads(json.dumps(result.to_dict()))
    assert rows[1]["differences"]["margin"] > 0


def test_changes_are_coloured_and_their_colours_are_no_text(study: StudyConfig) -> None:
    result = compare(["made/0", "made/7"], study.tracking_uri, study.store)
    assert "[" not in str(result)
    coloured = io.StringIO()
    rich_console(coloured, width=200, color_system="standard", force_terminal=True).print(result)
    changes = re.findall(r"\x1b\[(\d+)m ([+-][\d.]+)", coloured.getvalue())
    assert {colour for colour, change in changes if float(change) > 0.1} == {"32"}  # green


def test_searched_settings_are_shown_for_each_run(study: StudyConfig) -> None:
    """Also for a run whose study did not search them."""
    record, folder = add_trial(study, 8)
    write_record(folder, record.model_copy(update={"params": {"batch_size": 55}}))
    settings = folder / "config.yaml"
    before, batch_size, after = re.split(r"(?m)^batch_size: (\d+)$", settings.read_text())
    settings.write_text(f"{before}batch_size: 55{after}")
    rows = compare(["made/0", "made/8"], study.tracking_uri, study.store).rows
    assert [row.settings["batch_size"] for row in rows] == [int(batch_size), 55]
    (alone,) = compare(["made/0"], study.tracking_uri, study.store).rows
    assert "batch_size" not in alone.settings


def test_a_run_without_an_epoch_is_a_row_of_dashes(study: StudyConfig) -> None:
    add_trial(study, 9, state="failed", made=0)
    assert " - " in str(compare(["made/0", "made/9"], study.tracking_uri, study.store))


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ("nowhere/1", r"nowhere in .*: made"),
        ("made/55", "has no such run; `sweep status made`"),
        ("made/0/full", "has no such run"),
        ("what is this", "names no run; give STUDY/7"),
        ("0" * 32, "0" * 32),
    ],
)
def test_an_unknown_run_name_is_refused(study: StudyConfig, run: str, message: str) -> None:
    empty_store(study.store)
    with pytest.raises(UvtexError, match=message):
        compare([run], study.tracking_uri, study.store)
