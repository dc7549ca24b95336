"""Mask bleed, measured on predictors with a bleed of known size."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from uvtex.metrics.bleed import SurroundingsCache, bleed, by_depth, swap

SIZE = 48
Predictor = Callable[[Tensor], Tensor]


def scene(ground: float = 0.2) -> tuple[Tensor, Tensor]:
    """Two views [2, 3, S, S] of a box on a plain ground, and its mask; colours by place."""
    generator = torch.Generator().manual_seed(0)
    view = torch.full((2, 3, SIZE, SIZE), ground)
    mask = torch.zeros(2, 1, SIZE, SIZE)
    mask[..., 12:36, 8:40] = 1
    paint = torch.rand(2, 3, SIZE, SIZE, generator=generator) * 2 - 1
    return torch.where(mask > 0, paint, view), mask


def identity_flow() -> tuple[Tensor, Tensor]:
    """A flow from each texel to the same pixel of the view, and the mask of seen texels."""
    at = (torch.arange(SIZE) + 0.5) / SIZE * 2 - 1
    y, x = torch.meshgrid(at, at, indexing="ij")
    return torch.stack([x, y]).expand(2, -1, -1, -1), scene()[1]


def leaky(share: float, reach: float) -> Predictor:
    """Predicts the view, but texels within ``reach`` of the background take ``share`` of it."""
    depth = swap(*scene()).depth

    def predict(view: Tensor) -> Tensor:
        ground = view[:, :, :1, :1]
        return torch.where(depth < reach, view + share * (ground - view), view)

    return predict


def measured(predict: Predictor, view: Tensor, mask: Tensor) -> dict[str, float]:
    swapped = swap(view, mask)
    columns = by_depth(predict(view), predict(swapped.view), swapped, *identity_flow())
    return {name: float(column[0]) for name, column in columns.items()}


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5])
@pytest.mark.parametrize("ground", [-0.9, 0.2])
def test_a_bleed_of_known_size_is_measured_at_its_depth(share: float, ground: float) -> None:
    values = measured(leaky(share, 2), *scene(ground))
    assert values["bleed_border"] == pytest.approx(share, rel=1e-3)
    assert [values[f"bleed_{px}px"] for px in (2, 4, 8)] == [0, 0, 0]
    assert values["bleed_towards"] == pytest.approx(1, abs=1e-4)


def test_a_deeper_bleed_is_measured_at_every_depth_that_it_reaches() -> None:
    values = measured(leaky(0.1, 8), *scene())
    near = [values[name] for name in ("bleed_border", "bleed_2px", "bleed_4px")]
    assert near == pytest.approx([0.1, 0.1, 0.1], rel=1e-3)
    assert values["bleed_8px"] == 0


def test_a_predictor_that_ignores_the_background_has_no_bleed() -> None:
    view, mask = scene()
    swapped = swap(view, mask)

    def ignores_background(picture: Tensor) -> Tensor:
        return picture * mask

    before, after = ignores_background(view), ignores_background(swapped.view)
    assert bleed(before, after, swapped).tolist() == [0, 0]
    values = measured(ignores_background, view, mask)
    assert values["bleed_border"] == 0
    assert values["bleed_towards"] != values["bleed_towards"]  # nothing changed: NaN


def test_a_change_below_half_a_level_has_no_direction() -> None:
    values = measured(leaky(1e-3, 2), *scene())
    assert values["bleed_border"] == pytest.approx(1e-3, rel=1e-2)
    assert values["bleed_towards"] != values["bleed_towards"]  # under half a level: NaN


def test_bleed_without_a_flow_is_over_the_whole_atlas() -> None:
    """The view itself as texture changes by its whole background, and half the view by half."""
    view, mask = scene()
    swapped = swap(view, mask)
    outside = float((1 - mask[0]).mean())
    whole = bleed(view, swapped.view, swapped)
    assert whole.tolist() == pytest.approx([outside, outside], rel=1e-4)
    assert bleed(view / 2, swapped.view / 2, swapped).tolist() == pytest.approx(
        [outside / 2, outside / 2], rel=1e-4
    )


def test_a_change_unrelated_to_the_colour_of_the_background_has_direction_zero() -> None:
    view, mask = scene(0.5)
    colour = torch.tensor([1.0, -1.0, 0.0]).view(1, 3, 1, 1)

    def reacts(picture: Tensor) -> Tensor:
        return picture.clone() * mask + 0.1 * colour * (picture[:, :1, :1, :1] < 0)

    values = measured(reacts, view, mask)
    assert values["bleed_border"] == pytest.approx(0.1 * 2 / 3, rel=1e-3)
    assert values["bleed_towards"] == pytest.approx(0, abs=1e-3)
    opposite = measured(lambda picture: -picture[:, :, :1, :1].expand_as(picture), view, mask)
    assert opposite["bleed_towards"] == pytest.approx(-1, abs=1e-4)


def test_the_swap_changes_only_the_background_and_by_half_of_the_range() -> None:
    for ground in (-0.9, -0.1, 0.2, 0.9):
        view, mask = scene(ground)
        swapped = swap(view, mask)
        inside, outside = mask.bool().expand_as(view), (mask == 0).expand_as(view)
        assert torch.equal(swapped.view[inside], view[inside])
        torch.testing.assert_close(
            (swapped.view - view)[outside].abs(), torch.ones(int(outside.sum()))
        )
        assert swapped.view.abs().max() <= 1


def test_a_partly_covered_pixel_keeps_the_share_of_the_car() -> None:
    view, mask = scene(0.2)
    mask[..., 12:36, 8] = 0.25
    car = view[..., 12:36, 8].clone()
    view[..., 12:36, 8] = 0.25 * car + 0.75 * 0.2
    swapped = swap(view, mask)
    torch.testing.assert_close(swapped.view[..., 12:36, 8], 0.25 * car + 0.75 * -0.8)


def test_windows_count_as_the_car() -> None:
    view, mask = scene()
    mask[..., 20:26, 16:28] = 0
    swapped = swap(view, mask)
    assert torch.equal(swapped.view[..., 12:36, 8:40], view[..., 12:36, 8:40])
    assert float(swapped.depth[0, 0, 23, 20]) == 12
    assert float(swapped.depth[0, 0, 5, 5]) == 0


def test_without_a_background_every_bleed_metric_is_nan() -> None:
    view, _ = scene()
    swapped = swap(view, torch.ones(2, 1, SIZE, SIZE))
    assert torch.equal(swapped.view, view)
    assert bleed(view, view, swapped).isnan().all()
    columns = by_depth(view, view, swapped, *identity_flow())
    assert all(column.isnan().all() for column in columns.values())


def test_the_surroundings_of_a_mask_are_computed_once() -> None:
    cache = SurroundingsCache(limit=1 << 20)
    mask = scene()[1][0, 0].numpy()
    first = cache.of(mask)
    cache.of(np.roll(mask, 2, axis=1))
    again = cache.of(mask.copy())
    assert cache.misses == 2
    assert all(one is other for one, other in zip(first, again, strict=True))


def test_the_cache_of_surroundings_stays_within_its_limit() -> None:
    mask = scene()[1][0, 0].numpy()
    one = sum(array.nbytes for array in SurroundingsCache(0).of(mask))
    cache = SurroundingsCache(limit=2 * one)
    masks = [np.roll(mask, shift, axis=1) for shift in (0, 2, 4)]
    for each in masks:
        cache.of(each)
    assert cache.nbytes == 2 * one
    cache.of(masks[2])
    assert cache.misses == 3
    cache.of(masks[0])
    assert cache.misses == 4  # the least recently used mask was removed


def test_masks_with_equal_bytes_and_different_shapes_are_cached_separately() -> None:
    view, mask = scene()
    wide = swap(view.reshape(2, 3, SIZE // 2, SIZE * 2), mask.reshape(2, 1, SIZE // 2, SIZE * 2))
    assert wide.depth.shape == (2, 1, SIZE // 2, SIZE * 2)
    assert not torch.equal(wide.depth.flatten(), swap(view, mask).depth.flatten())
