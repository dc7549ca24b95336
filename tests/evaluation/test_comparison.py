"""Checkpoints side by side, from the command line."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.models import small_atlas
from tests.sets import make_set, make_showroom
from uvtex.cli import main
from uvtex.config import resolve
from uvtex.data.store import PairStore
from uvtex.evaluation.comparison import BASELINE, WITH_FIXED
from uvtex.imaging.constant_texels import LEAST
from uvtex.runs import checkpoint
from uvtex.runs.epochs import read_epochs
from uvtex.training.trainer import Trainer

BASE = {
    "image_size": 32,
    "width": 0.1,
    "epochs": 1,
    "val_split": 0.5,
    "device": "cpu",
    "lr": 1e-3,
    "thresholds": [{"metric": "ssim_uv", "at_least": 0.2}],
}
Train = Callable[..., str]


@pytest.fixture(scope="module")
def train(tiny_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Train:
    """Returns the checkpoint of a run with changed settings. Equal settings are trained once."""
    done: dict[str, str] = {}

    def trained(**changes: Any) -> str:
        key = json.dumps(changes, sort_keys=True)
        if key not in done:
            config = resolve(BASE, changes)
            run_dir = tmp_path_factory.mktemp("run")
            trainer = Trainer(config, PairStore.open(tiny_set, config), run_dir)
            list(trainer.epochs())
            done[key] = str(trainer.best_checkpoint)
        return done[key]

    return trained


def call(*args: Any) -> Result:
    return CliRunner().invoke(main, ["evaluate", *(str(arg) for arg in args)])


def evaluated(*args: Any) -> dict[str, Any]:
    result = call(*args, "--json")
    assert result.exit_code == 0, result.output
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def test_constant_texels_give_a_second_baseline(tmp_path: Path) -> None:
    data = make_showroom(tmp_path / "set", liveries=LEAST + 2, same=16)
    config = small_atlas.config(epochs=1, val_split=0.2)
    trainer = Trainer(config, PairStore.open(data, config), tmp_path / "run")
    list(trainer.epochs())
    rows = evaluated(trainer.best_checkpoint, "--data", data)["rows"]
    _, plain, known = rows
    assert plain == BASELINE
    assert known == WITH_FIXED
    assert rows[known]["ssim_uv"] > rows[plain]["ssim_uv"] + 0.2
    assert rows[known]["l1_uv"] < rows[plain]["l1_uv"]


def test_a_row_equals_the_metrics_that_training_reported(train: Train, tiny_set: Path) -> None:
    one = train()
    answer = evaluated(one, "--data", tiny_set)
    reported = read_epochs(Path(one).parents[1])[-1].val
    assert answer["rows"][one]["haarpsi_view"] == pytest.approx(reported["haarpsi_view"], abs=1e-5)
    assert answer["notes"] == []


def test_the_csv_file_has_the_metrics_of_every_sample(
    train: Train, tiny_set: Path, tmp_path: Path
) -> None:
    one, two = train(), train(seed=1)
    answer = evaluated(one, two, "--data", tiny_set, "--csv", tmp_path / "s.csv")
    with (tmp_path / "s.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    for name in (one, two):
        mine = [line for line in lines if line["checkpoint"] == name]
        assert len(mine) == 9
        assert len({line["livery"] for line in mine}) == 3
        assert {line["view"].split("/")[0] for line in mine} == {"views"}
        assert all(line["camera"] for line in mine)
        for metric, mean in answer["rows"][name].items():
            figures = [float(line[metric]) for line in mine if line[metric]]
            assert sum(figures) / len(figures) == pytest.approx(mean, rel=1e-4, abs=1e-6)


def test_a_comparison_pairs_samples_by_livery(train: Train, tiny_set: Path) -> None:
    one, two = train(), train(seed=1)
    answer = evaluated(one, one, "--against", two, "--data", tiny_set)
    assert set(answer["differences"]) == {one}
    found = answer["differences"][one]["ssim_uv"]
    rows = answer["rows"]
    assert found["mean"] == pytest.approx(rows[one]["ssim_uv"] - rows[two]["ssim_uv"], abs=1e-6)
    assert found["low"] <= found["mean"] <= found["high"]
    assert (found["liveries"], found["samples"]) == (3, 9)

    shown = call(one, "--against", two, "--data", tiny_set)
    assert "9 views of 3 liveries" in shown.stdout
    assert found["verdict"] in shown.stdout


def test_every_metric_has_a_direction(train: Train, tiny_set: Path) -> None:
    """Add a new metric to uvtex.metric_catalogue."""
    from uvtex.metric_catalogue import higher_is_better

    rows = evaluated(train(), "--data", tiny_set)["rows"]
    unknown = {m for row in rows.values() for m in row if higher_is_better(m) is None}
    assert not unknown


@pytest.mark.parametrize(
    ("changes", "says"),
    [({"image_size": 48}, "at 48 and at 32 px"), ({"split_seed": 1}, "split the set differently")],
)
def test_checkpoints_that_are_not_comparable_get_no_verdict(
    train: Train, tiny_set: Path, changes: dict[str, int], says: str
) -> None:
    one, other = train(), train(**changes)
    answer = evaluated(other, "--against", one, "--data", tiny_set)
    assert says in answer["differences"][other]["no_verdict"]
    assert any("not comparable" in note for note in answer["notes"])
    shown = call(other, "--against", one, "--data", tiny_set)
    assert "no verdict" in shown.stdout
    assert "note: " in shown.stderr


def test_a_note_says_when_a_figure_flatters_the_checkpoint(
    train: Train, tiny_set: Path, tmp_path: Path
) -> None:
    one, other = train(), make_set(tmp_path / "other", liveries=3, seed=7)
    side = evaluated(one, "--data", other)
    assert "was trained on another data set" in side["notes"][0]
    assert evaluated(one, "--data", other, "--all")["notes"] == []
    assert "flatter" in evaluated(one, "--data", tiny_set, "--all")["notes"][0]
    by_sample = train(split_by="sample")
    assert "split by sample" in evaluated(by_sample, "--data", tiny_set)["notes"][0]


def test_the_flag_all_measures_every_view_of_a_single_livery(train: Train, tmp_path: Path) -> None:
    one, two = train(), train(seed=1)
    single = make_set(tmp_path / "single", liveries=1)
    answer = evaluated(one, "--against", two, "--data", single, "--all")
    found = answer["differences"][one]["ssim_uv"]
    assert (found["samples"], found["low"], found["verdict"]) == (3, None, "unknown")
    shown = call(one, "--against", two, "--data", single, "--all")
    assert "no interval" in shown.stdout

    refused = call(one, "--data", single)
    assert refused.exit_code == 1
    assert "at least two" in refused.stderr


def test_a_note_names_networks_that_give_nan(train: Train, tiny_set: Path, tmp_path: Path) -> None:
    tensors, header = checkpoint.read(Path(train()))
    tensors["renderer.layers.0.bias"][0] = float("nan")
    checkpoint.save(tmp_path / "broken.safetensors", tensors, header)
    answer = evaluated(tmp_path / "broken.safetensors", "--data", tiny_set)
    assert "NaN or infinite" in answer["notes"][0]


def test_all_views_of_a_store_are_those_of_its_sides(tiny_set: Path) -> None:
    store = PairStore.open(tiny_set, resolve(BASE | {"val_split": 0.34, "test_split": 0.17}))
    sizes = [len(store.sides.of(side)) for side in ("train", "val", "test", "all")]
    assert sizes == [9, 6, 3, 18]
    assert len(next(store.batches("all", 32)).pair.a) == 18


def test_all_views_of_one_livery_can_be_measured(tmp_path: Path) -> None:
    lone = make_set(tmp_path / "lone", liveries=1, cameras=2)
    store = PairStore.open(lone, resolve(BASE), unsplit=True)
    assert len(next(store.batches("all", 32)).pair.a) == 2


def test_a_csv_file_that_cannot_be_written_is_named(train: Train, tiny_set: Path) -> None:
    result = call(train(), "--data", tiny_set, "--csv", "nowhere/s.csv")
    assert result.exit_code == 1
    assert "nowhere" in result.stderr
