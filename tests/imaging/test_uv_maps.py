"""The inverse of a UV map, also where one texel is seen in several places."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from uvtex.errors import DataError
from uvtex.imaging.uv_maps import (
    REACH,
    invert,
    overlay,
    read_doubtful_map,
    read_uv_map,
    texels_hit,
)

SIZE = 3


def map_of(texels: np.ndarray, size: int) -> np.ndarray:
    """A UV map [h, w, 2] that sees the middle of ``texels`` [h, w]; NaN where they are -1."""
    row, column = np.divmod(texels, size)
    uv = np.stack([(column + 0.5) / size, 1 - (row + 0.5) / size], axis=2)
    uv[texels < 0] = np.nan
    return uv.astype(np.float32)


def test_places_below_half_are_not_known_and_a_coarser_confidence_is_repeated(
    tmp_path: Path,
) -> None:
    uv, sure = np.full((4, 4, 2), 0.25, np.float32), np.array([[0.4, 0.5], [0.9, 0.1]])
    np.savez(tmp_path / "map.npz", uv=uv, confidence=sure)
    placed, confidence = read_doubtful_map(tmp_path / "map.npz")
    assert np.array_equal(placed, uv)
    assert np.array_equal(confidence, sure.repeat(2, 0).repeat(2, 1).astype(np.float32))
    known = np.isfinite(read_uv_map(tmp_path / "map.npz")[..., 0])
    assert np.array_equal(known, confidence >= 0.5)


@pytest.mark.parametrize("wrong", [np.nan, -0.1, 1.5])
def test_a_confidence_that_is_no_probability_is_refused(tmp_path: Path, wrong: float) -> None:
    np.savez(tmp_path / "map.npz", uv=np.zeros((2, 2, 2)), confidence=np.full((2, 2), wrong))
    with pytest.raises(DataError, match=r"confidence must lie in \[0, 1\]"):
        read_doubtful_map(tmp_path / "map.npz")


def slow_places(pixels: list[tuple[int, int]]) -> list[list[tuple[int, int]]]:
    """``pixels`` in groups whose members are joined by steps of REACH at most."""
    left, groups = list(pixels), []
    while left:
        group = [left.pop(0)]
        for row, column in group:  # the group grows during this loop
            near = [p for p in left if max(abs(p[0] - row), abs(p[1] - column)) <= REACH]
            group.extend(near)
            left = [p for p in left if p not in near]
        groups.append(sorted(group))
    return groups


def slow_flow(texels: np.ndarray, texel: int) -> tuple[float, float] | None:
    """The flow of ``texel``, x then y, as the docstring of ``one_place`` defines it."""
    h, w = texels.shape
    seen = [(r, c) for r in range(h) for c in range(w) if texels[r, c] == texel]
    if not seen:
        return None
    best = min(
        slow_places(seen),
        key=lambda place: (-len(place), sum(c for _, c in place) / len(place), place[0]),
    )
    x = sum((c + 0.5) / w * 2 - 1 for _, c in best) / len(best)
    y = sum((r + 0.5) / h * 2 - 1 for r, _ in best) / len(best)
    return x, y


@settings(max_examples=150, deadline=None)
@given(
    arrays(
        np.int64,
        st.tuples(st.integers(1, 9), st.integers(1, 9)),
        elements=st.integers(-3, SIZE * SIZE - 1).map(lambda n: max(n, -1)),
    )
)
def test_flows_equal_those_of_the_readable_reference(texels: np.ndarray) -> None:
    uv = map_of(texels, SIZE)
    np.testing.assert_array_equal(texels_hit(uv, SIZE), texels)
    flow, seen = invert(uv, SIZE, close=0)
    for texel in range(SIZE * SIZE):
        expected = slow_flow(texels, texel)
        assert seen.ravel()[texel] == (expected is not None)
        if expected is not None:
            np.testing.assert_allclose(flow.reshape(2, -1)[:, texel], expected, atol=1e-6)


def mirrored(left: int, right: int, size: int = 16) -> np.ndarray:
    """A map that sees the whole atlas twice: ``left`` pixels wide, and ``right`` wide, mirrored."""
    height, gap = 32, np.full((32, 8, 2), np.nan)
    v = np.broadcast_to(1 - (np.arange(height)[:, None] + 0.5) / height, (height, left + right))
    u = np.concatenate([(np.arange(left) + 0.5) / left, 1 - (np.arange(right) + 0.5) / right])
    both = np.stack(np.broadcast_arrays(u, v), axis=2)
    return np.concatenate([both[:, :left], gap, both[:, left:]], axis=1).astype(np.float32)


@pytest.mark.parametrize(
    ("left", "right", "side"), [(32, 32, "left"), (48, 32, "left"), (32, 48, "right")]
)
def test_the_flow_of_a_texel_seen_twice_leads_to_one_of_the_places(
    left: int, right: int, side: str
) -> None:
    """The mean of the two places would lie in the gap between them."""
    uv = mirrored(left, right)
    flow, seen = invert(uv, 16)
    assert seen.all()
    column = ((flow[0] + 1) / 2 * uv.shape[1]).astype(int)
    row = ((flow[1] + 1) / 2 * uv.shape[0]).astype(int)
    assert (column < left).all() if side == "left" else (column >= left + 8).all()
    distance = np.abs(uv[row, column] - map_of(np.arange(256).reshape(16, 16), 16))
    assert distance.max() < 1 / 16, "the flow leads to another texel"


def test_an_overlay_is_redder_with_u_and_greener_with_v() -> None:
    drawn = overlay(np.full((8, 8, 3), 90, np.uint8), map_of(np.arange(64).reshape(8, 8), 8), None)
    assert (drawn.shape, drawn.dtype) == ((8, 8, 3), np.uint8)
    red, green, blue = np.moveaxis(drawn.astype(int), 2, 0)
    assert (np.diff(red, axis=1) > 0).all()
    assert (np.diff(green, axis=0) < 0).all()  # v points up
    assert (red == red[0]).all()
    assert (green == green[:, :1]).all()
    assert (blue == blue[0, 0]).all()


def test_an_overlay_tells_paint_without_a_place_from_what_is_no_paint() -> None:
    rgb = np.full((4, 6, 3), 200, np.uint8)
    uv = np.full((2, 3, 2), 0.5, np.float32)  # of half the picture's size
    uv[:, 1:] = np.nan
    painted = np.zeros((4, 6), bool)
    painted[:, :4] = True
    drawn = overlay(rgb, uv, painted)
    placed, lost, bare = drawn[:, :2], drawn[:, 2:4], drawn[:, 4:]
    assert len(np.unique(placed.reshape(-1, 3), axis=0)) == 1
    assert (lost == (220, 0, 180)).all()  # magenta
    assert (bare < rgb[:, 4:]).all()
    assert len(np.unique(bare)) == 1  # as grey as before
    assert (overlay(rgb, uv, None)[:, 2:] == bare[0, 0]).all()
