"""The summary: a typed value, and a file whose keys do not change."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sweep.report.study_data import read_study_data
from sweep.report.summary import summarise, table, verdict
from sweep.study.folder import Gate, ThresholdTest, write_record
from sweep.study.summary_record import Summary, read_summary, write_summary
from tests.sweep.made_study import add_test_side, add_trial, make_study, make_whole_study
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
NEW = {
    "failure": None,
    "ending": None,
    "pruning": None,
    "mean_colour_test": None,
    "nearest": {**OLD["nearest"], "test": None},  # type: ignore[dict-item]
}
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
    assert header[3:5] == ["ssim_uv", "haarpsi_view"]
    assert [row[0] for row in rows] == ["champion", "baseline schedule"]
    assert {row[2] for row in rows} == {"validation"}


def test_the_test_side_is_told_first_and_validation_beside_it(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    record, run_dir = add_trial(study, 0, stage="full", reach=0.7)
    add_test_side(run_dir, {"ssim_uv": 0.65, "haarpsi_view": 0.4})
    test = ThresholdTest(
        metric="ssim_uv", threshold="ssim_uv >= 0.6", passed=True, replicates=3, mean=0.64,
        low=0.62, high=0.66, deviation=0.01, degrees=12, critical=2.2, error=0.05,
    )  # fmt: skip
    gate = Gate(registered=True, champion=True, reason="admitted", tests=(test,))
    write_record(run_dir, record.model_copy(update={"gate": gate}))
    found = summarise(study)
    assert found.champion is not None
    assert found.champion.test == {"ssim_uv": 0.65, "haarpsi_view": 0.4}
    _, rows = table(found)
    validation = f"{found.champion.metrics['ssim_uv']:.4f}"
    assert [row[2:4] for row in rows] == [
        ["test", "0.6500"],
        ["validation", validation],
        ["test", "0.6400 (0.6200 to 0.6600)"],
    ]
    assert rows[2][1] == "mean of 3 replicates, with its interval"


def test_a_run_that_meets_its_thresholds_on_validation_alone_has_not_passed(
    tmp_path: Path,
) -> None:
    study = make_study(tmp_path)
    _, run_dir = add_trial(study, 0, stage="full", reach=0.7)
    assert summarise(study).passed
    add_test_side(run_dir, {"ssim_uv": 0.55, "haarpsi_view": 0.4})
    found = summarise(study)
    assert not found.passed
    assert "with a margin of -0.0833 on the test side: ssim_uv 0.55 misses" in verdict(found)


def test_a_run_that_a_person_made_champion_is_shown_as_one_that_did_not_pass(
    tmp_path: Path,
) -> None:
    study = make_study(tmp_path)
    add_trial(study, 0, stage="full", reach=0.66)
    record, run_dir = add_trial(study, 1, stage="full", reach=0.5)
    gate = Gate(
        registered=True, champion=True, unproven=True, override="why", reason="by override: why"
    )
    write_record(run_dir, record.model_copy(update={"gate": gate}))
    found = summarise(study)
    assert found.champion is not None
    assert found.champion.trial == 1
    assert "was registered without passing: by override: why" in verdict(found)
    assert [run.passed for run in read_study_data(study).runs] == [True, False]


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


@pytest.mark.parametrize(
    ("reach", "told"),
    [
        (None, "So far no full run has passed. The probe 0000/probe (search) passed with "),
        (0.55, "So far no trial was admitted. The probe 0000/probe (search) passed with "),
        (
            0.75,
            "So far no trial was admitted. The nearest is 0000/full (search) with a margin of +",
        ),
    ],
)
def test_while_replicates_are_undecided_the_verdict_speaks_of_the_trial(
    tmp_path: Path, reach: float | None, told: str
) -> None:
    study = make_study(tmp_path).model_copy(update={"replicates": 5})
    add_trial(study, 0, state="promoted", reach=0.7)
    if reach is not None:
        add_trial(study, 0, stage="full", reach=reach)
    assert verdict(summarise(study)).startswith(told)
