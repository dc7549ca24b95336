"""How sure an estimate is that it lies within two 256ths of the atlas of the truth.

A generalised additive model (Hastie and Tibshirani 1986): the log odds are a sum of one piecewise
linear function of each feature. It was fitted to rendered sets, whose true maps are known, by
``python -m benchmarks.maps calibrate``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
import torch
from torch import Tensor

from uvtex.imaging.map_estimation.certainty.support import Support

WITHIN = 2.0
"""The error that a confidence is about, in a 256th of the atlas."""
FITTED = "confidence.json"
"""The fitted model, beside this module."""


@dataclass(frozen=True)
class AdditiveModel:
    """Log odds as a sum of piecewise linear functions."""

    intercept: float
    terms: Mapping[str, Sequence[tuple[float, float]]]
    """For each feature of :class:`Support`, in its order: pairs of a value and its log odds.

    Between two values the log odds are a straight line, and outside they stay.
    """

    @classmethod
    def parse(cls, text: str) -> AdditiveModel:
        """Reads what :meth:`text` has written.

        Raises:
            ValueError: it is no such text, or the features are not those of :class:`Support`.
        """
        try:
            parts = json.loads(text)
            intercept = float(parts["intercept"])
            terms = {name: np.array(term, float) for name, term in parts["terms"].items()}
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"this is no fitted model: {error}") from error
        if list(terms) != Support.names():
            raise ValueError(f"the features must be {', '.join(Support.names())}")
        for name, term in terms.items():
            pairs = term.ndim == 2 and term.shape[1] == 2 and len(term) > 0
            if not pairs or not np.isfinite([intercept, *term.flat]).all():
                raise ValueError(f"{name}: needs pairs of finite numbers")
            if (np.diff(term[:, 0]) <= 0).any():
                raise ValueError(f"{name}: the values must rise")
        return cls(intercept, {name: [(x, y) for x, y in t.tolist()] for name, t in terms.items()})

    def text(self) -> str:
        """The model as JSON, a line for each feature."""
        terms = [f"    {json.dumps(name)}: {json.dumps(term)}" for name, term in self.terms.items()]
        lines = ",\n".join(terms)
        return f'{{\n  "intercept": {self.intercept},\n  "terms": {{\n{lines}\n  }}\n}}\n'

    def probability(self, features: Tensor) -> Tensor:
        """The probability of each of P pixels by its features [P, F]: float [P]."""
        odds = np.full(len(features), float(self.intercept))
        for column, term in zip(features.numpy().T, self.terms.values(), strict=True):
            odds += np.interp(column, *np.transpose(term))
        return torch.sigmoid(torch.from_numpy(odds)).float()


@cache
def fitted_model() -> AdditiveModel:
    """The model that was fitted to rendered sets of three cars."""
    return AdditiveModel.parse(resources.files(__package__).joinpath(FITTED).read_text("utf-8"))


def confidence(told: Support) -> Tensor:
    """The probability that a pixel's position is within WITHIN of the truth, float [P]."""
    return fitted_model().probability(told.features())
