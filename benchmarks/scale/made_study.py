"""A study of thousands of finished probes, made in a minute."""

from __future__ import annotations

import math
import os
import sqlite3
from collections import defaultdict
from contextlib import closing
from pathlib import Path

import numpy as np
import optuna
from optuna.distributions import distribution_to_json
from optuna.trial import TrialState

from sweep.decisions import promotion
from sweep.driving.sampling.optuna_storage import open_storage
from sweep.driving.sampling.samplers import sampler
from sweep.study.config import StudyConfig
from sweep.study.file import load
from sweep.study.folder import TrialRecord, write_record
from sweep.study.look import Flag, Forecast, Look
from sweep.study.search import space
from sweep.study.search.distributions import distributions
from uvtex.config import TERMS
from uvtex.runs.epochs import EpochReport, write_epochs
from uvtex.settings import dump_yaml
from uvtex.thresholds import margin

EPOCHS = 6
BEGAN = 1_700_000_000.0
STUDY = """\
name: scale
data: {path: data}
train: {image_size: 32, device: cpu}
stages: {probe: 6, full: 8}
thresholds:
- {metric: ssim_uv, at_least: 0.6}
- {metric: haarpsi_view, at_least: 0.3}
search: {queue: []}
replicates: 1
grids: 0
"""


def study(folder: Path, trials: int) -> StudyConfig:
    """The benchmark's study, with its store in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "study.yaml"
    path.write_text(STUDY + f"store: {folder / 'store'}\ntrials: {trials + 1000}\n")
    return load(path)


def is_flagged(number: int) -> bool:
    """One probe in five."""
    return number % 5 == 4


def is_audited(number: int) -> bool:
    """One flagged probe in ten."""
    return number % 50 == 4


def curve(config: StudyConfig, number: int, params: space.Params) -> list[EpochReport]:
    """Figures that approach an end, which the schedule decides. Flagged probes are stopped."""
    rng = np.random.default_rng(number)
    end = 0.52 - 0.5 * abs(float(params["direct_start"]) - 0.6) + 0.02 * rng.standard_normal()
    reports: list[EpochReport] = []
    for epoch in range(
        1, (EPOCHS // 2 if is_flagged(number) and not is_audited(number) else EPOCHS) + 1
    ):
        value = end * (1 - math.exp(-epoch)) + 0.002 * rng.standard_normal()
        names = ("ssim_uv", "ssim_uv_visible", "ssim_view", "ssim_view_true", "ssim_view_noisy")
        val = {**dict.fromkeys(names, value), "haarpsi_view": value / 2, "total": 1 - value}
        val["margin"] = margin(val, config.thresholds_of("probe"))
        best = val["margin"] > max((r.val["margin"] for r in reports), default=-math.inf)
        weights, train = dict.fromkeys(TERMS, 0.25), dict.fromkeys(TERMS, 1 - value)
        reports.append(EpochReport(epoch, weights, 1e-3, train, val, 2.0, 40, best))
    return reports


def make(config: StudyConfig, trials: int) -> None:
    """Writes the finished probes: their directories as the driver does, and Optuna's rows at once.

    Ten thousand trials by Optuna's own calls take half an hour. Its next call reads what is here.
    """
    os.fsync = lambda file: None  # this is no test of the disk
    spaces = distributions(config.search)
    storage = open_storage(config.optuna_url)
    random = sampler("random", 0, 0, 0)
    made = optuna.create_study(
        storage=storage, study_name=config.name, direction="maximize", sampler=random
    )
    blank = optuna.trial.create_trial(state=TrialState.RUNNING)
    storage.remove_session()
    storage.engine.dispose()
    rows: dict[str, list[tuple[object, ...]]] = defaultdict(list)
    for number in range(trials):
        params = {
            name: random.sample_independent(made, blank, name, of) for name, of in spaces.items()
        }
        reports = curve(config, number, params)
        best = max(reports, key=lambda report: report.val["margin"])
        forecast = Forecast(mean=-1.0, deviation=0.5)
        looks = tuple(
            Look(
                epoch=e, chance=0.02, forecast=forecast, fresh=0.1, reason="it is far from passing"
            )
            for e in range(2, len(reports))
        )
        flag = Flag(epoch=EPOCHS // 2, chance=0.02, share=0.1, audited=is_audited(number))
        record = TrialRecord(
            trial=number,
            stage="probe",
            state="pruned" if len(reports) < EPOCHS else "complete",
            schedule="search",
            params=params,
            epochs=EPOCHS,
            reason="stopped" if len(reports) < EPOCHS else "did not pass",
            best_epoch=best.epoch,
            looks=looks,
            flag=flag if is_flagged(number) else None,
            started=BEGAN + 60 * number,
            ended=BEGAN + 60 * number + 50,
        )
        run_dir = config.paths.run_dir(*record.key)
        write_record(run_dir, record)
        write_epochs(run_dir, reports)
        _add_rows(rows, config, record, reports, best)
    with closing(sqlite3.connect(config.paths.optuna)) as connection, connection:
        for table, values in rows.items():
            places = ", ".join("?" * len(values[0]))
            connection.executemany(f"INSERT INTO {table} VALUES ({places})", values)
    config.paths.settings.write_text(dump_yaml(config))


def _add_rows(
    rows: dict[str, list[tuple[object, ...]]],
    config: StudyConfig,
    record: TrialRecord,
    reports: list[EpochReport],
    best: EpochReport,
) -> None:
    """The rows of one trial, table by table. A first column None is a key that SQLite gives."""
    key = record.trial + 1
    state = "PRUNED" if record.state == "pruned" else "COMPLETE"
    times = ("2026-11-27 00:00:00.000000",) * 2
    last = best if state == "COMPLETE" else reports[-1]
    rows["trials"].append((key, record.trial, 1, state, *times))
    rows["trial_values"].append((None, key, 0, last.val["ssim_uv"], "FINITE"))
    rows["trial_user_attributes"].append((None, key, "margin", repr(best.val["margin"])))
    for name, value in promotion.constraints(best.val, config.thresholds_of("probe")).items():
        row = (None, key, f"constraints:{name}", repr(value))
        rows["trial_system_attributes"].append(row)
    for name, of in distributions(config.search).items():
        value = of.to_internal_repr(record.params[name])
        rows["trial_params"].append((None, key, name, value, distribution_to_json(of)))
    for report in reports:
        row = (None, key, report.epoch, report.val["ssim_uv"], "FINITE")
        rows["trial_intermediate_values"].append(row)
