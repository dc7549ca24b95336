"""Reports and the index of studies with many runs."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from sweep.report import build, study_data
from sweep.report.summary import summarise
from sweep.study import run_index
from sweep.study.folder import read_record, write_record
from sweep.study.run_index import indexed_runs
from tests.sweep.made_study import add_trial, make_study, make_whole_study


def test_a_thinned_study_keeps_full_runs_the_baseline_the_best_and_each_record(
    tmp_path: Path,
) -> None:
    study = make_study(tmp_path)
    for number in range(40):
        add_trial(
            study,
            number,
            schedule="baseline" if number == 7 else "search",
            reach=0.7 if number == 31 else 0.5 + 0.01 * ((7 * number) % 11),
        )
    add_trial(study, 31, stage="full", reach=0.7)
    data = study_data.read_study_data(study)
    thin = study_data.thinned(data, 12)
    assert len(thin.runs) == 12
    kept = [(run.record.trial, run.record.stage) for run in thin.runs]
    assert kept == sorted(kept, key=lambda key: (key[0], key[1] != "probe"))
    assert {(7, "probe"), (31, "probe"), (31, "full"), (0, "probe")} <= set(kept)
    assert study_data.thinned(data, 41) is data


def test_a_report_of_many_runs_says_what_it_leaves_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = make_whole_study(tmp_path, trials=12)
    page = build.write_report(study).read_text()
    assert "The charts and the tables show" not in page
    rows = len(re.findall(r"<tr", page))
    monkeypatch.setattr(build, "MOST_RUNS", 8)
    monkeypatch.setattr(build, "MOST_CURVES", 4)
    page = build.write_report(study).read_text()
    assert "This study has 13 runs. The charts and the tables show 8 of them" in page
    assert len(re.findall(r"<tr", page)) == rows - 5
    assert ">12</" in page  # the count of probes is of all


def test_an_index_changes_nothing_that_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = make_whole_study(tmp_path, trials=8)
    without = summarise(study)
    monkeypatch.setattr(run_index, "FEWEST", 1)
    first, again = summarise(study), summarise(study)
    assert (study.paths.folder / "index.json").is_file()
    assert first == again == without


def test_an_index_follows_its_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_index, "FEWEST", 1)
    study = make_whole_study(tmp_path, trials=8)
    before = {run.record.key: run for run in indexed_runs(study)[0]}
    run_dir = study.paths.run_dir(0, "probe")
    write_record(
        run_dir, read_record(run_dir).model_copy(update={"state": "failed", "reason": "x"})
    )
    epochs = run_dir / "epochs.jsonl"
    lines = epochs.read_text().splitlines(keepends=True)
    epochs.write_text("".join(lines[:2]))
    add_trial(study, 20, state="running")
    after = {run.record.key: run for run in indexed_runs(study)[0]}
    assert after[0, "probe"].record.state == "failed"
    assert list(after[0, "probe"].epochs) == [1, 2]
    assert after[20, "probe"].record.state == "interrupted"  # no driver runs it
    assert after.keys() - before.keys() == {(20, "probe")}
    unchanged = before.keys() - {(0, "probe")}
    assert all(after[key] == before[key] for key in unchanged)


@pytest.mark.parametrize("content", [b"", b"{", b'{"version": 0}', b"[1]"])
def test_a_damaged_index_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.setattr(run_index, "FEWEST", 1)
    study = make_whole_study(tmp_path, trials=8)
    expected = indexed_runs(study)
    index = study.paths.folder / "index.json"
    index.write_bytes(content)
    assert indexed_runs(study) == expected
    assert index.stat().st_size > 100


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_store_that_cannot_be_written_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_index, "FEWEST", 1)
    study = make_whole_study(tmp_path, trials=8)
    study.paths.folder.chmod(0o500)
    assert len(indexed_runs(study)[0]) == 9
    study.paths.folder.chmod(0o700)
