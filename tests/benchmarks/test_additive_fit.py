"""The fit of a logistic regression with piecewise linear terms."""

import numpy as np
import torch

from benchmarks.additive_fit import fitted
from uvtex.imaging.map_estimation.certainty.confidence import AdditiveModel

COUNT = 40_000


def made(seed: int = 0) -> tuple[torch.Tensor, np.ndarray, np.ndarray]:
    """Two features, the true probability, which bends at 0, and what came of it."""
    generator = np.random.default_rng(seed)
    some = generator.normal(size=(COUNT, 2))
    odds = 0.5 + 2 * np.minimum(some[:, 0], 0) - some[:, 1]
    chance = 1 / (1 + np.exp(-odds))
    return torch.from_numpy(some), chance, generator.random(COUNT) < chance


def fit() -> AdditiveModel:
    some, _, right = made()
    return fitted(some, right, np.ones(COUNT), ["bent", "straight"])


def test_a_made_probability_is_found() -> None:
    some, chance, _ = made(1)
    off = fit().probability(some).numpy() - chance
    assert np.abs(off).mean() < 0.02


def test_pixels_without_a_share_do_not_count() -> None:
    some, _, right = made()
    half = np.arange(COUNT) < COUNT // 2
    spoilt = np.where(half, right, ~right)
    told = fitted(some, spoilt, 2.0 * half, ["bent", "straight"]).probability(some)
    assert np.abs(told.numpy() - fit().probability(some).numpy()).mean() < 0.02


def test_a_feature_that_never_varies_adds_nothing() -> None:
    some, chance, right = made()
    wide = torch.cat([some, torch.full((COUNT, 1), 3.0)], dim=1)
    model = fitted(wide, right, np.ones(COUNT), ["bent", "straight", "constant"])
    assert model.terms["constant"] == [(3.0, 0.0)]
    assert np.abs(model.probability(wide).numpy() - chance).mean() < 0.02
