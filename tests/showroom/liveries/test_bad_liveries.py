"""A folder of liveries: the accepted, the reported and the refused pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from tests.intake.sources import png16
from uvtex.cli import main

QUICK = "--size 16 --texture-size 32 --cameras 1 --samples 1 --supersample 1 --no-views".split()


def build(out: Path, liveries: Path) -> Result:
    return CliRunner().invoke(
        main, ["showroom", "build", str(out), "--liveries", str(liveries), *QUICK]
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "liveries"
    path.mkdir()
    return path


def test_every_kind_of_picture_becomes_upright_with_eight_bits(
    folder: Path, tmp_path: Path
) -> None:
    picture = Image.new("RGB", (32, 32), (250, 120, 10))
    picture.paste((10, 20, 200), (0, 0, 32, 16))  # blue above orange
    exif = Image.Exif()
    exif[0x0112] = 3  # upside down
    picture.rotate(180).save(folder / "lying.png", exif=exif)
    picture.quantize(4).save(folder / "palette.png")
    picture.convert("CMYK").save(folder / "print.tif")
    picture.convert("L").save(folder / "grey.png")
    picture.convert("RGBA").save(folder / "alpha.png")
    deep = np.asarray(picture).astype(np.uint16) * 257
    png16(folder / "deep.png", deep, 2)
    result = build(tmp_path / "set", folder)
    assert result.exit_code == 0, result.output
    for remark in (
        "lying.png: EXIF rotation",
        "palette.png: palette",
        "print.tif: CMYK",
        "grey.png: grey",
        "alpha.png: alpha",
        "deep.png: 16 bits a channel",
    ):
        assert remark in result.stderr
    for name in ("lying", "palette", "print", "alpha", "deep"):
        pixels = np.asarray(Image.open(tmp_path / f"set/textures/{name}.png")).astype(int)
        assert np.abs(pixels[4, 16] - (10, 20, 200)).max() <= 3, name
        assert np.abs(pixels[28, 16] - (250, 120, 10)).max() <= 3, name


def test_all_unusable_liveries_are_named_and_nothing_is_built(folder: Path, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    Image.fromarray(noise).save(folder / "good.png")
    Image.new("RGB", (1, 1)).save(folder / "dot.png")
    Image.new("1", (20000, 20000)).save(folder / "bomb.png")
    Image.new("F", (40, 40)).save(folder / "floats.tif")
    (folder / "text.png").write_text("no picture")
    (folder / "zero.png").write_bytes(b"")
    content = (folder / "good.png").read_bytes()
    (folder / "cut.png").write_bytes(content[: len(content) // 2])
    result = build(tmp_path / "set", folder)
    assert result.exit_code == 1
    for name, says in (
        ("dot.png", "1x1 pixels; at least 16 a side"),
        ("bomb.png", "pixels; scale it down first"),
        ("floats.tif", "save it with 8 or 16 bits"),
        ("text.png", "no known picture format"),
        ("zero.png", "the file is empty"),
        ("cut.png", "not a readable picture"),
    ):
        (line,) = [line for line in result.stderr.splitlines() if f"/{name}: " in line]
        assert says in line
    assert "good.png" not in result.stderr
    assert not (tmp_path / "set").exists()
