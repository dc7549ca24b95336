"""The importance of searched settings."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sweep.report.charts import importance
from sweep.report.importance import LEAST, importances
from sweep.report.study_data import read_study_data
from sweep.study.folder import write_record
from tests.sweep.made_study import add_trial, make_study


def test_any_searched_setting_has_an_importance_and_a_name_for_people(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    space = {
        "width": {"low": 0.1, "high": 1},
        "batch_size": {"low": 2, "high": 8},
        "preset": {"choices": ["poc05", "atlas"]},
        "schedule.cross.end": {"low": 0, "high": 1},
    }
    search = type(study.search)(space=space)  # type: ignore[arg-type]
    study = study.model_copy(update={"search": search})
    random = np.random.default_rng(0)
    for number in range(LEAST + 4):
        width = float(random.uniform(0.1, 1))
        record, run_dir = add_trial(study, number, reach=0.4 + 0.3 * width)
        params = {
            "width": width,
            "batch_size": int(random.integers(2, 9)),
            "preset": ["poc05", "atlas"][number % 2],
            "cross_end": float(random.uniform(0, 1)),
        }
        write_record(run_dir, record.model_copy(update={"params": params}))
    shares = importances(read_study_data(study))
    assert set(shares) == set(params)
    assert max(shares, key=lambda name: shares[name]) == "width"
    figure = importance(shares)
    assert set(figure.data[0].y) == {"width", "batch_size", "preset", "cross, end"}
