"""`uvtex infer --texture-size`: textures at the photos' own resolution."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter

from tests.imaging import made_car
from tests.inference import car_checkpoint
from tests.inference.made_photos import call, inferred
from tests.inference.made_photos import photo as made_photo
from tests.inference.small_model import save_checkpoint
from tests.inference.trained_atlas import CAMERAS, make
from tests.sets import GROUND, shoot, uv_map
from uvtex.inference.encoding import encode_pixels

pytestmark = pytest.mark.usefixtures("in_tmp_path")
FINE = 256


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("full"))


@pytest.fixture(scope="module")
def livery() -> np.ndarray:
    """Discs of 16 texels on plain paint, uint8 [FINE, FINE, 3]: the network's texels hide them."""
    y, x = np.mgrid[:FINE, :FINE]
    discs = (x % 16 - 8) ** 2 + (y % 16 - 8) ** 2 < 16
    made: np.ndarray = np.where(discs[..., None], (230, 60, 40), (60, 90, 160)).astype(np.uint8)
    return made


def _photo(livery: np.ndarray, camera: int, side: int = FINE) -> np.ndarray:
    return shoot(livery, uv_map(camera, CAMERAS, side), GROUND + 40 * camera)


def _error(path: Path, livery: np.ndarray) -> float:
    """Mean difference to the true texture in the middle, which all cameras see."""
    with Image.open(path) as file:
        made = np.asarray(file.convert("RGB"), float)
    middle = slice(FINE // 4, -FINE // 4)
    return float(np.abs(made - livery)[middle, middle].mean())


def test_a_large_texture_is_sampled_from_the_photo(atlas: Path, livery: np.ndarray) -> None:
    Image.fromarray(_photo(livery, 0)).save("p.png")
    (record,) = inferred(atlas, "p.png", "--texture-size", FINE)
    assert record["texture"] == {"network_size": 32, "size": FINE, "resampled": True}
    assert "of the texels are sampled from the photo" in " ".join(record["warnings"])
    call(atlas, "p.png", "--out", "small")
    with Image.open("small/p_uv.png") as small:
        small.resize((FINE, FINE), Image.Resampling.LANCZOS).save("enlarged.png")
    assert _error(Path("o/p_uv.png"), livery) < 0.4 * _error(Path("enlarged.png"), livery)
    with Image.open("o/p_layers.png") as layers, Image.open("o/p_confidence.png") as sure:
        assert layers.size == sure.size == (FINE, FINE)
        seen, sure_of = np.asarray(layers) == 255, np.asarray(sure)
    assert seen[FINE // 2, FINE // 2]
    assert not seen[2, 2]
    assert sure_of[seen].min() > 0
    assert sure_of[~seen].max() < 20


def test_several_photos_are_fused_at_full_size(atlas: Path, livery: np.ndarray) -> None:
    names = []
    for camera in range(3):
        names.append(f"{camera}.png")
        Image.fromarray(_photo(livery, camera)).save(names[-1])
    given = [*names, "--fuse", "--texture-size", FINE, "--dds"]
    result = call(atlas, *given, "--out", "o", "--json")
    assert result.exit_code == 0, result.output
    (record,) = json.loads(result.stdout)
    assert {"texture", "confidence", "layers", "dds"} <= record["files"].keys()
    (alone, *_) = inferred(atlas, "0.png", "--texture-size", FINE)
    assert _error(Path("o/fused_uv.png"), livery) < 1.3 * _error(
        Path(alone["files"]["texture"]), livery
    )
    with Image.open("o/fused_uv.dds") as dds:
        assert (dds.format, dds.size) == ("DDS", (FINE, FINE))
        packed = np.asarray(dds.convert("RGB"), float)
    with Image.open("o/fused_uv.png") as png:
        assert np.abs(packed - np.asarray(png, float)).mean() < 12


def test_a_blurred_photo_is_named(atlas: Path, livery: np.ndarray) -> None:
    for camera in range(3):
        shown = Image.fromarray(_photo(livery, camera))
        if camera == 1:
            shown = shown.filter(ImageFilter.GaussianBlur(2))
        shown.save(f"{camera}.png")
    given = ["0.png", "1.png", "2.png", "--fuse", "--texture-size", FINE, "--whole"]
    result = call(atlas, *given, "--out", "o", "--json")
    assert result.exit_code == 0, result.output
    (record,) = json.loads(result.stdout)
    named = [note for note in record["warnings"] if "is blurred beside the other photos" in note]
    assert [note.partition(":")[0] for note in named] == ["1.png"]


def test_a_turned_photo_is_sampled_where_it_shows_the_car(tmp_path: Path) -> None:
    trained = car_checkpoint.make(tmp_path)
    textures = []
    for name, degrees in (("right", 0.0), ("turned", 3.0)):
        (tmp_path / name).mkdir()
        [path] = car_checkpoint.photos(tmp_path / name, [(0.0, 0.0, 1.0, degrees)])
        (record,) = inferred(trained, path, "--texture-size", 192, "--whole")
        assert record["placement"]["turn"] == pytest.approx(degrees, abs=0.2)
        with Image.open(f"o/{path.stem}_uv.png") as file:
            textures.append(np.asarray(file.convert("RGB"), float))
        with Image.open(f"o/{path.stem}_layers.png") as file:
            seen = np.asarray(file) == 255
    assert seen.mean() > 0.1
    off = np.abs(textures[0] - textures[1])[seen].mean()
    assert off < np.abs(textures[0] - np.roll(textures[0], 3, axis=0))[seen].mean()


@pytest.mark.parametrize("keystone", [(0.0, 0.0), (-0.03, 0.04)])
def test_a_photo_in_perspective_is_straightened_and_told(
    tmp_path: Path, keystone: tuple[float, float]
) -> None:
    trained = car_checkpoint.make(tmp_path, side=256)
    textures = []
    for name, tilt in (("right", (0.0, 0.0)), ("bent", keystone)):
        rng = np.random.default_rng(0)
        Image.fromarray(made_car.photo(rng, half=1.0, side=256, keystone=tilt)).save(f"{name}.png")
        (record,) = inferred(trained, f"{name}.png", "--texture-size", 192, "--whole")
        with Image.open(f"o/{name}_uv.png") as file:
            textures.append(np.asarray(file.convert("RGB"), float))
        with Image.open(f"o/{name}_layers.png") as file:
            seen = np.asarray(file) == 255
        told = [note for note in record["warnings"] if note.endswith(": straightened")]
        assert len(told) == (tilt != (0.0, 0.0))
    assert seen.mean() > 0.1
    off = np.abs(textures[0] - textures[1])[seen].mean()
    assert off < np.abs(textures[0] - np.roll(textures[0], 1, axis=0))[seen].mean()


def test_sixteen_bits_stay_sixteen(atlas: Path, livery: np.ndarray) -> None:
    photo = _photo(livery, 1).astype(np.uint16) * 257
    photo += np.random.default_rng(0).integers(0, 200, photo.shape, dtype=np.uint16)
    Path("p.png").write_bytes(encode_pixels(photo))
    inferred(atlas, "p.png", "--texture-size", FINE)
    header = Path("o/p_uv.png").read_bytes()[16:26]
    assert (int.from_bytes(header[:4]), int.from_bytes(header[4:8])) == (FINE, FINE)
    assert (header[8], header[9]) == (16, 2)
    with Image.open("o/p_uv.png") as file:
        file.load()  # Pillow reads what was written
        assert file.size == (FINE, FINE)


@pytest.mark.parametrize("deep", [False, True])
def test_unknown_texels_are_transparent_if_asked(
    atlas: Path, livery: np.ndarray, deep: bool
) -> None:
    photo = _photo(livery, 0)
    Path("p.png").write_bytes(encode_pixels(photo.astype(np.uint16) * 257 if deep else photo))
    inferred(atlas, "p.png", "--texture-size", FINE, "--dds", "--alpha")
    header = Path("o/p_uv.png").read_bytes()[16:26]
    assert (header[8], header[9]) == (16 if deep else 8, 6)
    with Image.open("o/p_layers.png") as layers, Image.open("o/p_uv.png") as made:
        known, rgba = np.asarray(layers) > 0, np.asarray(made)
    assert not known.all()
    assert np.array_equal(rgba[..., 3] == 255, known)
    assert rgba[~known][:, 3].max() == 0
    with Image.open("o/p_uv.dds") as dds:
        assert np.array_equal(np.asarray(dds.convert("RGBA"))[..., 3] > 127, known)
    inferred(atlas, "p.png", "--texture-size", FINE)
    with Image.open("o/p_uv.png") as opaque:
        assert np.array_equal(np.asarray(opaque.convert("RGB")), rgba[..., :3])


def test_the_network_s_own_texture_has_an_alpha_too(atlas: Path, livery: np.ndarray) -> None:
    Image.fromarray(_photo(livery, 0)).save("p.png")
    inferred(atlas, "p.png", "--alpha")
    with Image.open("o/p_uv.png") as made:
        assert made.mode == "RGBA"
        assert set(np.unique(np.asarray(made)[..., 3])) == {0, 255}


def test_a_checkpoint_without_maps_has_no_alpha(tmp_path: Path) -> None:
    model = save_checkpoint(tmp_path / "poc05.safetensors", None)
    photo = made_photo("p.png", 60, 50, (9, 9, 50, 40))
    for more in ([], ["--fuse"]):
        result = call(model, photo, "--alpha", "--out", "o", *more)
        assert result.exit_code == 2
        assert "does not know which texels a photo sees" in result.stderr
        assert not Path("o").exists()


def test_dds_of_a_small_texture(atlas: Path, livery: np.ndarray) -> None:
    Image.fromarray(_photo(livery, 0)).save("p.png")
    (record,) = inferred(atlas, "p.png", "--texture-size", "30", "--dds")
    assert "confidence" not in record["files"]
    with Image.open("o/p_uv.dds") as dds:
        assert dds.size == (30, 30)


def test_a_photo_of_twenty_thousand_pixels_a_side_is_refused(atlas: Path) -> None:
    Image.new("1", (20000, 20000)).save("huge.png")
    result = call(atlas, "huge.png", "--texture-size", FINE, "--out", "o")
    assert result.exit_code == 1
    assert "scale it down first" in result.stderr
    assert not Path("o").exists()


@pytest.mark.slow
def test_three_photos_of_24_megapixels_and_4096_texels_stay_under_two_gigabytes(
    atlas: Path, livery: np.ndarray
) -> None:
    for camera in range(3):
        shown = Image.fromarray(_photo(livery, camera, 1024)).resize((4900, 4900))
        shown.save(f"{camera}.jpg", quality=80)
    script = f"""
import resource, sys
from pathlib import Path
from uvtex.inference.fuse import fuse
given = [Path(f"{{camera}}.jpg") for camera in range(3)]
[made] = fuse({str(atlas)!r}, given, Path("o"), "cpu", texture_size=4096)
assert not made.left_out
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) < 2048
    with Image.open("o/fused_uv.png") as made:
        assert made.size == (4096, 4096)
