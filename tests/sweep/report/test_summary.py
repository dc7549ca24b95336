"""The summary: a typed value, and a file whose keys do not change."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sweep.report.study_data import read_study_data
from sweep.report.summary import summarise, table, verdict
from sweep.study.folder import Gate, write_record
from sweep.study.summary_record import Summary, read_summary, write_summary
from tests.sweep.made_study import add_trial, make_study, make_whole_study
from uvtex.errors import UvtexError

OLD = {
    "study": "made",
    "thresholds": ["ssim_uv >= 0.6", "haarpsi_view >= 0.3"],
    "probes": {"complete": 2},
    "full_runs": {},
    "passed": False,
    "over": True,
    "champion": None,
    "baseline": None,
    "nearest": {
        "trial": 1,
        "stage": "probe",
        "label": "0001/probe (search)",
        "state": "complete",
        "schedule": "search",
        "epochs": 6,
        "of": 6,
        "best_epoch": 5,
        "metrics": {"ssim_uv": 0.5, "haarpsi_view": 0.31, "margin": -0.1667},
        "reason": "ssim_uv 0.5 misses ssim_uv >= 0.6 by the most",
        "gate": None,
        "checkpoints": "mlruns/studies/made/trials/0001/probe/checkpoints",
    },
    "mean_colour": {"ssim_uv": 0.27},
    "outcome": "done",
    "report": None,
}
"""A file as earlier versions wrote it."""
NEW = {"failure": None, "ending": None, "pruning": None}
"""Keys that were added since."""


def test_a_written_summary_reads_back_equal(tmp_path: Path) -> None:
    study = make_whole_study(tmp_path)
    made = summarise(study).model_copy(update={"mean_colour": {"ssim_uv": 0.27}})
    write_summary(study, made)
    assert read_summary(study) == made
    assert summarise(study).mean_colour == {"ssim_uv": 0.27}


def test_an_older_file_is_read_and_its_keys_stay(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    study.paths.summary.write_text(json.dumps(OLD))
    found = read_summary(study)
    assert found is not None
    assert found.thresholds == study.thresholds
    assert json.loads(json.dumps(found.to_dict())) == OLD | NEW
    write_summary(study, found)
    assert json.loads(study.paths.summary.read_text()) == OLD | NEW


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"study": "made", "probes": 3}'])
def test_a_damaged_file_is_named_and_does_not_stop_a_summary(tmp_path: Path, text: str) -> None:
    study = make_study(tmp_path)
    study.paths.summary.write_text(text)
    with pytest.raises(UvtexError, match=r"summary\.json"):
        read_summary(study)
    assert summarise(study).mean_colour is None


def test_the_table_begins_with_the_metrics_of_the_thresholds(tmp_path: Path) -> None:
    study = make_whole_study(tmp_path)
    header, rows = table(summarise(study))
    assert header[2:4] == ["ssim_uv", "haarpsi_view"]
    assert [row[0] for row in rows] == ["champion", "baseline schedule"]


def test_a_study_without_an_epoch_has_a_verdict(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    empty = summarise(study)
    assert empty == Summary(study="made", thresholds=study.thresholds)
    assert "No run" in verdict(empty)
    add_trial(study, 0, state="running", made=0)
    assert "No run" in verdict(summarise(study))


def test_a_run_that_the_gate_turned_down_has_not_passed(tmp_path: Path) -> None:
    """It meets the thresholds on the validation side, which chose its epoch."""
    study = make_study(tmp_path)
    record, run_dir = add_trial(study, 0, stage="full", reach=0.66)
    assert summarise(study).passed
    gate = Gate(registered=False, reason="ssim_uv 0.55 misses ssim_uv >= 0.6")
    write_record(run_dir, record.model_copy(update={"gate": gate}))
    summary = summarise(study)
    assert not summary.passed
    assert summary.champion is None
    assert gate.reason in verdict(summary)
    assert not any(run.passed for run in read_study_data(study).runs)


def test_a_full_run_whose_replicates_are_not_decided_has_not_passed(tmp_path: Path) -> None:
    study = make_study(tmp_path).model_copy(update={"replicates": 5})
    add_trial(study, 0, stage="full", reach=0.66)
    assert not summarise(study).passed
