"""Training on several views of a livery, and the metrics of their textures."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from tests.cli.invoke import call
from tests.models.small_atlas import config
from tests.sets import make_set, make_showroom
from uvtex.config import TrainConfig
from uvtex.data.store import PairStore
from uvtex.errors import UvtexError
from uvtex.evaluation.measure import measure_split
from uvtex.evaluation.several_views import counts_of
from uvtex.training.trainer import Trainer

SMALL = {"epochs": 1, "seed": 1, "batch_size": 4, "augment": {"livery": 1.0, "background": 0.0}}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_showroom(tmp_path_factory.mktemp("several") / "set", liveries=6, cameras=4)


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Trainer:
    settings = config(**SMALL, views=3)
    trainer = Trainer(settings, PairStore.open(data, settings), tmp_path_factory.mktemp("run"))
    list(trainer.epochs())
    return trainer


def test_training_measures_the_numbers_of_views_that_it_trains_on(trained: Trainer) -> None:
    (report,) = trained._reports
    for count in (2, 3):
        assert 0 < report.val[f"ssim_uv_views{count}"] < 1
        assert report.val["coverage"] <= report.val[f"coverage_views{count}"] <= 1
    assert "ssim_uv_views4" not in report.val


def test_further_views_change_what_is_learnt(data: Path, trained: Trainer, tmp_path: Path) -> None:
    settings = config(**SMALL)
    one = Trainer(settings, PairStore.open(data, settings), tmp_path / "one")
    list(one.epochs())
    ours, theirs = trained.predictor.state_dict(), one.predictor.state_dict()
    assert ours.keys() == theirs.keys()
    assert not torch.equal(ours["mend.leave.weight"], theirs["mend.leave.weight"])


def test_a_threshold_on_several_views_is_measured(data: Path, tmp_path: Path) -> None:
    asked = [{"metric": "ssim_uv_views4", "at_least": 0.01}]
    settings = config(**SMALL, thresholds=asked)
    assert counts_of(settings) == [4]
    (report,) = Trainer(settings, PairStore.open(data, settings), tmp_path / "run").epochs()
    assert report.val["margin"] == pytest.approx(report.val["ssim_uv_views4"] / 0.01 - 1)


def test_a_threshold_on_more_views_than_a_livery_has_says_what_it_needs(
    data: Path, tmp_path: Path
) -> None:
    settings = config(**SMALL, thresholds=[{"metric": "ssim_uv_views8", "at_least": 0.1}])
    trainer = Trainer(settings, PairStore.open(data, settings), tmp_path / "run")
    with pytest.raises(UvtexError, match="ssim_uv_views8 needs as many views of a livery"):
        list(trainer.epochs())


def test_evaluate_measures_the_views_that_it_is_told(data: Path, trained: Trainer) -> None:
    result = call(
        "evaluate", str(trained.best_checkpoint), "--data", str(data), "--views", "1,4", "--json"
    )
    means = json.loads(result.stdout)["rows"][str(trained.best_checkpoint)]
    assert 0 < means["ssim_uv_views4"] < 1
    assert means["coverage_views4"] >= means["coverage"]
    assert "ssim_uv_views2" not in means
    wrong = call("evaluate", "x", "--data", str(data), "--views", "1,5")
    assert wrong.exit_code == 2
    assert "5: give some of 1, 2, 3, 4, 8, 16" in wrong.stderr


def test_evaluate_shows_a_row_for_each_number_of_views(data: Path, trained: Trainer) -> None:
    result = call("evaluate", trained.best_checkpoint, "--data", data, "--views", "1,2,4")
    table = result.stdout[result.stdout.index("coverage") :].split("\n\n")[0]
    rows = [line.split()[-4:] for line in table.splitlines() if "best.safetensors" in line]
    assert [row[0] for row in rows] == ["1", "2", "4"]
    shares = [float(row[3]) for row in rows]
    assert 0 < shares[0] <= shares[1] <= shares[2] <= 1
    assert "…" not in result.stdout  # every heading fits


def test_each_group_counts_once_for_its_livery(data: Path, trained: Trainer) -> None:
    found = measure_split(trained.best_checkpoint, trained.data, "val")
    by_livery = [livery["ssim_uv_views2"] for livery in found.by_livery.values()]
    assert found.metrics["ssim_uv_views2"] == pytest.approx(sum(by_livery) / len(by_livery))
    assert all(math.isfinite(value) for value in by_livery)


def test_pairs_alone_train_on_several_views(tmp_path: Path) -> None:
    folder = make_set(tmp_path / "set", liveries=6, cameras=3)
    manifest = json.loads((folder / "manifest.json").read_text())
    for record in manifest["records"]:
        del record["uv_map"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    settings: TrainConfig = config(**SMALL, views=3)
    trainer = Trainer(settings, PairStore.open(folder, settings), tmp_path / "run")
    (report,) = trainer.epochs()
    assert math.isfinite(report.val["ssim_uv_views3"])
    assert "coverage_views3" not in report.val
