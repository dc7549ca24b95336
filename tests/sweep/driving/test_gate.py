"""The gate while the registry is slow: who is asked, in what order, and what goes on meanwhile."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sweep.driving import gate as gate_module
from sweep.driving.display import ProgressDisplay
from sweep.driving.driver import Driver
from sweep.driving.due_runs import Records
from sweep.study.config import StudyConfig
from sweep.study.folder import TrialRecord, records, write_record
from sweep.tracking.mirror import Answer
from sweep.tracking.registry import Candidate
from tests.sweep.driving.test_admission import Undecided, calibrated
from tests.sweep.fakes import InlineLauncher, NoMirror, study

LOW = [{"metric": "ssim_uv", "at_least": 0.2}]


class Late(Undecided):
    """A registry that answers one question each time that the driver has nothing else to do."""

    def __init__(self, study: StudyConfig) -> None:
        super().__init__(study)
        self.questions: deque[Candidate] = deque()
        self.asked: list[int] = []

    def ask(self, candidate: Candidate) -> None:
        self.asked.append(candidate.record.trial)
        self.questions.append(candidate)

    def wait_for_answer(self, stopped: Callable[[], bool]) -> bool:
        if self.questions:
            candidate = self.questions.popleft()
            self._told.append(Answer(candidate, self.promote(candidate)))
        return bool(self._told)


class Away(Late):
    """A registry that never answers."""

    def wait_for_answer(self, stopped: Callable[[], bool]) -> bool:
        return False


def drive(config: StudyConfig, mirror: NoMirror) -> list[str]:
    """Drives a study; returns its runs in the order of their starts."""
    launcher = InlineLauncher()
    Driver(config, launcher, mirror, ProgressDisplay()).run()
    trials = config.paths.folder / "trials"
    return [str(Path(job.run_dir).relative_to(trials)) for job in launcher.jobs]


def outcome(config: StudyConfig) -> list[dict[str, Any]]:
    """The records without their times."""
    kept = []
    for record in records(config.paths.folder):
        values = record.model_dump(exclude={"started", "ended"})
        if values["gate"] is not None:
            values["gate"].pop("at")
        kept.append(values)
    return kept


def test_a_slow_registry_changes_the_order_of_runs_and_nothing_else(tmp_path: Path) -> None:
    quick = calibrated(tmp_path / "a", thresholds=LOW)
    runs = drive(quick, Undecided(quick))
    slow = calibrated(tmp_path / "b", thresholds=LOW)
    mirror = Late(slow)
    late = drive(slow, mirror)
    assert sorted(late) == sorted(runs)
    assert outcome(slow) == outcome(quick)
    probes = [run.endswith("probe") for run in late]
    assert probes.index(False) < len(probes) - 1 - probes[::-1].index(True)  # they went on


def test_without_an_answer_no_full_run_is_made_that_it_might_spare(tmp_path: Path) -> None:
    config = calibrated(tmp_path, thresholds=LOW)
    runs = drive(config, Away(config))
    full = [run for run in runs if "full" in run]
    assert len(full) == len({run.split("/")[0] for run in full})  # each was admitted by one
    assert all(record.gate is None for record in records(config.paths.folder))


def test_the_next_driver_asks_first_about_the_run_that_ended_first(tmp_path: Path) -> None:
    config = study(tmp_path, thresholds=LOW, pruning={"enabled": False})
    drive(config, Away(config))
    full = [record for record in records(config.paths.folder) if record.stage == "full"]
    assert len(full) > 2
    for place, record in enumerate(reversed(full)):  # the last trial ended first
        ended = (full[0].started or 0.0) + 100 + place
        write_record(config.paths.run_dir(*record.key), record.model_copy(update={"ended": ended}))
    mirror = Late(config)
    assert drive(config, mirror) == []
    assert mirror.asked == [record.trial for record in reversed(full)]
    gates = [record.gate for record in records(config.paths.folder) if record.stage == "full"]
    assert all(gate is not None for gate in gates)


def test_a_question_that_cannot_be_asked_is_asked_again_after_the_next_full_run(
    tmp_path: Path,
) -> None:
    class Deaf(Late):
        """Cannot do the first question."""

        def ask(self, candidate: Candidate) -> None:
            super().ask(candidate)
            self.questions.clear()
            found = None if len(self.asked) == 1 else self.promote(candidate)
            self._told.append(Answer(candidate, found))

    config = study(tmp_path, thresholds=LOW, pruning={"enabled": False})
    mirror = Deaf(config)
    drive(config, mirror)
    assert mirror.asked[:2] == [mirror.asked[0]] * 2
    full = [record for record in records(config.paths.folder) if record.stage == "full"]
    assert all(record.gate is not None for record in full)


def test_an_older_answer_does_not_end_the_wait_for_a_newer_question(tmp_path: Path) -> None:
    config = calibrated(tmp_path, thresholds=LOW)
    drive(config, Undecided(config))
    found = Records(records(config.paths.folder))
    full: TrialRecord = next(r for r in found.values() if r.stage == "full" and r.gate is not None)
    assert full.gate is not None
    undecided = full.gate.model_copy(update={"undecided": True})
    found[full.key] = full.model_copy(update={"gate": undecided})
    mirror = Late(config)
    gate = gate_module.RegistryGate(config, found, mirror, print, lambda record, answer: None)
    gate.run_ended(full.trial)
    first = mirror.questions.popleft()
    gate.run_ended(full.trial)
    mirror._told.append(Answer(first, full.gate))
    gate.hear()
    assert gate.waits
    mirror._told.append(Answer(mirror.questions.popleft(), full.gate))
    gate.hear()
    assert not gate.waits
