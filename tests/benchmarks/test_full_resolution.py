"""The texture that photos of even light, without noise, give."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks.full_resolution import ideal_texture, main, seen_by
from tests.inference import car_checkpoint
from tests.sets import make_set
from uvtex.showroom.build import build
from uvtex.showroom.settings import ShowroomSettings

SIDE = 64


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("set") / "set"
    sizes = {"size": SIDE, "texture_size": SIDE, "cameras": 1, "liveries": 1}
    build(ShowroomSettings(**sizes, samples=1, supersample=2), out)
    return out


def ideal(data: Path, true: np.ndarray) -> np.ndarray:
    return ideal_texture(data, ["cam00"], true, np.full_like(true, 7))


def test_a_plain_livery_is_whole_where_it_is_seen(data: Path) -> None:
    plain = np.tile(np.uint8([200, 40, 90]), (SIDE, SIDE, 1))
    seen = seen_by(data, "cam00", SIDE)
    off = np.abs(ideal(data, plain).astype(int) - plain)[seen]
    assert 0.2 < seen.mean() < 0.8
    assert (off <= 1).mean() > 0.9  # the network's texture has a part in the least sure ones
    assert off.max() < 30


def test_a_gradient_is_not_displaced(data: Path) -> None:
    x = np.linspace(60, 200, SIDE)
    true = np.stack(np.broadcast_arrays(x[None], x[:, None], 128.0), axis=2).round()
    off = (ideal(data, true.astype(np.uint8)) - true)[seen_by(data, "cam00", SIDE)]
    assert np.abs(np.median(off, axis=0)).max() <= 0.5
    assert np.median(np.abs(off)) <= 1


def test_liveries_of_a_folder_that_is_no_set_are_told(tmp_path: Path) -> None:
    checkpoint, none = car_checkpoint.make(tmp_path), tmp_path / "none"
    given = [str(make_set(tmp_path / "set")), str(checkpoint), "--of", str(none)]
    told = CliRunner().invoke(main, given)
    assert told.exit_code == 1
    assert f"{none}: no manifest.json there" in told.output
    assert "SSIM" not in told.output
