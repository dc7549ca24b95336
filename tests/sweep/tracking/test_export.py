"""The exported model takes any number of pictures of any size and equals the network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from sweep.tracking import export
from sweep.tracking.client import RegistryError
from sweep.tracking.program import PicturesToTexture, Said
from uvtex.config import resolve
from uvtex.data.store import PairStore
from uvtex.models import Predictor, build


class Same(Predictor):
    """A network whose texture is the view."""

    def predict(self, view: torch.Tensor) -> tuple[torch.Tensor, None]:
        return view, None


def test_the_exported_model_prepares_pictures_as_infer_does(tmp_path: Path) -> None:
    """Padding and resizing agree with the photo path."""
    from PIL import Image

    from uvtex.inference.photos import prepare

    y, x = np.mgrid[:60, :90]
    photo = np.stack([x * 2, y * 4, (x + y)], axis=-1).astype(np.uint8)
    Image.fromarray(photo).save(tmp_path / "photo.png")
    expected = prepare(tmp_path / "photo.png", 32, None, whole=True).view
    program = PicturesToTexture(Same(), 32)
    mine = program(torch.from_numpy(photo)[None, None])[0][0].numpy()
    difference = np.abs(mine.astype(int) - expected.astype(int))
    assert difference.mean() < 0.5


@pytest.mark.parametrize(
    ("preset", "maps", "affine"),
    [
        ("poc05", True, 0),
        pytest.param("atlas", True, 0, marks=pytest.mark.slow),  # half a minute
        ("atlas", True, 0.1),
        ("atlas", False, 0),
    ],
)
def test_every_exported_preset_takes_any_pictures_and_equals_the_network(
    preset: str, maps: bool, affine: float, tiny_set: Path, tmp_path: Path
) -> None:
    import mlflow.pytorch

    config = resolve(
        {"preset": preset, "width": 0.1, "image_size": 32, "device": "cpu"},
        {"augment": {"affine": affine}},
    )
    torch.manual_seed(0)
    predictor = build(config, PairStore.open(tiny_set, config).bank if maps else None)[0].eval()
    with torch.no_grad():  # the zero weights of fresh networks would hide errors
        for parameter in predictor.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    export.save(predictor, 32, tmp_path / "model")
    program = mlflow.pytorch.load_model(str(tmp_path / "model"))
    for shape in ((1, 1, 31, 20, 3), (3, 1, 40, 80, 3), (1, 2, 50, 20, 3), (2, 5, 32, 32, 3)):
        pictures = torch.randint(0, 256, shape).to(torch.uint8)
        with torch.no_grad():
            expected, said = PicturesToTexture(predictor, 32)(pictures)
            first, _ = PicturesToTexture(predictor, 32)(pictures[:, :1])
        assert torch.equal(first, expected) == (shape[1] == 1)
        assert len(expected.unique()) > 20
        torch.testing.assert_close(program(pictures), (expected, said), atol=1, rtol=0)
        assert torch.equal(program(pictures)[1], said)


def test_several_pictures_are_fused_and_one_is_taken_alone() -> None:
    class Marked(Same):
        def fuse(
            self, views: torch.Tensor, counted: torch.Tensor | None = None
        ) -> tuple[torch.Tensor, None]:
            return views.amax(dim=1), None

    pictures = torch.randint(0, 256, (2, 3, 32, 32, 3)).to(torch.uint8)
    program = PicturesToTexture(Marked(), 32)
    assert torch.equal(program(pictures)[0], pictures.amax(dim=1))
    alone, said = program(pictures[:, 1:2])
    assert torch.equal(alone, pictures[:, 1])
    assert said.tolist() == [[Said.NOTHING]] * 2


def test_a_network_that_knows_no_texels_says_that_nothing_was_compared() -> None:
    pictures = torch.randint(0, 256, (2, 2, 32, 32, 3)).to(torch.uint8)
    pictures[1, 1] = pictures[1, 0]
    _, said = PicturesToTexture(Same(), 32)(pictures)
    assert said.tolist() == [[Said.NOT_COMPARED] * 2, [Said.NOTHING, Said.COPY]]


def test_everything_that_is_said_of_a_picture_has_words() -> None:
    numbers = [int(number) for kind in export.words().values() for number in kind]
    assert sorted(numbers) == [int(said) for said in Said][1:]


def test_a_network_with_a_fixed_batch_size_is_refused(tmp_path: Path) -> None:
    class Fixed(Predictor):
        def predict(self, view: torch.Tensor) -> tuple[torch.Tensor, None]:
            return view * torch.ones(len(view), 1, 1, 1), None

    with pytest.raises(RegistryError, match="refuses pictures"):
        export.save(Fixed(), 32, tmp_path / "model")
