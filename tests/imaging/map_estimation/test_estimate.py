"""The estimate of a camera's UV map: how near it comes, and that it says where it does not know."""

import numpy as np
import pytest
import torch

from tests.imaging.map_estimation.made_camera import (
    SIDE,
    MadeCamera,
    made_camera,
    photographed,
    twin_map,
)
from uvtex.imaging.map_estimation.changing import changing_pixels
from uvtex.imaging.map_estimation.estimate import MapEstimate, estimate_map


def estimated(camera: MadeCamera) -> MapEstimate:
    return estimate_map(*camera.pairs(), changing_pixels(camera.views))


def errors(camera: MadeCamera, found: MapEstimate) -> np.ndarray:
    """Errors of the painted pixels that were found, in 256ths of the atlas."""
    off = (found.uv - camera.uv).norm(dim=-1) * 256
    return off[torch.isfinite(off)].numpy()


@pytest.fixture(scope="module")
def twelve() -> tuple[MadeCamera, MapEstimate]:
    camera = made_camera(12)
    return camera, estimated(camera)


def test_twelve_liveries_give_the_map_below_the_texel(
    twelve: tuple[MadeCamera, MapEstimate],
) -> None:
    camera, found = twelve
    off = errors(camera, found)
    assert np.median(off) < 0.5  # a texel has 8
    assert (off < 2).mean() > 0.85


def test_painted_pixels_are_found_and_no_others(twelve: tuple[MadeCamera, MapEstimate]) -> None:
    camera, found = twelve
    truth, there = torch.isfinite(camera.uv[..., 0]), torch.isfinite(found.uv[..., 0])
    assert not (there & ~truth).any()
    assert (there & truth).sum() / truth.sum() > 0.95


def test_it_is_sure_where_it_is_right(twelve: tuple[MadeCamera, MapEstimate]) -> None:
    camera, found = twelve
    off = (found.uv - camera.uv).norm(dim=-1) * 256
    sure = found.confidence > 0.9
    assert sure.sum() > 0.5 * torch.isfinite(off).sum()
    assert (off[sure] < 2).float().mean() > 0.85


def test_the_light_of_plates_is_found(twelve: tuple[MadeCamera, MapEstimate]) -> None:
    _, found = twelve
    row = SIDE // 2
    falling = found.light[row, SIDE // 4, :3]
    assert torch.allclose(falling, torch.tensor([0.565, 0.565, 0.53]), atol=0.05)


def test_with_fewer_liveries_it_is_less_sure(twelve: tuple[MadeCamera, MapEstimate]) -> None:
    few = made_camera(2, seed=3)
    found = estimated(few)
    there = torch.isfinite(found.uv[..., 0])
    right = ((found.uv - few.uv).norm(dim=-1)[there] * 256 < 2).float().mean()
    sure = found.confidence[there].mean()
    assert sure < twelve[1].confidence[there].mean() - 0.05
    assert abs(sure - right) < 0.15


def test_texels_that_two_panels_share_are_found_on_both() -> None:
    camera = photographed(made_camera(8, seed=1).paints, shape=twin_map)
    found = estimated(camera)
    there = torch.isfinite(found.uv[..., 0])
    assert ((found.uv - camera.uv).norm(dim=-1)[there] * 256 < 2).float().mean() > 0.95
    assert found.support.crowding.mean() > 0.5
    assert found.confidence[there].mean() > 0.9


def test_liveries_that_are_alike_tell_nothing() -> None:
    camera = made_camera(1)
    views, paints = (part.repeat(4, 1, 1, 1) for part in (camera.views, camera.paints))
    same = MadeCamera(views, paints, camera.uv)
    assert not torch.isfinite(estimated(same).uv).any()


def test_textures_that_do_not_belong_to_the_views_are_not_believed() -> None:
    camera, others = made_camera(8), made_camera(8, seed=9)
    found = estimated(MadeCamera(camera.views, others.paints, camera.uv))
    there = torch.isfinite(found.uv[..., 0])
    assert (found.confidence[there] > 0.9).float().mean() < 0.05


def test_a_larger_picture_is_solved_coarse_to_fine() -> None:
    camera = made_camera(6, side=98, texels=64)
    changing = changing_pixels(camera.views)
    changing[:, 49:] = False  # half of the picture takes half of the time
    found = estimate_map(*camera.pairs(), changing)
    off = errors(camera, found)
    assert np.median(off) < 0.5
    assert (off < 2).mean() > 0.85


def test_one_livery_is_an_error() -> None:
    camera = made_camera(1)
    with pytest.raises(ValueError, match="at least two"):
        estimate_map(*camera.pairs(), torch.isfinite(camera.uv[..., 0]))


def test_flat_liveries_tell_the_panel_and_not_the_place() -> None:
    """Each livery has two flat halves, so half of the atlas explains a pixel equally well."""
    generator = np.random.default_rng(2)
    colours = torch.from_numpy(generator.integers(0, 256, (6, 3, 2))).to(torch.uint8)
    paints = colours.repeat_interleave(16, dim=2)[:, :, None, :].repeat(1, 1, 32, 1)
    flat = photographed(paints)
    found = estimated(flat)
    there = torch.isfinite(found.uv[..., 0])
    off = (found.uv - flat.uv).norm(dim=-1)[there] * 256
    known = found.confidence[there] >= 0.5
    assert (known & ~(off < 2)).float().mean() < 0.1
