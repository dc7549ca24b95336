"""What the commands say of colours that they convert, and of those that they cannot convert."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from tests.complaints import icc_profiles as icc
from tests.complaints.colour_chart import (
    CHART,
    P3,
    SIDE,
    save,
)
from tests.inference.small_model import save_checkpoint
from uvtex.cli import main
from uvtex.data import manifest, pictures
from uvtex.inference.photos import prepare
from uvtex.intake.importer import import_set


@pytest.fixture
def shots(tmp_path: Path) -> Callable[[str, icc.Wide | None], Path]:
    """A table of two views and their texture, in a colour space."""

    def make(name: str, space: icc.Wide | None) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        for number in range(3):
            colours = np.roll(CHART, number, axis=1)[: 4 * SIDE, : 4 * SIDE] / 255
            numbers = colours if space is None else space.numbers(colours)
            save(folder / f"{number}.png", numbers, space and space.profile)
        (folder / "t.csv").write_text("view,livery,texture\n0.png,a,2.png\n1.png,a,2.png\n")
        return folder / "t.csv"

    return make


def test_a_set_of_display_p3_photos_trains_as_the_srgb_set(
    tmp_path: Path, shots: Callable[[str, icc.Wide | None], Path]
) -> None:
    report = import_set(shots("p3", icc.WIDE[0]), tmp_path / "wide")
    import_set(shots("srgb", None), tmp_path / "plain")
    assert report.notes == ["0.png and 2 more pictures: Display P3 profile, converted to sRGB"]
    for kind in ("view", "texture"):
        files = [
            folder / getattr(record, kind)
            for folder in (tmp_path / "wide", tmp_path / "plain")
            for record in manifest.read(folder).records[:1]
        ]
        wide, plain = (pictures.read_rgb(path).astype(int) for path in files)
        assert np.abs(wide - plain).max() <= 2
    result = CliRunner().invoke(main, ["data", "report", str(tmp_path / "wide"), "--json"])
    assert "Display P3 profile, converted to sRGB" in result.output


def test_a_photo_that_cannot_be_converted_gives_a_warning(tmp_path: Path) -> None:
    model = save_checkpoint(tmp_path / "m.safetensors", None)
    path = tmp_path / "x.tif"
    Image.fromarray(CHART).convert("CMYK").save(path)
    result = CliRunner().invoke(
        main, ["infer", str(model), str(path), "--out", str(tmp_path / "o")]
    )
    assert result.exit_code == 0
    assert "CMYK without a profile, converted by a formula" in result.stderr
    record = json.loads((tmp_path / "o" / "x_infer.json").read_text())
    assert any("CMYK without a profile" in warning for warning in record["warnings"])


def test_a_converted_photo_gives_no_warning_but_is_recorded(tmp_path: Path) -> None:
    path = save(tmp_path / "x.png", icc.WIDE[0].numbers(CHART / 255), P3)
    photo = prepare(path, 32, None)
    assert not [warning for warning in photo.warnings if "unusual" in warning]
    assert "Display P3 profile, converted to sRGB" in photo.facts.oddities


def test_liveries_of_another_space_are_named_and_converted(tmp_path: Path) -> None:
    (tmp_path / "liveries").mkdir()
    square = np.full((32, 32, 3), (30, 160, 60)) / 255
    save(tmp_path / "liveries/green.png", icc.WIDE[2].numbers(square), icc.WIDE[2].profile)
    quick = "--size 16 --texture-size 32 --cameras 1 --samples 1 --supersample 1 --no-views"
    options = ["showroom", "build", str(tmp_path / "set"), "--liveries", str(tmp_path / "liveries")]
    result = CliRunner().invoke(main, [*options, *quick.split()])
    assert result.exit_code == 0, result.output
    assert "green.png: ProPhoto RGB profile, converted to sRGB" in result.output
    with Image.open(tmp_path / "set/textures/green.png") as texture:
        assert texture.getpixel((5, 5)) == pytest.approx((30, 160, 60), abs=4)
        assert "icc_profile" not in texture.info
