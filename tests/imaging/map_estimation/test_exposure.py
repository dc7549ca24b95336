"""The exposure of a camera's shots, found from what does not change."""

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.imaging.map_estimation.made_camera import made_camera
from uvtex.imaging.compose import linear_from_srgb, srgb_from_linear
from uvtex.imaging.map_estimation.exposure import LEAST, exposures, levelled


def exposed(views: Tensor, logarithms: Tensor) -> Tensor:
    """uint8 [L, 3, h, w], the linear light of each view and channel times a number [L, 3]."""
    light = linear_from_srgb(views / 255) * logarithms.exp()[..., None, None]
    return (srgb_from_linear(light) * 255).round().to(torch.uint8)


def drawn(count: int, most: float, seed: int = 0) -> Tensor:
    generator = np.random.default_rng(seed)
    return torch.from_numpy(generator.uniform(-most, most, (count, 3))).float()


@pytest.mark.parametrize("liveries", [3, 8, 16])
@pytest.mark.parametrize("most", [0.03, 0.1, 0.4])
def test_exposure_and_white_balance_are_found(liveries: int, most: float) -> None:
    views = made_camera(liveries, side=64).views
    true = drawn(liveries, most)
    found, still = exposures(exposed(views, true))
    assert still is not None
    off = found - true
    # The usual exposure is that of the middle view, which is not known.
    assert (off - off.median(dim=0).values).abs().max() < 0.02


def test_shots_of_one_exposure_are_left_alone() -> None:
    for liveries in (2, 3, 8, 16):
        found, still = exposures(made_camera(liveries, side=64).views)
        assert still is None
        assert not found.any()


def test_light_that_moves_is_no_exposure() -> None:
    """Each picture is lit from another side: no number makes them alike."""
    views = made_camera(8, side=64).views
    side = torch.linspace(-1, 1, 64)
    lit = [
        exposed(view[None], torch.zeros(1, 3))[0] * (1 + 0.3 * (-1) ** k * side)
        for k, view in enumerate(views / 1.4)
    ]
    found, still = exposures(torch.stack(lit).clamp(0, 255).to(torch.uint8))
    assert still is None
    assert not found.any()


def test_a_view_is_measured_against_the_others() -> None:
    views = made_camera(9, side=64).views
    true = drawn(9, 0.2)
    shown = exposed(views, true)
    found, still = exposures(shown[:8])
    assert still is not None
    expected = true[8] + (found - true[:8]).median(dim=0).values
    assert (still.exposure_of(shown[8]) - expected).abs().max() < 0.02
    usual = levelled(shown[8], expected)
    assert not still.exposure_of(usual).any()
    assert not still.exposure_of(torch.zeros(3, 64, 64, dtype=torch.uint8)).any()


def test_a_levelled_view_is_the_view_at_the_usual_exposure() -> None:
    (view,) = made_camera(1, side=64).views
    exposure = torch.tensor([0.1, -0.2, 0.05])
    back = levelled(exposed(view[None], exposure[None])[0], exposure)
    clipped = exposed(view[None], exposure[None])[0] == 255
    assert ((back.int() - view.int()).abs()[~clipped] <= 1).all()
    assert (back[clipped] == 255).all()
    assert torch.equal(levelled(view, torch.zeros(3)), view)


def test_pictures_in_which_nothing_can_be_compared_are_left_alone() -> None:
    for level in (0, 255):
        found, still = exposures(torch.full((4, 3, 32, 32), level, dtype=torch.uint8))
        assert still is None
        assert found.abs().max() < LEAST
