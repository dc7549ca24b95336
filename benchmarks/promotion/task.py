"""A file of learning curves, and the same curves as trials with a joint threshold.

The format is described in ``benchmarks/promotion/README.md``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

REQUIRED = ("curves", "metrics", "higher_is_better", "config")


@dataclass(frozen=True)
class Task:
    """Recorded runs of one task, judged by one threshold for each metric."""

    name: str
    slacks: Array  # [N, P, J] signed distance to the threshold over its size; NaN as recorded
    joint: Array  # [N, P] the smallest slack of a point, -inf where one is not a number
    objective: Array  # [N, P] the first metric, more is better
    passes: npt.NDArray[np.bool_]  # [N] whether some point passes every threshold
    config: npt.NDArray[np.int64]  # [N]
    lr: Array | None  # [N, P] learning rate over its peak, NaN where unknown
    loss_weights: Array | None  # [N, P, W] weights of the loss terms

    @property
    def points(self) -> int:
        """Points of a whole run."""
        return self.joint.shape[1]


def load(path: Path, pass_rate: float) -> Task:
    """The task of a file at thresholds that the share ``pass_rate`` of its runs pass.

    Thresholds are the file's own where its ``rates`` has ``pass_rate``. Else they are computed: the
    same quantile of both metrics' best values, chosen so that the share of runs with a point that
    passes both is the nearest to ``pass_rate``.

    Raises:
        ValueError: an array is missing or has the wrong shape, or ``pass_rate`` is not in (0, 1).
    """
    if not 0 < pass_rate < 1:
        raise ValueError(f"--pass-rate must be between 0 and 1, got {pass_rate}")
    with np.load(path) as file:
        missing = [name for name in REQUIRED if name not in file.files]
        if missing:
            raise ValueError(f"{path} lacks {', '.join(missing)}; see benchmarks/promotion")
        arrays = {name: file[name] for name in file.files}
    curves = arrays["curves"].astype(np.float64)
    if curves.ndim != 3 or len(arrays["config"]) != len(curves):
        raise ValueError(f"{path}: curves must be [N, P, J], one config a run; got {curves.shape}")
    signed = np.where(arrays["higher_is_better"], curves, -curves)
    signed = np.where(np.isfinite(signed), signed, np.nan)
    bounds = _thresholds(arrays, signed, pass_rate)
    slacks = (signed - bounds) / np.where(bounds == 0, 1.0, np.abs(bounds))
    joint = np.nan_to_num(slacks, nan=-np.inf).min(axis=2)
    return Task(
        name=path.stem,
        slacks=slacks,
        joint=joint,
        objective=np.nan_to_num(signed[:, :, 0], nan=-np.inf),
        passes=joint.max(axis=1) >= 0,
        config=arrays["config"].astype(np.int64),
        lr=_known(arrays.get("lr")),
        loss_weights=_known(arrays.get("loss_weights")),
    )


def _thresholds(arrays: dict[str, np.ndarray], signed: Array, pass_rate: float) -> Array:
    rates = arrays.get("rates", np.empty(0))
    near = np.flatnonzero(np.isclose(rates, pass_rate))
    if near.size and "thresholds_best" in arrays:
        bounds = arrays["thresholds_best"][near[0]][: signed.shape[2]].astype(np.float64)
        return np.where(arrays["higher_is_better"], bounds, -bounds)
    filled = np.nan_to_num(signed, nan=-np.inf)
    best = filled.max(axis=1)
    levels = np.linspace(0.0, 1.0, 401)
    candidates = [np.quantile(best, level, axis=0, method="lower") for level in levels]
    shares = [float(((filled >= bound).all(axis=2)).any(axis=1).mean()) for bound in candidates]
    return candidates[int(np.argmin(np.abs(np.array(shares) - pass_rate)))]


def _known(array: np.ndarray | None) -> Array | None:
    if array is None or np.isnan(array).all():
        return None
    return array.astype(np.float64)
