"""A study that starts from what earlier studies have found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from sweep.driving.sampling.results import WARM_START
from sweep.driving.sampling.warm_start import earlier_probes
from sweep.driving.session import check
from sweep.study.config import StudyConfig
from sweep.study.folder import State, TrialRecord, records, write_record
from sweep.study.search import space
from tests.sweep.driving.sampling.asking import opened, told
from tests.sweep.driving.test_driver import drive
from tests.sweep.fakes import study
from uvtex.errors import ConfigError
from uvtex.metric_catalogue import versions
from uvtex.runs import checkpoint
from uvtex.runs.epochs import EpochReport, write_epochs
from uvtex.runs.folder import RunFolder
from uvtex.runs.header import Header
from uvtex.settings import dump_yaml

SPACE = {"schedule.direct": {"low": 0.05, "high": 1}, "lr": {"low": 1e-5, "high": 1e-2}}
BOTH = [{"metric": "ssim_uv", "at_least": 0.6}, {"metric": "haarpsi_view", "at_least": 0.3}]
DATA = {"inventory": "a" * 64, "data_fingerprint": "b"}


def made(folder: Path, data: dict[str, str] | None = None, **changes: Any) -> StudyConfig:
    """A study whose data was recorded."""
    search = {"space": SPACE, "queue": [], "startup_trials": 2, **changes.pop("search", {})}
    config = study(folder, search=search, **{"thresholds": BOTH, "trials": 2} | changes)
    config.paths.folder.mkdir(parents=True, exist_ok=True)
    config.paths.data.write_text(json.dumps(DATA if data is None else data))
    config.paths.settings.write_text(dump_yaml(config))
    return config


def add_probe(
    config: StudyConfig,
    number: int,
    state: State = "complete",
    definitions: dict[str, str] | None = None,
    direct: float = 0.5,
) -> None:
    """A finished probe on disk; its best epoch is the second of three."""
    params: space.Params = {"direct": direct, "lr": 1e-3 * (number + 1)}
    record = TrialRecord(
        trial=number, stage="probe", state=state, schedule="search", params=params, epochs=6
    )
    run_dir = config.paths.run_dir(*record.key)
    write_record(run_dir, record)
    reports = []
    for epoch, value in ((1, 0.3), (2, 0.5), (3, 0.4)):
        val = {"ssim_uv": value + number / 100, "haarpsi_view": 0.2, "margin": -9.0}
        reports.append(EpochReport(epoch, {}, 1e-4, {}, val, 0.01, 8, True))
    write_epochs(run_dir, reports)
    table = versions(None) if definitions is None else definitions
    header = Header(
        config=space.train_config(config, "probe", params),
        epoch=2,
        metrics={},
        metric_versions=table,
    )
    file = RunFolder(run_dir).best("best")
    file.parent.mkdir()
    checkpoint.save(file, {"x": _tensor()}, header)


def _tensor() -> Any:
    import torch

    return torch.from_numpy(np.zeros(1, np.float32))


def refusal(config: StudyConfig) -> str:
    with pytest.raises(ConfigError) as caught:
        earlier_probes(config)
    (line,) = str(caught.value).splitlines()
    return line


@pytest.fixture
def earlier(tmp_path: Path) -> StudyConfig:
    config = made(tmp_path, name="earlier")
    add_probe(config, 0)
    add_probe(config, 1, "promoted")
    add_probe(config, 3, "pruned")
    add_probe(config, 4, "failed")
    add_probe(config, 5, "running")
    return config


def test_finished_probes_become_trials_that_count_as_no_probe(
    tmp_path: Path, earlier: StudyConfig
) -> None:
    config = made(tmp_path, name="next", search={"warm_start": ["earlier"]})
    drive(config)
    trials, _ = told(config)
    warm = [trial for trial in trials if WARM_START in trial.user_attrs]
    assert [trial.user_attrs[WARM_START] for trial in warm] == [
        "earlier/0000",
        "earlier/0001",
        "earlier/0003",
    ]
    assert [trial.state.name for trial in warm] == ["COMPLETE", "COMPLETE", "PRUNED"]
    assert [trial.value for trial in warm] == [0.5, 0.51, None]
    assert warm[0].params == {"direct": 0.5, "lr": 1e-3}
    assert warm[0].intermediate_values == {1: 0.3, 2: 0.5, 3: 0.4}
    assert warm[0].constraints == {"haarpsi_view >= 0.3": pytest.approx(1 / 3)}
    probes = [r.trial for r in records(config.paths.folder) if r.stage == "probe"]
    assert probes == [3, 4]


def test_they_are_added_once_even_if_the_earlier_study_grows_or_is_gone(
    tmp_path: Path, earlier: StudyConfig
) -> None:
    config = made(tmp_path, name="next", search={"warm_start": ["earlier"]})
    drive(config)
    add_probe(earlier, 7)
    earlier.paths.settings.unlink()
    more = made(tmp_path, name="next", trials=3, search={"warm_start": ["earlier"]})
    drive(more)
    trials, _ = told(more)
    assert sum(WARM_START in trial.user_attrs for trial in trials) == 3
    assert [r.trial for r in records(more.paths.folder) if r.stage == "probe"] == [3, 4, 5]


def test_a_driver_that_died_while_it_added_them_adds_the_rest(
    tmp_path: Path, earlier: StudyConfig
) -> None:
    config = made(tmp_path, name="next", search={"warm_start": ["earlier"]})
    probes = earlier_probes(config)
    trials = opened(config.model_copy(update={"search": earlier.search}))
    assert trials.warm_start(probes[:1]) == 1
    trials.close()
    trials = opened(config)
    assert not trials.warm
    assert trials.warm_start(probes) == 2
    assert trials.warm
    trials.close()


def test_a_suggestion_that_an_earlier_study_trained_is_not_trained_again(tmp_path: Path) -> None:
    choices = {"schedule.direct": {"choices": [0.3, 0.5]}, "lr": {"choices": [1e-3]}}
    add_probe(made(tmp_path, name="earlier", search={"space": choices}), 0)
    config = made(tmp_path, name="next", search={"space": choices, "warm_start": ["earlier"]})
    assert drive(config)[0] == "ended early"
    (probe,) = [r for r in records(config.paths.folder) if r.stage == "probe"]
    assert probe.params["direct"] == 0.3


def test_other_thresholds_other_seeds_and_devices_are_no_hindrance(
    tmp_path: Path, earlier: StudyConfig
) -> None:
    config = made(
        tmp_path,
        name="next",
        thresholds=[{"metric": "ssim_uv", "at_least": 0.4}],
        train={"image_size": 32, "device": "cuda:1", "seed": 5},
        search={"warm_start": ["earlier"]},
    )
    assert [probe.best["margin"] for probe in earlier_probes(config)] == pytest.approx(
        [0.25, 0.275, 0.325]
    )


def test_probes_outside_the_new_space_are_left_out(tmp_path: Path, earlier: StudyConfig) -> None:
    rates = SPACE | {"lr": {"low": 1e-5, "high": 1.5e-3}}
    config = made(tmp_path, name="next", search={"warm_start": ["earlier"], "space": rates})
    assert [probe.record.trial for probe in earlier_probes(config)] == [0]
    nowhere = SPACE | {"schedule.direct": {"low": 0.6, "high": 1}}
    config = made(tmp_path, name="next", search={"warm_start": ["earlier"], "space": nowhere})
    assert refusal(config).endswith("has no probe inside this study's search space")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"data": DATA | {"inventory": "c" * 64}}, "was made on other data than "),
        ({"data": DATA | {"data_fingerprint": "c"}}, "was made on other data than "),
        ({"stages": {"probe": 5, "full": 8}}, "trained with epochs 6, and this study has 5"),
        (
            {"train": {"image_size": 32, "width": 0.5}},
            "trained with width 1.0, and this study has 0.5",
        ),
        (
            {"search": {"space": SPACE | {"width": {"low": 0.5, "high": 1}}}},
            "searched other settings; only one of the two studies has width",
        ),
        ({"search": {"normalise": True}}, "trained with schedule.cycle.start 0.3, and this study"),
    ],
)
def test_a_study_that_measured_something_else_is_refused_with_the_reason(
    tmp_path: Path, earlier: StudyConfig, changes: dict[str, Any], says: str
) -> None:
    search = {"warm_start": ["earlier"], **changes.pop("search", {})}
    config = made(tmp_path, name="next", search=search, **changes)
    assert f"search.warm_start: 'earlier': {says}" in refusal(config)


def test_figures_by_another_definition_are_refused(tmp_path: Path) -> None:
    table = versions(None) | {"haarpsi": "as once defined"}
    add_probe(made(tmp_path, name="earlier"), 0, definitions=table)
    config = made(tmp_path, name="next", search={"warm_start": ["earlier"]})
    assert "measured haarpsi_view by another definition, in 0000/probe" in refusal(config)


def test_a_study_that_is_not_there_is_told_before_any_data_or_calibration(tmp_path: Path) -> None:
    relative = [{"metric": "ssim_uv", "above": "baseline", "by": 2}]
    config = made(tmp_path, name="next", search={"warm_start": ["none-such"]}, thresholds=relative)
    with pytest.raises(ConfigError, match=r"'none-such': there is no such study in .*there are:"):
        check(config)


def test_every_study_that_cannot_be_used_has_a_line(tmp_path: Path) -> None:
    made(tmp_path, name="empty")
    config = made(tmp_path, name="next", search={"warm_start": ["empty", "none-such"]})
    with pytest.raises(ConfigError) as caught:
        drive(config)
    empty, missing = str(caught.value).splitlines()
    assert empty == "search.warm_start: 'empty': has no finished probe"
    assert missing.startswith("search.warm_start: 'none-such': there is no such study in ")
    assert missing.endswith("; there are: empty")


def test_a_saved_study_keeps_its_warm_start(tmp_path: Path) -> None:
    config = made(tmp_path, name="next", search={"warm_start": ["earlier"]})
    assert yaml.safe_load(dump_yaml(config))["search"]["warm_start"] == ["earlier"]
