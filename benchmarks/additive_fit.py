"""The fit of the confidence of UV maps: a logistic regression with piecewise linear terms."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from uvtex.imaging.map_estimation.certainty.confidence import AdditiveModel

QUANTILES = (0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99)
"""Quantiles of a feature between which its term is a straight line. Outside, it stays."""
RIDGE = 1e-4
"""Penalty of the squared coefficients, for each pixel. The intercept has it too."""


def fitted(
    features: Tensor, right: np.ndarray, share: np.ndarray, names: Sequence[str]
) -> AdditiveModel:
    """The model of the probability that a pixel is right.

    Args:
        features: float [P, F].
        right: bool [P].
        share: float [P]: how much each pixel counts, with a mean of 1.
        names: of the features.
    """
    columns = features.double().numpy().T
    knots = [_knots(column, share) for column in columns]
    shapes = [_hinges(*pair) for pair in zip(columns, knots, strict=True)]
    design = np.concatenate([np.ones((len(right), 1)), *shapes], axis=1)
    regression = LogisticRegression(
        C=1 / (RIDGE * len(right)), solver="newton-cholesky", fit_intercept=False, tol=1e-8
    )
    [found] = regression.fit(design, right, sample_weight=share).coef_
    terms, first = {}, 1
    for name, at in zip(names, knots, strict=True):
        values = _hinges(at, at) @ found[first : first + len(at) - 1]
        terms[name] = [(round(x, 3), round(y, 3)) for x, y in zip(at, values, strict=True)]
        first += len(at) - 1
    return AdditiveModel(round(float(found[0]), 3), terms)


def _knots(column: np.ndarray, share: np.ndarray) -> np.ndarray:
    """The ends of the straight lines of a feature's term."""
    order = column.argsort()
    total = share[order].cumsum()
    at = column[order][np.searchsorted(total, np.array(QUANTILES) * total[-1])]
    found: np.ndarray = np.unique(at.round(3))
    return found


def _hinges(column: np.ndarray, knots: np.ndarray) -> np.ndarray:
    """A basis of the continuous functions that are linear between knots, float [P, K - 1].

    They are 0 at the first knot. The first is a straight line, each other one begins at a knot.
    """
    inside = column.clip(knots[0], knots[-1])[:, None]
    found: np.ndarray = (inside - knots[:-1]).clip(0) / (knots[-1] - knots[0])
    return found
