"""The benchmarks that change photos before they are read: bent ones, exposed ones."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.bent import WAYS, bent, field_of
from benchmarks.exposed import exposed

SIDE = 128


@pytest.mark.parametrize(("way", "size"), [*WAYS, ("perspective", 0.1), ("lens", 0.1)])
def test_a_bent_photo_shows_a_dot_where_its_field_says(way: str, size: float) -> None:
    field = field_of(way, size, np.random.default_rng(1))
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    for at in ((0.4, -0.3), (-0.5, 0.6)):
        middle = (np.array(at) + 1) * SIDE / 2
        dot = np.exp(-((x - middle[0]) ** 2 + (y - middle[1]) ** 2) / 8)
        shown = bent((255 * dot[..., None].repeat(3, axis=2)).astype(np.uint8), field)[..., 0]
        weight = shown.astype(float)
        found = np.array([(x * weight).sum(), (y * weight).sum()]) / weight.sum()
        expected = (field(np.array(at)) + 1) * SIDE / 2
        assert found == pytest.approx(expected, abs=0.1)
        moved = np.linalg.norm(expected - middle)
        assert (moved > 0) == (size > 0)


def test_twice_the_light_is_twice_the_linear_value() -> None:
    photo = np.full((2, 2, 3), 100, np.uint8)
    assert exposed(photo, np.ones(3)) is photo
    twice = exposed(photo, np.array([2.0, 1.0, 0.5]))[0, 0]
    linear = ((np.array([*twice, 100]) / 255 + 0.055) / 1.055) ** 2.4  # IEC 61966-2-1
    assert linear[:3] / linear[3] == pytest.approx([2, 1, 0.5], rel=0.02)
    assert (exposed(photo, np.full(3, 100.0)) == 255).all()
