"""The registered model registers its photos as ``uvtex infer`` does, by the same code."""

from __future__ import annotations

import json
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter

from sweep.tracking import export
from sweep.tracking.program import PicturesToTexture, Said
from tests.imaging import made_car
from tests.inference.car_checkpoint import make
from tests.inference.car_checkpoint import photos as car_photos
from tests.models.small_atlas import SIZE
from tests.sweep.tracking.model_server import answer, serving
from uvtex.data.pictures import read_rgb
from uvtex.imaging.compose import srgb_from_linear
from uvtex.inference.choosing import CONTRADICTS
from uvtex.inference.fuse import fuse
from uvtex.inference.infer import infer
from uvtex.inference.placement import BLURRED, NOT_PLACED
from uvtex.runs import checkpoint

MOVES = ((3.0, -2.0, 1.02, 0.0), (-4.0, 1.0, 0.98, 1.5))
"""Right and down in pixels of the light, scale, and degrees of each photo."""
FAR = (0.0, 0.0, 1.0, 8.0)
"""Turned by more than is sought."""


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    return make(tmp_path)


def _away(one: np.ndarray, two: np.ndarray) -> float:
    return float(np.abs(one.astype(float) - two.astype(float)).mean())


def test_misplaced_photos_give_the_texture_of_infer(trained: Path, tmp_path: Path) -> None:
    photos = car_photos(tmp_path, MOVES)
    [made] = fuse(str(trained), photos, tmp_path / "out", device="cpu", whole=True)
    assert [p.placement is not None and p.placement.moved for p in made.photos] == [True, True]
    expected = read_rgb(made.files["texture"])
    pictures = torch.from_numpy(np.stack([read_rgb(path) for path in photos])[None])
    program = PicturesToTexture(checkpoint.load(trained).predictor, SIZE)
    with torch.no_grad():
        registered = program(pictures)[0][0].numpy()
        program.places = False
        as_they_lie = program(pictures)[0][0].numpy()
    assert _away(registered, expected) < _away(as_they_lie, expected) / 5


def test_a_blurred_photo_counts_less_and_is_told_by_both(trained: Path, tmp_path: Path) -> None:
    photos = car_photos(tmp_path, MOVES)
    with Image.open(photos[1]) as file:
        file.filter(ImageFilter.GaussianBlur(6)).save(photos[1])  # 1.5 pixels of the light
    [made] = fuse(str(trained), photos, tmp_path / "out", device="cpu", whole=True)
    assert [note for note in made.warnings if BLURRED in note] == [f"{photos[1]}: {BLURRED}"]
    pictures = torch.from_numpy(np.stack([read_rgb(path) for path in photos])[None])
    with torch.no_grad():
        program, said = PicturesToTexture(checkpoint.load(trained).predictor, SIZE)(pictures)
    assert said.tolist() == [[Said.NOTHING, Said.BLURRED]]
    expected = read_rgb(made.files["texture"])
    with patch("uvtex.inference.fuse.worth", lambda photos: torch.ones(len(photos))):
        [alike] = fuse(str(trained), photos, tmp_path / "alike", device="cpu", whole=True)
    assert _away(program[0].numpy(), expected) < _away(read_rgb(alike.files["texture"]), expected)


def test_a_photo_of_another_exposure_is_evened_out_as_by_infer(
    trained: Path, tmp_path: Path
) -> None:
    view = made_car.camera()
    linear = 1.25 * (view.reflected + 0.2 * view.falling)
    shown = (255 * srgb_from_linear(torch.from_numpy(linear).clamp(0, 1))).round().byte().numpy()
    Image.fromarray(shown).save(tmp_path / "bright.png")
    [made] = infer(str(trained), [tmp_path / "bright.png"], tmp_path / "out", "cpu", whole=True)
    assert made.photo.placement is not None
    assert made.photo.placement.gain[0] == pytest.approx(1.25, rel=0.03)
    program = PicturesToTexture(checkpoint.load(trained).predictor, SIZE)
    with torch.no_grad():
        evened = program(torch.from_numpy(shown)[None, None])[0][0].numpy()
    assert _away(evened, read_rgb(made.files["texture"])) < 2
    with patch("uvtex.imaging.placing.BRIGHTER", np.inf), torch.no_grad():
        program = program(torch.from_numpy(shown)[None, None])[0][0].numpy()
    assert _away(program, evened) > 4


@pytest.mark.slow
def test_the_server_gives_misplaced_photos_the_texture_of_infer(
    trained: Path, tmp_path: Path
) -> None:
    photos = car_photos(tmp_path, MOVES)
    [made] = fuse(str(trained), photos, tmp_path / "out", device="cpu", whole=True)
    predictor = checkpoint.load(trained).predictor
    export.save(predictor, SIZE, tmp_path / "model")
    [far] = car_photos(tmp_path / "far", (FAR,))
    [other] = car_photos(tmp_path / "other", MOVES[:1], livery=1)
    pictures = np.stack([read_rgb(path) for path in (*photos, far, other)])[None]
    asked = {"inputs": pictures.tolist(), "params": {"report": True}}
    with serving(str(tmp_path / "model")) as address:
        served = answer(address, json.dumps({"inputs": pictures[:, :2].tolist()}))
        told = answer(address, json.dumps(asked))
        plain = answer(address, json.dumps({"inputs": asked["inputs"]}))
    with torch.no_grad():
        program, _ = PicturesToTexture(predictor, SIZE)(torch.from_numpy(pictures[:, :2]))
    np.testing.assert_allclose(served, program.numpy(), atol=1)
    assert _away(np.array(served[0]), read_rgb(made.files["texture"])) < 4
    assert sorted(told) == ["left_out", "texture", "warnings"]
    assert told["left_out"] == [["", "", NOT_PLACED, CONTRADICTS]]
    assert told["warnings"] == [[""] * 4]
    np.testing.assert_allclose(told["texture"], served, atol=1)
    assert plain == told["texture"]


def test_photos_that_lie_right_and_noise_are_used_as_they_lie(
    trained: Path, tmp_path: Path
) -> None:
    [photo] = car_photos(tmp_path, ((0.0, 0.0, 1.0, 0.0),))
    noise = np.random.default_rng(0).integers(0, 256, (384, 384, 3), dtype=np.uint8)
    pictures = torch.from_numpy(np.stack([read_rgb(photo), noise]))[:, None]
    program = PicturesToTexture(checkpoint.load(trained).predictor, SIZE)
    assert program.places
    with torch.no_grad():
        registered, said = program(pictures)
        program.places = False
        assert torch.equal(registered, program(pictures)[0])
    assert said.tolist() == [[Said.NOTHING], [Said.AS_IT_LIES]]


def test_a_photo_without_a_place_has_no_part_where_another_has_one(
    trained: Path, tmp_path: Path
) -> None:
    pictures = [read_rgb(path) for path in car_photos(tmp_path, (FAR, *MOVES))]
    three = torch.from_numpy(np.stack(pictures))
    program = PicturesToTexture(checkpoint.load(trained).predictor, SIZE)
    with torch.no_grad():
        for kept in ([1, 2], [1]):
            expected = program(three[kept][None])[0].int()
            made, said = program(three[[0, *kept]][None])
            assert (made.int() - expected).abs().max() <= 1
            assert said.tolist() == [[Said.NOT_PLACED] + [Said.NOTHING] * len(kept)]
        both, said = program(three[[0, 0]][None])
        assert said.tolist() == [[Said.AS_IT_LIES, Said.COPY]]
        program.places = False
        assert torch.equal(both, program(three[[0, 0]][None])[0])
        as_it_lies = program(three[None])[0].int()
        assert (as_it_lies - program(three[1:][None])[0]).abs().max() > 3


@pytest.mark.parametrize(
    ("liveries", "said"),
    [
        ((0, 0, 1), [Said.NOTHING, Said.NOTHING, Said.CONTRADICTS]),
        ((0, 1), [Said.UNDECIDED, Said.UNDECIDED]),
    ],
)
def test_photos_that_contradict_the_others_have_no_part(
    liveries: tuple[int, ...], said: list[Said], trained: Path, tmp_path: Path
) -> None:
    moves = (*MOVES, (1.0, 1.0, 1.0, 0.0))
    pictures = [
        read_rgb(car_photos(tmp_path / str(k), moves[k : k + 1], livery)[0])
        for k, livery in enumerate(liveries)
    ]
    photos = torch.from_numpy(np.stack(pictures))
    program = PicturesToTexture(checkpoint.load(trained).predictor, SIZE)
    with torch.no_grad():
        made, found = program(photos[None])
        agreeing, _ = program(photos[:2][None])
    assert found.tolist() == [said]
    assert (made.int() - agreeing).abs().max() <= 1
