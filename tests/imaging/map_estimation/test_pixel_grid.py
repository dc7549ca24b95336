"""The chosen pixels of a picture."""

import torch

from uvtex.imaging.map_estimation.pixel_grid import PixelGrid, widely


def test_a_wide_mean_is_that_of_the_chosen_pixels() -> None:
    grid = PixelGrid(torch.tensor([[True, False, True], [False, True, False]]))
    assert torch.allclose(
        widely(torch.tensor([1.0, 2.0, 6.0]), grid), torch.tensor([3.5, 4.0, 3.0])
    )
