"""`uvtex data maps`: a set of photos becomes a set with UV maps."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from tests.imaging.map_estimation.made_camera import SIDE, true_map
from tests.intake.made_photos import photo_set, repaint
from tests.intake.sources import snapshot
from uvtex.cli.data import data
from uvtex.config import TrainConfig
from uvtex.data import manifest, splits
from uvtex.data.store import PairStore
from uvtex.errors import DataError
from uvtex.imaging.uv_maps import read_uv_map
from uvtex.intake.map_finding.find import SplitChoice, find_maps
from uvtex.intake.map_finding.report import liveries_missing

SPLIT = SplitChoice(val_split=0.1, test_split=0.1, split_seed=0)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve liveries from one camera. No test may change it."""
    return photo_set(tmp_path_factory.mktemp("photos") / "set")


@pytest.fixture(scope="module")
def mapped(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``photos`` with the maps that were found."""
    out = tmp_path_factory.mktemp("mapped") / "set"
    find_maps(photos, out, split=SPLIT)
    return out


def test_the_written_map_is_near_the_truth(mapped: Path) -> None:
    record = manifest.read(mapped).records[0]
    uv = read_uv_map(mapped / str(record.uv_map))
    assert uv.shape == (3 * SIDE, 3 * SIDE, 2)
    truth = true_map().numpy()
    off = np.linalg.norm(uv[1::3, 1::3] - truth, axis=2) * 256
    known = np.isfinite(off)
    assert known.sum() > 0.8 * np.isfinite(truth[..., 0]).sum()
    assert np.median(off[known]) < 0.5


def test_progress_says_what_is_done_for_which_camera(photos: Path, tmp_path: Path) -> None:
    seen: list[tuple[object, ...]] = []
    find_maps(photos, tmp_path / "set", split=SPLIT, progress=lambda *step: seen.append(step))
    assert seen[0] == ("cameras", 0, 1, f"front: {SIDE} pixels, choice 1 of 6")
    assert seen[-2] == ("cameras", 0, 1, f"front: {SIDE} pixels, edges")
    assert seen[-1] == ("cameras", 1, 1)


def test_large_maps_are_found_from_half_of_the_most_liveries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uvtex.intake.map_finding.find.MOST_LIVERIES", 10)
    photos = photo_set(tmp_path / "photos", liveries=7)
    assert find_maps(photos, tmp_path / "small", side=512).cameras[0].liveries == 7
    assert find_maps(photos, tmp_path / "large", side=1024).cameras[0].liveries == 5


def test_confidence_and_light_are_in_the_file(mapped: Path) -> None:
    record = manifest.read(mapped).records[0]
    with np.load(mapped / str(record.uv_map)) as arrays:
        confidence, falling = arrays["confidence"], arrays["falling"]
    assert confidence.shape == (SIDE, SIDE)
    assert confidence.min() >= 0
    assert confidence.max() <= 1
    assert 0.3 < falling[confidence > 0.9].mean() < 0.7


def test_the_trainer_reads_the_set(mapped: Path) -> None:
    config = TrainConfig(image_size=32, val_split=0.1, test_split=0.1, device="cpu")
    store = PairStore.open(mapped, config)
    assert store.loaded.maps is not None
    assert store.bank is not None
    assert store.bank.hits.sum() > 100


def test_training_under_another_split_is_refused(mapped: Path) -> None:
    config = TrainConfig(image_size=32, val_split=0.3, test_split=0.1, device="cpu")
    with pytest.raises(DataError, match=r"val_split 0\.1, test_split 0\.1, split_seed 0"):
        PairStore.open(mapped, config)


def test_nothing_of_held_out_liveries_gets_in(photos: Path, mapped: Path, tmp_path: Path) -> None:
    """Noise in place of the held-out liveries' pictures and textures leaves every map as it was."""
    marked = photo_set(tmp_path / "marked")
    liveries = [record.livery for record in manifest.read(marked).records]
    sides = splits.split(liveries, "livery", 0.1, 0, 0.1)
    for number in [*sides.val, *sides.test]:
        repaint(marked, number, seed=number)
    assert snapshot(marked) != snapshot(photos)
    find_maps(marked, tmp_path / "out", split=SPLIT)
    for kind in ("uv_maps", "masks"):
        files = sorted((tmp_path / "out" / kind).iterdir())
        assert files
        for file in files:
            assert file.read_bytes() == (mapped / kind / file.name).read_bytes()


def test_a_marked_training_livery_does_get_in(photos: Path, mapped: Path, tmp_path: Path) -> None:
    """The test above could not fail otherwise."""
    marked = photo_set(tmp_path / "marked")
    liveries = [record.livery for record in manifest.read(marked).records]
    livery = splits.split(liveries, "livery", 0.1, 0, 0.1).train[0]
    (marked / f"textures/{livery}.png").write_bytes((marked / "textures/5.png").read_bytes())
    find_maps(marked, tmp_path / "out", split=SPLIT)
    name = "uv_maps/000.npz"
    assert (tmp_path / "out" / name).read_bytes() != (mapped / name).read_bytes()


def test_the_command_tells_what_it_found_and_refuses_to_overwrite(
    photos: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = CliRunner().invoke(data, ["maps", str(photos), str(out), "--size", "28"])
    assert done.exit_code == 0, done.output
    assert "UV maps of 1 of 1 cameras, from 10 training liveries" in done.output
    before = snapshot(out)
    again = CliRunner().invoke(data, ["maps", str(photos), str(out)])
    assert again.exit_code == 1
    assert "is there already" in again.output
    assert snapshot(out) == before


def test_json_has_every_figure(photos: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(data, ["maps", str(photos), str(tmp_path / "out"), "--json", "--all"])
    told = json.loads(done.stdout)
    assert len(told["used"]) == 12
    assert told["cameras"][0]["camera"] == "front"
    assert 0 < told["cameras"][0]["sure"] <= told["cameras"][0]["known"] <= 1
    assert json.loads((tmp_path / "out/maps.json").read_text())["used"] == told["used"]


def test_one_training_livery_is_refused(tmp_path: Path) -> None:
    folder = photo_set(tmp_path / "set", liveries=3)
    with pytest.raises(DataError, match="at least two"):
        find_maps(folder, tmp_path / "out", split=SPLIT)
    assert not (tmp_path / "out").exists()


def test_two_liveries_are_told_to_be_too_few(tmp_path: Path) -> None:
    # Two busy liveries place every pixel. Each of these has two colours.
    paints = torch.full((2, 3, 32, 32), 40, dtype=torch.uint8)
    paints[0, 0, :, 12:] = 220
    paints[1, 2, 20:] = 180
    folder = photo_set(tmp_path / "set", liveries=2, paints=paints)
    done = CliRunner().invoke(data, ["maps", str(folder), str(tmp_path / "out"), "--all"])
    assert done.exit_code in (0, 1)
    assert "too few liveries" in done.output


def test_liveries_that_are_alike_give_no_map(tmp_path: Path) -> None:
    folder = photo_set(tmp_path / "set", liveries=1)
    records = manifest.read(folder).records
    manifest.write(folder, [records[0].model_copy(update={"livery": f"l{k}"}) for k in range(5)])
    done = CliRunner().invoke(data, ["maps", str(folder), str(tmp_path / "out"), "--all"])
    assert done.exit_code == 1
    assert "4 liveries, such as 'l1', have the paint of 'l0'" in done.output
    assert not (tmp_path / "out").exists()


def test_a_photo_of_something_else_is_told_and_not_used(tmp_path: Path) -> None:
    folder = photo_set(tmp_path / "set")
    repaint(folder, 4, seed=1)
    report = find_maps(folder, tmp_path / "out")
    (camera,) = report.cameras
    assert camera.liveries == 11
    assert camera.known > 0.8
    assert any("'livery04' was not used" in note for note in camera.notes)


def test_views_without_a_camera_are_grouped(tmp_path: Path) -> None:
    folder = photo_set(tmp_path / "set", cameras=(None, None))
    report = find_maps(folder, tmp_path / "out")
    assert any("24 views name no camera" in note for note in report.notes)
    groups: dict[str, list[str]] = {}
    for record in manifest.read(tmp_path / "out").records:
        groups.setdefault(str(record.camera), []).append(Path(record.view).stem.split("-")[1])
    assert all(len(set(group)) == 1 for group in groups.values())
    assert sorted(map(len, groups.values()))[-2:] > [10, 10]


def test_the_better_a_set_is_known_the_fewer_liveries_it_lacks() -> None:
    lacking = [liveries_missing(known, 4) for known in (0.1, 0.4, 0.6, 0.79, 0.8)]
    assert lacking == sorted(lacking, reverse=True)
    assert lacking[-1] == 0
    assert liveries_missing(0.65, 8) > liveries_missing(0.65, 4)  # eight that are hardly varied


def test_torch_is_not_changed(photos: Path, tmp_path: Path) -> None:
    state = torch.random.get_rng_state()
    find_maps(photos, tmp_path / "out", split=SPLIT)
    assert torch.equal(torch.random.get_rng_state(), state)
