"""The flow of a view at full size."""

from __future__ import annotations

import numpy as np
import pytest

from uvtex.imaging.view_mesh import full_flow


def _plane(side: int, scale: float = 0.4, angle: float = 0.5) -> np.ndarray:
    """The UV map of a turned plane, on the middle of a view."""
    y, x = (np.mgrid[:side, :side] + 0.5) / side * 2 - 1
    u = 0.5 + scale * (np.cos(angle) * x - np.sin(angle) * y)
    v = 0.5 - scale * (np.sin(angle) * x + np.cos(angle) * y)
    return np.stack([u, v], axis=2)


def _true(size: int, scale: float = 0.4, angle: float = 0.5) -> np.ndarray:
    """The flow of :func:`_plane`, [size, size, 2]."""
    at = (np.arange(size) + 0.5) / size - 0.5
    u, down = np.meshgrid(at / scale, at / scale)
    x = np.cos(angle) * u + np.sin(angle) * down
    y = -np.sin(angle) * u + np.cos(angle) * down
    return np.stack([x, y], axis=2)


@pytest.mark.parametrize("size", [16, 64, 300])
def test_every_texel_of_a_plane_has_its_exact_place(size: int) -> None:
    flow, scale = full_flow(_plane(32), size)
    true = _true(size)
    seen = scale > 0
    inside = (np.abs(true) < 0.99).all(axis=2)
    assert seen[inside].all()
    assert np.array_equal(seen, np.isfinite(flow[..., 0]))
    assert np.abs(flow - true)[seen].max() < 1e-4
    # A texel is 1 / size wide in the texture, and 1 / (0.4 * size) in the view.
    assert scale[seen] == pytest.approx(1 / (0.4 * size), rel=1e-3)


def test_the_edge_of_the_paint_is_the_edge_of_its_pixels() -> None:
    uv = _plane(32, angle=0.0)
    uv[:, :16] = np.nan  # the left half shows no paint; the right half begins at x = 0
    _, scale = full_flow(uv, 400)
    columns = np.flatnonzero((scale > 0)[200])
    assert columns[0] == pytest.approx(200, abs=1)


def test_no_texel_between_two_panels_is_seen() -> None:
    left = _plane(32, scale=0.1)
    both = np.concatenate([left, np.add(left, 0.25)], axis=1)
    both[..., 0] -= 0.15
    _, scale = full_flow(both, 256)
    one, _ = full_flow(left, 256)
    seen = np.isfinite(one[..., 0]).sum()
    assert (scale > 0).sum() == pytest.approx(2 * seen, rel=0.05)


def test_of_several_places_the_largest_is_taken() -> None:
    uv = np.full((48, 48, 2), np.nan)
    uv[:8, :8], uv[16:48, 16:48] = _plane(8), _plane(32)
    flow, _ = full_flow(uv, 64)
    assert flow[32, 32] == pytest.approx(1 / 3, abs=0.05)


def test_a_view_without_paint_has_no_flow() -> None:
    flow, scale = full_flow(np.full((8, 8, 2), np.nan), 32)
    assert not scale.any()
    assert np.isnan(flow).all()
