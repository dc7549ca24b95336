"""Near-duplicates are found despite noise and size. Two liveries are not confused."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.sets import paint, shoot, uv_map
from uvtex.inspection import duplicates


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 999), st.integers(0, 2), st.floats(0, 4))
def test_noise_and_size_do_not_hide_a_duplicate(seed: int, camera: int, sigma: float) -> None:
    rng = np.random.default_rng(seed)
    uv = uv_map(camera, 3, 64)
    mask = np.isfinite(uv[..., 0])
    view = shoot(paint(rng, 64), uv)
    noisy = np.clip(view + rng.normal(0, sigma, view.shape), 0, 255).astype(np.uint8)
    one, two = duplicates.fingerprint(view, mask), duplicates.fingerprint(noisy, mask)
    large = duplicates.fingerprint(view.repeat(2, 0).repeat(2, 1), mask.repeat(2, 0).repeat(2, 1))
    assert [(m.a, m.b) for m in duplicates.matches([one], [two])] == [(0, 0)]
    assert [(m.a, m.b) for m in duplicates.matches([one], [large])] == [(0, 0)]


def test_two_liveries_from_one_camera_are_not_duplicates() -> None:
    """Equal backdrop, equal shape, and even an equal hash: only the colour differs."""
    mask = np.zeros((64, 64), bool)
    mask[20:40, 10:50] = True
    views = []
    for colour in ((200, 30, 30), (200, 60, 30), (30, 30, 200)):
        view = np.full((64, 64, 3), 120, np.uint8)
        view[mask] = colour
        views.append(duplicates.fingerprint(view, mask))
    assert len(duplicates.matches(views, views)) == 3  # each with itself
    assert duplicates.matches([], views) == duplicates.matches(views, []) == []


def test_many_pictures_are_compared_in_blocks() -> None:
    rng = np.random.default_rng(0)
    prints = [duplicates.fingerprint(paint(rng, 32)) for _ in range(600)]
    found = duplicates.matches(prints, prints[::-1])
    assert {m.a for m in found} == set(range(600))
    assert all((599 - m.a, m.b) == (m.b, 599 - m.a) or m.colours <= 6 for m in found)
