"""UV maps of several stiffness, side by side in a set, and the one that a run learns from."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from tests.intake.made_photos import photo_set, repaint
from tests.sets import make_set
from uvtex.cli.data import data
from uvtex.config import TrainConfig, resolve
from uvtex.data import manifest, splits
from uvtex.data.found_maps import MAPS
from uvtex.data.store import PairStore
from uvtex.errors import ConfigError, DataError
from uvtex.evaluation.measure import measure_split
from uvtex.files import npz
from uvtex.intake.map_finding.find import SplitChoice, find_maps
from uvtex.runs.header import read_header
from uvtex.training.trainer import Trainer

SPLIT = SplitChoice(val_split=0.1, test_split=0.1, split_seed=0)
SEVERAL = (1.0, 8.0)


def settings(**changes: Any) -> TrainConfig:
    values = {"preset": "atlas", "image_size": 32, "width": 0.1, "epochs": 1, "device": "cpu"}
    split = {"val_split": 0.1, "test_split": 0.1}
    thresholds = [{"metric": "ssim_uv", "at_least": 0.0}]
    return resolve(values, split, {"thresholds": thresholds}, changes)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve liveries from one camera. No test may change it."""
    return photo_set(tmp_path_factory.mktemp("photos") / "set")


@pytest.fixture(scope="module")
def mapped(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``photos`` with maps of each of SEVERAL. No test may change it."""
    out = tmp_path_factory.mktemp("mapped") / "set"
    find_maps(photos, out, split=SPLIT, stiffness=SEVERAL)
    return out


@pytest.fixture
def copied(mapped: Path, tmp_path: Path) -> Path:
    return shutil.copytree(mapped, tmp_path / "copied")


def arrays(folder: Path) -> dict[str, np.ndarray]:
    with np.load(folder / str(manifest.read(folder).records[0].uv_map)) as file:
        return dict(file)


def test_the_first_map_is_that_of_a_search_for_it_alone(
    photos: Path, mapped: Path, tmp_path: Path
) -> None:
    find_maps(photos, tmp_path / "alone", split=SPLIT)
    alone, several = arrays(tmp_path / "alone"), arrays(mapped)
    for name in ("uv", "confidence", "falling", "reflected"):
        np.testing.assert_array_equal(alone[name], several[name])
    assert alone.keys() | {"uv@8", "confidence@8"} == several.keys()


def test_each_map_is_that_of_its_stiffness(photos: Path, mapped: Path, tmp_path: Path) -> None:
    find_maps(photos, tmp_path / "stiff", split=SPLIT, stiffness=(8.0,))
    stiff, several = arrays(tmp_path / "stiff"), arrays(mapped)
    np.testing.assert_array_equal(stiff["uv"], several["uv@8"])
    np.testing.assert_array_equal(stiff["confidence"], several["confidence@8"])
    soft, hard = (np.nanmedian(np.abs(np.diff(several[n], 2, axis=1))) for n in ("uv", "uv@8"))
    assert soft > hard


def test_a_run_learns_from_the_map_it_names_and_is_measured_by_the_first(mapped: Path) -> None:
    store = PairStore.open(mapped, settings())
    stiff = store.taught_by(8.0)
    assert store.taught_by(None) is store
    assert store.taught_by(1.0) is store  # the set's first
    one, other = store.bank, stiff.bank
    assert one is not None
    assert other is not None
    assert (one.paint != other.paint).any()
    flows = [next(s.train_batches(4, 0, 1)).flow_a for s in (store, stiff)]
    assert (flows[0] != flows[1]).any()  # type: ignore[operator]
    for side in ("val", "test"):
        first, second = (next(s.batches(side, 2)) for s in (store, stiff))  # type: ignore[arg-type]
        assert (first.seen_a == second.seen_a).all()  # type: ignore[union-attr]
    assert store.fingerprints() == stiff.fingerprints()


def test_a_checkpoint_has_its_map_and_is_measured_on_any_set(
    mapped: Path, copied: Path, tmp_path: Path
) -> None:
    config = settings(map_stiffness=8.0)
    store = PairStore.open(mapped, config)
    trainer = Trainer(config, store, tmp_path / "run")
    list(trainer.epochs())
    assert read_header(trainer.best_checkpoint).config.map_stiffness == 8.0
    again = Trainer(config, store, tmp_path / "run", resume=True)
    assert again.config.map_stiffness == 8.0
    there = measure_split(trainer.best_checkpoint, store, "val").metrics
    facts = json.loads((copied / MAPS).read_text())
    (copied / MAPS).write_text(json.dumps(facts | {"stiffness": [1.0]}))
    elsewhere = PairStore.open(copied, config)  # a set without this map
    assert measure_split(trainer.best_checkpoint, elsewhere, "val").metrics == there
    with pytest.raises(DataError, match="has no UV maps of stiffness 8, but of 1; give"):
        Trainer(config, elsewhere, tmp_path / "other")
    assert not (tmp_path / "other").exists()


def test_the_training_fingerprint_knows_all_maps(mapped: Path, copied: Path) -> None:
    """Otherwise a run could go on with another map than it began with."""
    record = manifest.read(copied).records[0]
    changed = arrays(copied)
    changed["uv@8"] = changed["uv@8"] * 0.99
    (copied / str(record.uv_map)).write_bytes(npz(**changed))
    before, after = (PairStore.open(s, settings()).fingerprints() for s in (mapped, copied))
    assert before.pop("train_fingerprint") != after.pop("train_fingerprint")
    assert before == after


def test_held_out_liveries_get_into_no_map(photos: Path, mapped: Path, tmp_path: Path) -> None:
    marked = shutil.copytree(photos, tmp_path / "marked")
    liveries = [record.livery for record in manifest.read(marked).records]
    sides = splits.split(liveries, "livery", 0.1, 0, 0.1)
    for number in [*sides.val, *sides.test]:
        repaint(marked, number, seed=number)
    find_maps(marked, tmp_path / "out", split=SPLIT, stiffness=SEVERAL)
    name = str(manifest.read(mapped).records[0].uv_map)
    assert (tmp_path / "out" / name).read_bytes() == (mapped / name).read_bytes()
    config = settings(map_stiffness=8.0, val_split=0.3)
    with pytest.raises(DataError, match="liveries that would now validate or test"):
        PairStore.open(mapped, config)


def test_the_commands_tell_which_there_are(photos: Path, mapped: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ["maps", str(photos), str(out), "--size", "28", "--stiffness", "2, 0.5"]
    done = CliRunner().invoke(data, arguments)
    assert done.exit_code == 0, done.output
    assert "Training uses that of 2 where map_stiffness is not set" in done.output
    told = json.loads((out / MAPS).read_text())
    assert told["stiffness"] == [2.0, 0.5]
    (camera,) = told["cameras"]
    assert camera["known_by"].keys() == {"2", "0.5"}
    assert camera["known_by"]["2"] == camera["known"]
    page = tmp_path / "page.html"
    done = CliRunner().invoke(data, ["report", str(out), "--html", str(page)])
    assert "known by stiffness" in done.output
    assert "The page shows that of 2" in " ".join(page.read_text().split())


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("0", "'0': give numbers from 0.01 to 100"),
        ("-1", "'-1': give numbers"),
        ("nan", "'nan': give numbers"),
        ("inf", "'inf': give numbers"),
        ("1,stiff", "'stiff': give numbers"),
        ("1,,2", "'nothing': give numbers"),
        ("1,2,1.0", "contains a number twice"),
    ],
)
def test_values_that_are_no_stiffness_are_refused(
    photos: Path, tmp_path: Path, given: str, says: str
) -> None:
    out = tmp_path / "out"
    done = CliRunner().invoke(data, ["maps", str(photos), str(out), "--stiffness", given])
    assert done.exit_code == 2
    assert says in " ".join(done.output.split())
    assert not out.exists()


def test_a_set_that_was_mapped_before_has_stiffness_one(copied: Path) -> None:
    facts = json.loads((copied / MAPS).read_text())
    del facts["stiffness"]
    for camera in facts["cameras"]:
        del camera["known_by"]
    (copied / MAPS).write_text(json.dumps(facts))
    store = PairStore.open(copied, settings())
    assert store.taught_by(1.0) is store
    assert "known by stiffness" not in CliRunner().invoke(data, ["report", str(copied)]).output
    with pytest.raises(DataError, match="no UV maps of stiffness 8, but of 1; "):
        store.taught_by(8.0)


def test_a_value_of_many_digits_is_compared_by_six(photos: Path, tmp_path: Path) -> None:
    """The command, the arrays and messages name a map by six digits."""
    out = tmp_path / "out"
    third = "0.3333333333"
    arguments = ["maps", str(photos), str(out), "--size", "28", "--stiffness", f"{third},1"]
    assert CliRunner().invoke(data, arguments).exit_code == 0
    store = PairStore.open(out, settings())
    assert store.taught_by(float(third)) is store
    with pytest.raises(DataError, match=r"no UV maps of stiffness 0\.33334, but of 0\.333333, 1;"):
        store.taught_by(0.33334)


def test_sets_whose_maps_were_not_found_have_none_to_choose(
    photos: Path, tiny_set: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="were not found by `uvtex data maps`"):
        PairStore.open(tiny_set, settings(val_split=0.2)).taught_by(1.0)
    store = PairStore.open(make_set(tmp_path / "set"), settings(val_split=0.2))
    composed = replace(store, loaded=replace(store.loaded, files=None))
    with pytest.raises(DataError, match="one exact UV map of each camera"):
        composed.taught_by(2.0)


def test_a_file_that_lacks_a_map_is_told(copied: Path) -> None:
    record = manifest.read(copied).records[0]
    kept = {name: array for name, array in arrays(copied).items() if name != "uv@8"}
    (copied / str(record.uv_map)).write_bytes(npz(**kept))
    with pytest.raises(DataError, match=r"an \.npz with an array `uv@8` is needed"):
        PairStore.open(copied, settings()).taught_by(8.0)


def test_the_original_learns_from_no_maps() -> None:
    with pytest.raises(ConfigError, match="map_stiffness must not be set with preset poc05"):
        resolve({"map_stiffness": 2.0})
    for value in (0, float("nan"), "stiff", True):
        with pytest.raises(ConfigError, match="map_stiffness: "):
            resolve({"preset": "atlas", "map_stiffness": value})
