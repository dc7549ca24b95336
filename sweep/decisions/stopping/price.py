"""The price: the most that a flag may risk for what it saves, so that the allowance goes far."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Offers:
    """What could have been stopped among the finished runs: at each look a chance and a saving."""

    chances: Array  # [L, n] left-out chances; inf where a flag is out of the question
    remaining: Array  # [L] share of a run that a flag at the look saves
    weights: Array  # [n]

    def price(self, allowance: float) -> float:
        """The price at which so many new runs as these would use up ``allowance``.

        It is a chance of passing over the share of a run that is saved; inf if all may be flagged.
        A run is flagged at its first look that costs no more. Late flags save little: where they
        risk no less than early ones, one price for all buys the most (the relaxed knapsack
        problem: Dantzig 1957). At the price itself more may be on offer than can be afforded: the
        ledger says when the allowance is gone.

        Args:
            allowance: the sum of the chances that may be flagged.
        """
        prices = self.chances / self.remaining[:, None]
        offered = np.unique(prices[np.isfinite(prices)])
        within = bisect_right(offered, allowance, key=lambda price: self._cost(prices, price))
        return math.inf if within == len(offered) else float(offered[within])

    def _cost(self, prices: Array, price: float) -> float:
        """The chances flagged at ``price``, summed; it grows with the price."""
        flagged = prices <= price
        first = flagged.argmax(axis=0)
        chances = self.chances[first, np.arange(len(first))]
        return float(self.weights @ np.where(flagged.any(axis=0), chances, 0.0))
