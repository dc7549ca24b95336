"""Which pixels change with the livery, in pictures without loss and in JPEG files."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from tests.imaging.map_estimation.made_camera import made_camera
from uvtex.imaging.map_estimation.changing import changing_pixels

SIDE = 128
QUALITIES = {75: 9.8, 90: 3.9, 95: 2.0}
"""Quality -> error of the brightness (tests/data/test_coding_error.py), rounded up."""


def as_jpeg(views: Tensor, quality: int) -> Tensor:
    found = []
    for view in views:
        file = io.BytesIO()
        Image.fromarray(view.permute(1, 2, 0).numpy()).save(file, "JPEG", quality=quality)
        found.append(torch.from_numpy(np.asarray(Image.open(file)).copy()).permute(2, 0, 1))
    return torch.stack(found)


def test_all_painted_pixels_of_pictures_without_loss_change_and_no_others() -> None:
    camera = made_camera(8, side=SIDE)
    painted = torch.isfinite(camera.uv[..., 0])
    assert torch.equal(changing_pixels(camera.views), painted)


@pytest.mark.parametrize("quality", QUALITIES)
@pytest.mark.parametrize("liveries", [4, 16])
def test_the_ring_that_a_jpeg_spreads_around_the_paint_does_not_count(
    liveries: int, quality: int
) -> None:
    camera = made_camera(liveries, side=SIDE)
    painted = torch.isfinite(camera.uv[..., 0])
    views = as_jpeg(camera.views, quality)
    ring = changing_pixels(views) & ~painted
    found = changing_pixels(views, QUALITIES[quality])
    assert ring.sum() > 300
    assert (found & ~painted).sum() < 0.05 * ring.sum()
    assert (found & painted).sum() > 0.97 * painted.sum()


def test_a_pixel_that_changes_in_colour_alone_counts_without_loss_only() -> None:
    views = torch.full((2, 3, 8, 8), 100, dtype=torch.uint8)
    views[1, :, 2:6, 2:6] = torch.tensor([134, 78, 124], dtype=torch.uint8)[:, None, None]
    assert changing_pixels(views).sum() == 16
    assert changing_pixels(views, 0.5).sum() == 0
