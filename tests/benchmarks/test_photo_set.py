"""Photos of a set's cameras and liveries, here and in another studio."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks import photo_set
from uvtex.data import manifest
from uvtex.data.pictures import read_rgb
from uvtex.showroom.build import build
from uvtex.showroom.rendering.plate_files import read_plate
from uvtex.showroom.settings import ShowroomSettings


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("set") / "set"
    sizes = {"size": 32, "texture_size": 32, "cameras": 1, "liveries": 1}
    build(ShowroomSettings(**sizes, samples=1, supersample=1), out)
    return out


@pytest.mark.parametrize("studio", ["dark", "paved", "lined"])
def test_another_studio_shows_the_same_car_before_another_backdrop(
    data: Path, tmp_path: Path, studio: str
) -> None:
    out = tmp_path / "out"
    told = CliRunner().invoke(photo_set.main, [str(data), str(out), "--studio", studio])
    assert told.exit_code == 0, told.output
    here, there = read_plate(data, "cam00"), read_plate(out, "cam00")
    np.testing.assert_array_equal(here.uv, there.uv)
    [record] = manifest.read(out).records
    views = [read_rgb(folder / record.view).astype(int) for folder in (data, out)]
    away = np.abs(views[0] - views[1]).mean(axis=2)
    assert np.median(away[here.mask == 0]) > 20


def test_a_camera_a_step_aside_shows_the_car_a_little_elsewhere(data: Path, tmp_path: Path) -> None:
    given = [str(data), str(tmp_path / "out"), "--aside", "0.3"]
    refused = CliRunner().invoke(photo_set.main, given)
    assert (refused.exit_code, "--aside needs --studio" in refused.output) == (2, True)
    told = CliRunner().invoke(photo_set.main, [*given, "--studio", "own"])
    assert told.exit_code == 0, told.output
    here, there = (np.isfinite(read_plate(x, "cam00").uv[..., 0]) for x in (data, tmp_path / "out"))
    both = (here & there).sum() / (here | there).sum()
    assert 0.7 < both < 1
