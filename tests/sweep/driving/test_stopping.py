"""Probes stopped early in a study on made-up curves: flags, audits, restarts, earlier versions."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sweep.decisions.stopping.probes import as_run
from sweep.decisions.stopping.told import sentences, told
from sweep.driving.active_run import ActiveRun
from sweep.driving.display import ProgressDisplay
from sweep.driving.driver import Driver
from sweep.driving.session import rehearse, saved
from sweep.driving.stopping import Stopping
from sweep.study.config import StudyConfig
from sweep.study.folder import RECORD, SEARCHED, TrialRecord, read_record, records, write_record
from tests.sweep.fakes import InlineLauncher, NoMirror, study
from uvtex.runs.epochs import read_epochs
from uvtex.settings import load_yaml

TRIALS, EPOCHS = 40, 8


def many(folder: Path, **changes: Any) -> StudyConfig:
    """A study of many random probes, a third of which pass."""
    settings: dict[str, Any] = {
        "trials": TRIALS,
        "stages": {"probe": EPOCHS, "full": 1},
        "search": {"queue": ["baseline", "good", "bad"], "startup_trials": TRIALS},
        "pruning": {"risk": 0.2},
    }
    return study(folder, **(settings | changes))


def drive(config: StudyConfig) -> None:
    Driver(config, InlineLauncher(), NoMirror(config), ProgressDisplay()).run()


def probes(config: StudyConfig) -> list[TrialRecord]:
    return [r for r in records(config.paths.folder) if r.stage == "probe"]


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> StudyConfig:
    """A study that has ended, for tests that only read it."""
    config = many(tmp_path_factory.mktemp("many"))
    drive(config)
    return config


def test_hopeless_probes_are_stopped_early_and_say_with_what_probability(
    ended: StudyConfig,
) -> None:
    pruned = [r for r in probes(ended) if r.state == "pruned"]
    assert pruned
    for record in pruned:
        assert record.flag is not None
        assert not record.flag.audited
        made = len(read_epochs(ended.paths.run_dir(*record.key)))
        assert made == record.flag.epoch == record.looks[-1].epoch < EPOCHS
        assert record.looks[-1].chance == record.flag.chance
        assert record.reason is not None
        assert record.reason.startswith(
            f"stopped after epoch {made} of {EPOCHS}: it passes with prob"
        )


@pytest.mark.parametrize("recorded", [True, False])
def test_a_probe_whose_driver_died_while_it_was_stopped_does_not_go_on(
    ended: StudyConfig, recorded: bool, tmp_path: Path
) -> None:
    """``recorded``: the driver had written the flag, but not the end of the run."""
    shutil.copytree(ended.store, tmp_path / "store")
    config = ended.in_store(tmp_path / "store")
    record = next(r for r in probes(config) if r.state == "pruned")
    running = record.model_copy(update={"state": "running", "ended": None, "epochs_made": None})
    unjudged = {"flag": None, "reason": None, "looks": record.looks[:-1]}
    run_dir = config.paths.run_dir(*record.key)
    write_record(run_dir, running if recorded else running.model_copy(update=unjudged))
    launcher = InlineLauncher()
    Driver(config, launcher, NoMirror(config), ProgressDisplay()).run()
    assert launcher.jobs == []
    after = read_record(run_dir)
    assert (after.state, after.epochs_made) == ("pruned", record.epochs_made)
    assert after.flag is not None
    assert after.flag.epoch == len(read_epochs(run_dir))


def test_no_probe_that_would_have_passed_is_stopped(ended: StudyConfig) -> None:
    """The curves saturate at the weight of the direct term, so each end is known."""
    for record in probes(ended):
        if record.state == "pruned":
            assert float(record.params["direct_start"]) * (1 - 2.718 ** (-EPOCHS / 3)) < 0.6


def test_nothing_is_stopped_before_enough_probes_have_ended(ended: StudyConfig) -> None:
    first = min(r.trial for r in probes(ended) if r.state == "pruned")
    assert first >= 12


def test_a_probe_that_was_asked_for_by_name_is_never_stopped(ended: StudyConfig) -> None:
    named = [r for r in probes(ended) if r.schedule != SEARCHED]
    assert {r.state for r in named} <= {"complete", "promoted"}


def test_flagged_probes_are_stopped_or_audited_to_their_end(ended: StudyConfig) -> None:
    flagged = [r for r in probes(ended) if r.flag is not None]
    audited = [r for r in flagged if r.flag is not None and r.flag.audited]
    assert audited
    assert all(r.state in ("complete", "promoted") for r in audited)
    stopping = Stopping(ended)
    for record in probes(ended):
        stopping.learn(ActiveRun.load(ended, record))
    found = told(stopping.history(), EPOCHS)
    assert (found.flagged, found.audited) == (len(flagged), len(audited))
    made = [len(read_epochs(ended.paths.run_dir(*r.key))) for r in probes(ended)]
    assert found.epochs_saved == sum(EPOCHS - epochs for epochs in made)
    assert f"Of {len(flagged)} probes that seemed sure to fail" in sentences(found)[0]


def test_a_study_in_parts_decides_as_one_in_a_single_run(
    ended: StudyConfig, tmp_path: Path
) -> None:
    for trials in (20, TRIALS):
        parts = many(tmp_path, trials=trials)
        drive(parts)
    kept = [[r.model_dump(exclude={"started", "ended"}) for r in probes(c)] for c in (ended, parts)]
    assert kept[0] == kept[1]


def test_without_pruning_no_probe_is_looked_at(tmp_path: Path) -> None:
    config = study(tmp_path, trials=3, pruning={"enabled": False})
    drive(config)
    assert all(not r.looks and r.flag is None for r in probes(config))


def test_a_record_and_settings_of_the_first_pruner_still_load(tmp_path: Path) -> None:
    config = study(tmp_path, trials=2)
    assert rehearse(config) is None
    drive(config)
    path = config.paths.run_dir(0, "probe") / RECORD
    values = json.loads(path.read_text())
    del values["looks"], values["flag"]
    values["forecast"] = {"ssim_uv": 0.3, "margin": -0.1}
    path.write_text(json.dumps(values))
    settings = dict(load_yaml(config.paths.settings))
    settings["pruning"] = {"enabled": True, "warmup_epochs": 4, "spare": ["baseline"]}
    config.paths.settings.write_text(json.dumps(settings))
    assert probes(config)[0].looks == ()
    assert saved(config.store, config.name).pruning.enabled


def test_what_the_rule_is_told_of_a_probe(ended: StudyConfig) -> None:
    active = ActiveRun.load(ended, probes(ended)[1])
    run = as_run(
        active.record,
        [(r.epoch, r.val) for r in active.reports.values()],
        ended.thresholds,
        active.config,
    )
    assert len(run.slacks) == EPOCHS
    assert run.lr is not None
    assert run.loss_weights is not None
    assert (run.lr.shape, run.loss_weights.shape) == ((EPOCHS,), (EPOCHS, 4))
    assert run.lr[0] > run.lr[-1] >= 0  # `good` has a cosine
    assert run.passed
    assert not replace(run, slacks={1: run.slacks[1]}).passed


def test_a_study_that_starts_from_an_earlier_one_forecasts_from_its_first_probe(
    ended: StudyConfig, tmp_path: Path
) -> None:
    earlier = [(r, read_epochs(ended.paths.run_dir(*r.key))) for r in probes(ended)]
    stopping = Stopping(many(tmp_path))
    stopping.learn_earlier(earlier)
    past = stopping.history()
    assert past.finished is not None
    assert len(past.finished.curves) == sum(r.state != "pruned" for r, _ in earlier)
    assert (past.flags, past.ledger.stopped) == (0, 0)
    bad = next(r for r in probes(ended) if r.state == "pruned")
    run = ActiveRun.load(
        ended, bad.model_copy(update={"state": "running", "looks": (), "flag": None})
    )
    seen = stopping.look(run)
    assert seen is not None
    assert seen[0].chance is not None
