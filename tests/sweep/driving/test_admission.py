"""Full runs as replicates: how many a trial gets, and what admits it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from sweep.driving import admission
from sweep.driving.calibration.calibrator import Calibrator
from sweep.driving.calibration.runs import planned
from sweep.driving.display import ProgressDisplay
from sweep.driving.driver import Driver
from sweep.study.config import StudyConfig
from sweep.study.folder import Gate, TrialRecord, records
from sweep.tracking.registry import Candidate
from tests.sweep.fakes import InlineLauncher, NoMirror, study


def drive(config: StudyConfig) -> dict[str, TrialRecord]:
    Driver(config, InlineLauncher(), NoMirror(config), ProgressDisplay()).run()
    return {f"{r.schedule} {r.name}": r for r in records(config.paths.folder)}


def calibrated(folder: Path, **changes: object) -> StudyConfig:
    config = study(folder, replicates=5, trials=3, **changes)
    runs = planned(config, ["baseline", "good"], 4)
    assert Calibrator(config, runs, InlineLauncher(), lambda line: None).run() is not None
    return config


def test_a_schedule_far_above_its_threshold_needs_few_replicates(tmp_path: Path) -> None:
    found = drive(calibrated(tmp_path))
    full = [r for name, r in found.items() if "good full" in name]
    assert 1 <= len(full) <= 2
    seeds = {r.seed for r in full}
    assert len(seeds) == len(full)
    gate = next(r.gate for r in full if r.gate is not None)
    assert gate.registered
    assert not any(name.startswith(("bad full", "baseline full")) for name in found)


def test_a_schedule_that_only_its_probe_flattered_is_rejected_in_words(tmp_path: Path) -> None:
    config = calibrated(tmp_path)
    probe = TrialRecord(
        trial=7, stage="probe", state="promoted", schedule="bad", params={}, epochs=6
    )
    full = probe.model_copy(update={"stage": "full", "state": "complete", "seed": 1})
    write_test_figures(config, full, 0.2)
    answer = admission.judge(config, [full])
    assert answer.verdict == "reject"
    assert "ssim_uv" in answer.reason
    assert answer.chosen is None


def test_the_test_side_judges_where_there_is_one(tmp_path: Path) -> None:
    config = study(tmp_path)
    drive(config)
    full = next(r for r in records(config.paths.folder) if r.stage == "full")
    assert admission.judge(config, [full]).verdict == "admit"
    write_test_figures(config, full, 0.2)
    assert admission.judge(config, [full]).verdict == "reject"


def test_without_a_calibration_several_replicates_wait(tmp_path: Path) -> None:
    config = study(tmp_path, replicates=3, trials=2)
    found = drive(config)
    full = [r for name, r in found.items() if "good full" in name]
    assert all(r.gate is None for r in full)
    assert "sweep calibrate" in admission.judge(config, full).reason


@pytest.mark.parametrize("state", ["failed", "pruned"])
def test_a_single_full_run_that_did_not_end_well_is_rejected(tmp_path: Path, state: str) -> None:
    config = study(tmp_path)
    record = TrialRecord(
        trial=0, stage="full", state=state, reason="why", schedule="good", params={}, epochs=8
    )
    assert admission.judge(config, [record]).verdict == "reject"


def write_test_figures(config: StudyConfig, record: TrialRecord, value: float) -> None:
    run_dir = config.paths.run_dir(*record.key)
    run_dir.mkdir(parents=True, exist_ok=True)
    figures = {
        "checkpoint": "checkpoints/best.safetensors",
        "sha256": "0" * 64,
        "epoch": 8,
        "test_fingerprint": "t" * 16,
        "metric_versions": {},
        "samples": 3,
        "metrics": {"ssim_uv": value, "haarpsi_view": value / 2, "margin": value - 0.6},
        "by_livery": {},
    }
    (run_dir / "test.json").write_text(json.dumps(figures))


def test_replicates_for_the_comparison_do_not_undo_an_admission(tmp_path: Path) -> None:
    config = calibrated(tmp_path)
    found = []
    for number, value in ((1, 0.9), (2, 0.2), (3, 0.2)):
        record = TrialRecord(
            trial=7, stage="full", state="complete", replicate=number, seed=number,
            schedule="good", params={}, epochs=8,
        )  # fmt: skip
        write_test_figures(config, record, value)
        found.append(record)
    first, later = admission.judge(config, found[:1]), admission.judge(config, found)
    assert first.verdict == "admit"
    assert (later.verdict, later.reason, later.chosen) == ("admit", first.reason, first.chosen)
    assert later.chosen is not None
    (told,) = later.tests  # people are told the mean of all
    assert (told.replicates, round(told.mean, 4)) == (3, 0.4333)
    candidate = admission.candidate(config, found, later, later.chosen)
    assert [figures["ssim_uv"] for figures in candidate.replicates.values()] == [0.9, 0.2, 0.2]


class Undecided(NoMirror):
    """A registry in which a second trial is undecided until it has three seeds."""

    def __init__(self, study: StudyConfig) -> None:
        super().__init__(study)
        self.champion: int | None = None
        self.told: list[tuple[int, int]] = []

    def promote(self, candidate: Candidate) -> Gate | None:
        trial, seeds = candidate.record.trial, tuple(candidate.replicates)
        self.champion = trial if self.champion is None else self.champion
        self.told.append((trial, len(seeds)))
        wins = trial == self.champion
        return Gate(
            registered=True,
            version=str(trial),
            champion=wins,
            reason="made up",
            seeds=seeds,
            undecided=not wins and len(seeds) < 3,
            rival=None if wins else self.champion,
        )


def test_the_driver_runs_the_seeds_that_a_comparison_lacks_and_asks_again(tmp_path: Path) -> None:
    threshold = [{"metric": "ssim_uv", "at_least": 0.2}]
    config = calibrated(tmp_path, thresholds=threshold)
    mirror = Undecided(config)
    Driver(config, InlineLauncher(), mirror, ProgressDisplay()).run()
    champion = mirror.champion
    others = {trial for trial, _ in mirror.told if trial != champion}
    assert others
    for trial in others:
        counts = [count for told, count in mirror.told if told == trial]
        assert counts[0] < 3
        assert counts[-1] == 3
    assert [count for told, count in mirror.told if told == champion][-1] >= 2
    for record in records(config.paths.folder):
        if record.trial in others and record.gate is not None:
            assert not record.gate.undecided


def test_a_replicate_that_failed_lends_no_figures_of_another_side(tmp_path: Path) -> None:
    config = calibrated(tmp_path)
    drive(config)
    full = next(r for r in records(config.paths.folder) if r.stage == "full")
    write_test_figures(config, full, 0.6001)  # too near the threshold for one replicate
    crashed = full.model_copy(update={"replicate": 2, "seed": 9, "state": "failed"})
    shutil.copytree(config.paths.run_dir(*full.key), config.paths.run_dir(*crashed.key))
    (config.paths.run_dir(*crashed.key) / "test.json").unlink()  # validation's figures are left
    answer = admission.judge(config, [full, crashed])
    assert answer.verdict == "reject"
    assert "has no figure" in answer.reason
