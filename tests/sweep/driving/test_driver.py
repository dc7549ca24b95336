"""The driver's decisions, on made-up curves and without processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sweep.driving.display import ProgressDisplay
from sweep.driving.driver import Driver
from sweep.report import summary
from sweep.study.config import StudyConfig
from sweep.study.folder import UNFINISHED, TrialRecord, records
from tests.sweep.fakes import InlineLauncher, NoMirror, inject_faults, study
from uvtex.errors import UvtexError


def drive(config: StudyConfig, slots: int = 1, **kwargs: Any) -> tuple[str, InlineLauncher]:
    launcher = InlineLauncher(slots)
    outcome = Driver(config, launcher, NoMirror(config), ProgressDisplay(), **kwargs).run()
    return outcome, launcher


def states(config: StudyConfig) -> dict[str, str]:
    return {f"{r.trial}/{r.stage}": r.state for r in records(config.paths.folder)}


def by_name(config: StudyConfig, schedule: str, stage: str = "probe") -> TrialRecord:
    found = records(config.paths.folder)
    return next(r for r in found if (r.schedule, r.stage) == (schedule, stage))


def test_passing_probe_is_run_in_full_before_the_next_probe_starts(tmp_path: Path) -> None:
    config = study(tmp_path)
    outcome, launcher = drive(config)
    assert outcome == "done"
    order = [
        str(Path(job.run_dir).relative_to(config.paths.folder / "trials")) for job in launcher.jobs
    ]
    good = order.index("0001/probe")
    assert order[good + 1] == "0001/full"
    full = by_name(config, "good", "full")
    assert (full.state, full.epochs) == ("complete", 8)
    assert full.gate is not None
    assert full.gate.champion


def test_full_run_has_its_own_epochs_and_scales_t_max(tmp_path: Path) -> None:
    config = study(tmp_path)
    _, launcher = drive(config)
    jobs = {
        Path(job.run_dir).name: job.config
        for job in launcher.jobs
        if Path(job.run_dir).parent.name == "0001"
    }
    assert jobs["probe"]["schedule"]["lr_scheduler_tmax"] == jobs["probe"]["epochs"] == 6
    assert jobs["full"]["schedule"]["lr_scheduler_tmax"] == jobs["full"]["epochs"] == 8


def test_a_searched_learning_rate_reaches_the_runs_and_named_schedules_keep_theirs(
    tmp_path: Path,
) -> None:
    search = {
        "queue": ["baseline"],
        "startup_trials": 4,
        "space": {
            "schedule.direct.start": {"low": 0.05, "high": 1},
            "lr": {"low": 1e-4, "high": 1e-2, "log": True},
        },
    }
    train = {"image_size": 32, "device": "cpu", "lr": 3e-4}
    config = study(tmp_path, search=search, train=train, pruning={"enabled": False})
    _, launcher = drive(config)
    rates = {
        Path(job.run_dir).parent.name: job.config["lr"]
        for job in launcher.jobs
        if Path(job.run_dir).name == "probe"
    }
    assert rates.pop("0000") == 3e-4
    assert len(set(rates.values())) == len(rates) == 4
    assert all(1e-4 <= rate <= 1e-2 for rate in rates.values())
    full = [job for job in launcher.jobs if Path(job.run_dir).name == "full"]
    assert full
    for job in full:
        trial = Path(job.run_dir).parent.name
        assert job.config["lr"] == (rates | {"0000": 3e-4})[trial]


def test_the_trials_limit_counts_probes_and_a_second_command_runs_only_the_rest(
    tmp_path: Path,
) -> None:
    drive(study(tmp_path, trials=3))
    assert drive(study(tmp_path, trials=3))[1].jobs == []
    config = study(tmp_path, trials=4)
    assert len(drive(config)[1].jobs) >= 1
    assert sum(r.stage == "probe" for r in records(config.paths.folder)) == 4


def test_a_resumed_study_draws_the_same_parameters_as_an_uninterrupted_one(tmp_path: Path) -> None:
    whole = study(tmp_path / "a", trials=8)
    drive(whole)
    for trials in (5, 6, 8):
        parts = study(tmp_path / "b", trials=trials)
        drive(parts)
    params = [[r.params for r in records(c.paths.folder)] for c in (whole, parts)]
    assert params[0] == params[1]


def test_nan_fails_the_run_and_is_its_reason(tmp_path: Path) -> None:
    config = study(tmp_path)
    inject_faults(config, nan={"0001/probe": 2})
    drive(config)
    record = by_name(config, "good")
    assert record.state == "failed"
    assert record.reason == "ssim_uv is not a number at epoch 2"


def test_failed_run_does_not_stop_the_study(tmp_path: Path) -> None:
    config = study(tmp_path)
    inject_faults(config, **{"raise": {"0000/probe": 1}})
    assert drive(config)[0] == "done"
    assert by_name(config, "baseline").reason == "ValueError: asked to"
    assert by_name(config, "good").state == "promoted"


def test_a_workers_warning_reaches_the_display_with_its_run(tmp_path: Path) -> None:
    class Notes(ProgressDisplay):
        def note(self, text: str) -> None:
            notes.append(text)

    notes: list[str] = []
    config = study(tmp_path, trials=1, pruning={"enabled": False})
    inject_faults(config, warn="no grids")
    Driver(config, InlineLauncher(), NoMirror(config), Notes()).run()
    assert "0000/probe (baseline): no grids" in notes


def test_three_failures_without_an_epoch_stop_the_study(tmp_path: Path) -> None:
    config = study(tmp_path)
    inject_faults(config, **{"raise": {f"{i:04d}/probe": 1 for i in range(3)}})
    with pytest.raises(UvtexError, match="3 runs in a row failed"):
        drive(config)


class Clock:
    """Advances by ``step`` seconds at each call."""

    def __init__(self, step: float) -> None:
        self.now, self.step = 0.0, step

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def test_a_run_that_would_exceed_the_budget_is_not_started(tmp_path: Path) -> None:
    config = study(tmp_path, hours=0.01)  # 36 s
    assert drive(config, clock=Clock(5.0))[0] == "out of time"
    assert 0 < len(records(config.paths.folder)) < 5
    assert drive(study(tmp_path), clock=Clock(0.0))[0] == "done"
    assert sum(r.stage == "probe" for r in records(config.paths.folder)) == 5


def test_a_trial_interrupted_before_its_record_is_resumed(tmp_path: Path) -> None:
    from sweep.driving.sampling.optuna_study import OptunaStudy

    config = study(tmp_path)
    trials = OptunaStudy(config)
    trials.enqueue()
    trial = trials.ask()
    trials.close()
    drive(config)
    assert states(config)[f"{trial.number}/probe"] not in UNFINISHED
    assert sum(r.stage == "probe" for r in records(config.paths.folder)) == 5


def test_a_trial_interrupted_between_suggestions_keeps_them_and_draws_the_rest(
    tmp_path: Path,
) -> None:
    import optuna

    from sweep.driving.sampling.optuna_storage import open_storage
    from sweep.driving.sampling.optuna_study import OptunaStudy
    from sweep.study.search.distributions import distributions

    config = study(tmp_path, search={"queue": [], "startup_trials": 4})
    OptunaStudy(config).close()  # creates the storage
    storage = open_storage(config.optuna_url)
    trial = optuna.load_study(study_name=config.name, storage=storage).ask()
    drawn = {"cycle_start": trial.suggest_float("cycle_start", 0.0, 1.0)}
    drawn["cycle_end"] = trial.suggest_float("cycle_end", 0.0, 1.0)
    storage.remove_session()
    storage.engine.dispose()
    drive(config)
    (record,) = [r for r in records(config.paths.folder) if (r.trial, r.stage) == (0, "probe")]
    assert {name: record.params[name] for name in drawn} == drawn
    assert list(record.params) == list(distributions(config.search))
    assert record.state not in UNFINISHED


def test_two_slots_run_at_once_and_nothing_is_run_twice(tmp_path: Path) -> None:
    config = study(tmp_path)
    _, launcher = drive(config, slots=2)
    dirs = [job.run_dir for job in launcher.jobs]
    assert len(dirs) == len(set(dirs)) == len(records(config.paths.folder))


def test_summary_names_the_champion_and_the_baseline(tmp_path: Path) -> None:
    config = study(tmp_path)
    drive(config)
    result = summary.summarise(config)
    assert result.champion is not None
    assert result.champion.schedule in {"good", "search"}
    assert result.baseline is not None
    assert result.baseline.schedule == "baseline"
    assert "passed" in summary.verdict(result)


def test_summary_says_that_nothing_passed_and_why(tmp_path: Path) -> None:
    config = study(
        tmp_path, thresholds=[{"metric": "ssim_uv", "at_least": 0.99}], pruning={"enabled": False}
    )
    drive(config)
    text = summary.verdict(summary.summarise(config))
    assert text.startswith("No run passed ssim_uv >= 0.99. The nearest is ")
    assert "misses ssim_uv >= 0.99" in text
    more = config.model_copy(update={"trials": config.trials + 1})
    text = summary.verdict(summary.summarise(more))
    assert text.startswith("So far no run has passed ssim_uv >= 0.99. The nearest is ")
