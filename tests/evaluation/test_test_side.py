"""The figures of a run on each side of its split."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from tests.sets import make_set
from uvtex.cli import main
from uvtex.config import TrainConfig, resolve
from uvtex.data import manifest
from uvtex.data.store import PairStore
from uvtex.errors import DataError, UvtexError
from uvtex.evaluation.measure import measure_split
from uvtex.evaluation.test_side import write_test_figures
from uvtex.files import sha256_of
from uvtex.runs import checkpoint
from uvtex.runs.folder import RunFolder
from uvtex.runs.test_figures import read_test_figures
from uvtex.training.trainer import Trainer

SETTINGS = {
    "image_size": 32,
    "width": 0.1,
    "epochs": 2,
    "val_split": 0.25,
    "test_split": 0.25,
    "device": "cpu",
    "lr": 1e-3,
    "thresholds": [{"metric": "ssim_uv", "at_least": 0.2}],
}


@dataclass(frozen=True)
class Trained:
    data: Path
    config: TrainConfig
    run: RunFolder

    @property
    def store(self) -> PairStore:
        return PairStore.open(self.data, self.config)

    @property
    def best(self) -> Path:
        return self.run.best("best")


def train(data: Path, out: Path, epochs: int = 2, **changes: Any) -> Trained:
    """A run of ``SETTINGS`` that was stopped after ``epochs``."""
    config = resolve(SETTINGS, changes)
    trainer = Trainer(config, PairStore.open(data, config), out)
    for _ in zip(range(epochs), trainer.epochs(), strict=False):
        pass
    return Trained(data, config, RunFolder(out))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_set(tmp_path_factory.mktemp("set"), liveries=8)


@pytest.fixture(scope="module")
def once(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train(data, tmp_path_factory.mktemp("run"))


def evaluate(*args: Any) -> Result:
    return CliRunner().invoke(main, ["evaluate", *(str(arg) for arg in args)])


def test_validation_measured_again_is_what_the_checkpoint_recorded(once: Trained) -> None:
    _, header = checkpoint.read(once.best)
    found = measure_split(once.best, once.store, "val")
    recorded = {name: header.metrics[name] for name in found.metrics}
    assert found.metrics == pytest.approx(recorded, abs=1e-5)
    assert header.metrics.keys() - found.metrics.keys() == {"total", "total_ref"}
    assert found.metric_versions == header.metric_versions


@pytest.mark.parametrize("split", ["train", "val", "test", "all"])
def test_the_mean_over_liveries_of_one_size_is_the_mean_over_samples(
    once: Trained, split: Any
) -> None:
    found = measure_split(once.best, once.store, split)
    side = once.store.sides.of(split)
    assert found.by_livery.keys() == set(once.store.liveries(side))
    assert found.samples == len(side)
    for metric in ("ssim_uv", "haarpsi_view", "cycle"):
        mean = np.mean([figures[metric] for figures in found.by_livery.values()])
        assert found.metrics[metric] == pytest.approx(mean, abs=1e-5)


def test_a_livery_has_the_mean_of_its_own_samples(once: Trained) -> None:
    from uvtex.evaluation.measure import samples

    loaded = checkpoint.load(once.best)
    store = once.store
    columns = samples(loaded.predictor, loaded.renderer, store, once.config, None, "test")
    found = measure_split(once.best, store, "test").by_livery
    for name, figures in found.items():
        own = torch.tensor([livery == name for livery in store.liveries(store.test)])
        assert figures["ssim_uv"] == pytest.approx(float(columns["ssim_uv"][own].mean()), abs=1e-6)


# test.json


def test_the_test_figures_name_what_was_measured(data: Path, tmp_path: Path) -> None:
    trained = train(data, tmp_path / "run")
    assert read_test_figures(trained.run.path) is None
    written = write_test_figures(trained.run.path, trained.store)
    assert written is not None
    assert read_test_figures(trained.run.path) == written
    assert written.checkpoint == "checkpoints/best.safetensors"
    assert written.sha256 == sha256_of(trained.best)
    assert written.test_fingerprint == trained.store.test_fingerprint()
    assert written.metrics == measure_split(trained.best, trained.store, "test").metrics
    assert written.metrics["margin"] == pytest.approx((written.metrics["ssim_uv"] - 0.2) / 0.2)
    assert [path.name for path in trained.run.path.glob("test*")] == ["test.json"]


def test_test_figures_are_measured_once_for_a_checkpoint(data: Path, tmp_path: Path) -> None:
    trained = train(data, tmp_path / "run")
    write_test_figures(trained.run.path, trained.store)
    values = json.loads(trained.run.test.read_text())
    marked = {**values, "metrics": {"ssim_uv": 7.0}}
    trained.run.test.write_text(json.dumps(marked))
    kept = write_test_figures(trained.run.path, trained.store)
    assert kept is not None
    assert kept.metrics == {"ssim_uv": 7.0}
    trained.run.test.write_text(json.dumps({**marked, "sha256": "of another checkpoint"}))
    anew = write_test_figures(trained.run.path, trained.store)
    assert anew is not None
    assert anew.metrics == values["metrics"]


def test_a_run_that_is_not_finished_is_not_tested(data: Path, tmp_path: Path) -> None:
    trained = train(data, tmp_path / "run", epochs=1)
    with pytest.raises(UvtexError, match="after the last epoch"):
        write_test_figures(trained.run.path, trained.store)
    assert not trained.run.test.exists()


def test_a_run_without_a_test_side_has_no_test_figures(data: Path, tmp_path: Path) -> None:
    trained = train(data, tmp_path / "run", test_split=0)
    assert write_test_figures(trained.run.path, trained.store) is None
    assert not trained.run.test.exists()


def test_figures_of_another_test_side_are_refused(once: Trained, tmp_path: Path) -> None:
    other = make_set(tmp_path / "other", liveries=8, seed=1)
    with pytest.raises(DataError, match="not the one that was kept from this run"):
        write_test_figures(once.run.path, PairStore.open(other, once.config))


@pytest.mark.parametrize("text", ["{", "[]", '{"version": 1}', '{"version": 9}'])
def test_broken_test_figures_are_named(once: Trained, tmp_path: Path, text: str) -> None:
    (tmp_path / "test.json").write_text(text)
    with pytest.raises(DataError, match=r"test\.json"):
        read_test_figures(tmp_path)


def test_a_run_that_is_replaced_loses_its_test_figures(data: Path, tmp_path: Path) -> None:
    trained = train(data, tmp_path / "run")
    write_test_figures(trained.run.path, trained.store)
    Trainer(trained.config, trained.store, trained.run.path, force=True)
    assert not trained.run.test.exists()


# uvtex evaluate --split


@pytest.mark.parametrize("split", ["val", "test", "train"])
def test_evaluate_measures_the_side_that_it_is_asked_for(
    once: Trained, tmp_path: Path, split: Any
) -> None:
    table = tmp_path / "samples.csv"
    result = evaluate(once.best, "--data", once.data, "--split", split, "--csv", table, "--json")
    answer = json.loads(result.stdout)
    assert answer["split"] == split
    found = measure_split(once.best, once.store, split)
    row = answer["rows"][str(once.best)]
    assert row["ssim_uv"] == pytest.approx(found.metrics["ssim_uv"], abs=1e-5)
    rows = [
        r
        for r in csv.DictReader(table.read_text().splitlines())
        if r["checkpoint"] == str(once.best)
    ]
    assert {r["split"] for r in rows} == {split}
    records = manifest.read(once.data).records
    assert [r["view"] for r in rows] == [records[i].view for i in once.store.sides.of(split)]
    flatters = [note for note in answer["notes"] if "flatter" in note]
    assert bool(flatters) == (split == "train")


def test_evaluate_measures_validation_unless_asked(once: Trained) -> None:
    plain, named = (
        json.loads(evaluate(once.best, "--data", once.data, "--json", *flags).stdout)
        for flags in ([], ["--split", "val"])
    )
    assert plain == named


def test_the_test_side_of_a_checkpoint_that_has_none_is_refused_in_one_message(
    once: Trained, tmp_path: Path
) -> None:
    old = tmp_path / "old.safetensors"
    tensors, header = checkpoint.read(once.best)
    config = header.config.model_copy(update={"test_split": 0.0})
    checkpoint.save(
        old, tensors, header.model_copy(update={"config": config, "test_fingerprint": None})
    )
    result = evaluate(old, once.best, "--data", once.data, "--split", "test")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert f"{old}: trained without a test side" in result.stderr
    assert "--split val" in result.stderr
    assert evaluate(old, "--data", once.data).exit_code == 0


def test_another_data_set_is_noted_on_the_test_side_too(once: Trained, tmp_path: Path) -> None:
    other = make_set(tmp_path / "other", liveries=8, seed=1)
    answer = json.loads(evaluate(once.best, "--data", other, "--split", "test", "--json").stdout)
    assert "trained on another data set" in answer["notes"][0]


def test_a_side_and_all_views_exclude_each_other(once: Trained) -> None:
    result = evaluate(once.best, "--data", once.data, "--split", "test", "--all")
    assert result.exit_code == 2
    assert "give only one" in result.stderr
