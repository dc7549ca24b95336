"""Inference: its files, its messages, and the input that it refuses."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from tests.inference.made_photos import call, inferred, photo
from tests.inference.small_model import save_checkpoint
from uvtex.errors import CheckpointError
from uvtex.inference.infer import infer
from uvtex.inference.outputs import distinct_names

pytestmark = pytest.mark.usefixtures("in_tmp_path")


def test_the_record_says_what_was_done(model: Path) -> None:
    path = photo("p.png", 90, 60, (10, 10, 80, 40))
    record = inferred(model, path, "--texture-size", "100")[0]
    assert record == json.loads(Path("o/p_infer.json").read_text())
    assert record["photo"] == str(path)
    assert record["checkpoint"]["metrics"] == {"ssim_uv": 0.25}
    assert record["texture"] == {"network_size": 32, "size": 100, "resampled": True}
    assert "upsampled from 32 to 100" in " ".join(record["warnings"])
    for kind, size in (("texture", 100), ("reprojection", 32), ("view", 32)):
        with Image.open(record["files"][kind]) as picture:
            assert picture.size == (size, size)
    assert "reduced from 32 to 16" in " ".join(
        inferred(model, path, "--texture-size", "16")[0]["warnings"]
    )


def test_the_terminal_shows_the_steps_and_warnings(model: Path) -> None:
    result = call(model, photo("p.png", 400, 200, (300, 100, 350, 130)), "--out", "o")
    assert result.exit_code == 0
    assert "p.png: 400x200; car 2% by backdrop" in result.stdout
    assert "shown: the square (" in result.stdout
    assert "warning: the car fills" in result.stderr


def test_a_checkpoint_without_framing_gives_a_warning(tmp_path: Path) -> None:
    old = save_checkpoint(tmp_path / "old.safetensors", None)
    record = inferred(old, photo("p.png", 400, 200, (300, 100, 350, 130)))[0]
    assert not record["cropped"]
    assert "does not say how training framed" in " ".join(record["warnings"])


def test_photos_with_the_same_stem_get_different_names(model: Path) -> None:
    paths = [photo(name, 60, 60, (9, 9, 50, 50)) for name in ("a/x.png", "b/x.png", "y.png")]
    records = inferred(model, *paths)
    assert [Path(r["files"]["texture"]).name for r in records] == [
        "a_x_uv.png",
        "b_x_uv.png",
        "y_uv.png",
    ]


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["d/x.png", "d/x.jpg"], ["d_x_png", "d_x_jpg"]),
        (["d/x.png", "e/X.png"], ["d_x", "e_X"]),
        (["d/x.png", "e/x.png", "e/d_x.png"], ["d_x_png", "e_x_png", "d_x"]),
    ],
)
def test_output_names_are_distinct_for_any_file_names(paths: list[str], names: list[str]) -> None:
    assert distinct_names([Path(p) for p in paths]) == names


def test_no_photo_and_no_mask_is_overwritten(model: Path) -> None:
    one, two = (photo(n, 60, 60, (9, 9, 50, 50)) for n in ("d/x.png", "d/x_uv.png"))
    before = two.read_bytes()
    result = call(model, one, two, "--out", "d")
    assert result.exit_code == 2
    assert "x_uv.png: would be overwritten" in result.stderr
    assert two.read_bytes() == before
    mask = call(model, one, "--mask", two, "--out", "d")
    assert mask.exit_code == 2
    twice = call(model, one, Path("d/../d/x.png"), "--out", "o")
    assert twice.exit_code == 2
    assert "given twice" in twice.stderr
    assert sorted(p.name for p in Path("d").iterdir()) == ["x.png", "x_uv.png"]


def bomb(path: Path) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", 20000, 20000, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    )


def test_every_bad_photo_is_named_and_nothing_is_written(model: Path) -> None:
    good = photo("good.png", 60, 60, (9, 9, 50, 50))
    Path("truncated.png").write_bytes(good.read_bytes()[:100])
    Image.new("RGB", (1, 1)).save("dot.png")
    Path("zero.png").write_bytes(b"")
    Path("text.png").write_text("no picture")
    Path("folder").mkdir()
    bomb(Path("bomb.png"))
    names = "truncated.png dot.png zero.png text.png folder bomb.png missing.png".split()
    result = call(model, good, *names, "--out", "o")
    assert result.exit_code == 1
    for says in (
        "truncated.png: not a readable picture",
        "dot.png: 1x1 pixels",
        "zero.png: not a readable picture: the file is empty",
        "text.png: not a readable picture",
        "folder: is a folder",
        "bomb.png: more than",
        "missing.png: no such picture",
    ):
        assert says in result.stderr
    assert "Traceback" not in result.output
    assert not Path("o").exists()


def test_an_unreadable_mask_is_named(model: Path) -> None:
    path = photo("p.png", 60, 60, (9, 9, 50, 50))
    Path("m.png").write_bytes(b"")
    result = call(model, path, "--mask", "m.png", "--out", "o")
    assert result.exit_code == 1
    assert "m.png: not a readable picture: the file is empty" in result.stderr


@pytest.mark.parametrize("size", ["0", "15", "99999", "ten"])
def test_a_texture_size_out_of_range_is_a_usage_error(model: Path, size: str) -> None:
    path = photo("p.png", 60, 60, (9, 9, 50, 50))
    assert call(model, path, "--texture-size", size, "--out", "o").exit_code == 2


def test_an_invalid_framing_is_an_error_of_the_checkpoint(tmp_path: Path) -> None:
    broken = save_checkpoint(tmp_path / "broken.safetensors", {"size": {"least": "wide"}})
    with pytest.raises(CheckpointError, match=r"broken\.safetensors: .*size\.least"):
        infer(str(broken), [photo("p.png", 60, 60, (10, 10, 50, 50))], tmp_path / "out")
    assert not (tmp_path / "out").exists()
