"""A file of learning curves, and the same curves as trials with a joint threshold.

The format is described in ``benchmarks/promotion/README.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from numpy.lib.npyio import NpzFile

from uvtex.console import FiniteRange
from uvtex.errors import DataError

Array = npt.NDArray[np.float64]

REQUIRED = ("curves", "metrics", "higher_is_better", "config")
OPTIONAL = ("lr", "loss_weights", "rates", "thresholds_best")

FORMAT = "see The file format in benchmarks/promotion/README.md"

PASS_RATE = FiniteRange(0, 1, min_open=True, max_open=True)
"""The type of an option that takes a pass rate."""


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
    same quantile of all metrics' best values, chosen so that the share of runs with a point that
    passes all is the nearest to ``pass_rate``.

    Raises:
        DataError: the file cannot be read, or an array is missing or not as the format asks.
        ValueError: ``pass_rate`` is not in (0, 1).
    """
    if not 0 < pass_rate < 1:
        raise ValueError(f"the pass rate must be between 0 and 1, got {pass_rate}")
    arrays = _read(path)
    problem = next(_problems(arrays), None)
    if problem:
        raise DataError(f"{path}: {problem}; {FORMAT}")
    curves = arrays["curves"].astype(np.float64)
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


def _read(path: Path) -> dict[str, np.ndarray]:
    """The arrays of the format that the file has."""
    with path.open("rb") as opened:
        try:
            with _npz(opened) as file:
                found = {name: file[name] for name in REQUIRED + OPTIONAL if name in file.files}
        except Exception as error:  # zipfile, zlib and numpy raise many kinds for a damaged file
            reason = str(error) or type(error).__name__
            raise DataError(
                f"{path} cannot be read as an .npz file ({reason}); it is cut, damaged or of "
                f"another kind: copy or write it again, {FORMAT}"
            ) from error
    missing = [name for name in REQUIRED if name not in found]
    if missing:
        raise DataError(f"{path} lacks {', '.join(missing)}; {FORMAT}")
    return found


def _npz(opened: BinaryIO) -> NpzFile:
    if opened.read(2) != b"PK":
        raise ValueError("it does not start like a zip archive")
    opened.seek(0)
    loaded: NpzFile = np.load(opened, allow_pickle=False)
    return loaded


def _problems(arrays: dict[str, np.ndarray]) -> Iterator[str]:
    """What is not as the format asks, the first first. Later checks rely on earlier ones."""
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray):  # numpy returns the bytes of other members
            yield f"{name} is not an array"
        elif (
            name not in ("metrics", "higher_is_better", "config") and array.dtype.kind not in "fiu"
        ):
            yield f"{name} must be real numbers, got {array.dtype}"
    shape = arrays["curves"].shape
    if len(shape) != 3:
        yield f"curves must be [N, P, J], got {_shape(arrays['curves'])}"
    if 0 in shape:
        yield f"curves must have at least one run, point and metric, got {_shape(arrays['curves'])}"
    runs, points, metrics = shape
    for name, wanted, meaning in (
        ("metrics", (metrics,), "one name a metric of curves"),
        ("higher_is_better", (metrics,), "one value a metric of curves"),
        ("config", (runs,), "one a run of curves"),
        ("lr", (runs, points), "one value a run and point of curves"),
    ):
        if name in arrays and arrays[name].shape != wanted:
            yield f"{name} must be {list(wanted)}, {meaning}, got {_shape(arrays[name])}"
    higher = arrays["higher_is_better"]
    if higher.dtype.kind not in "biuf" or not np.isin(higher, (0, 1)).all():
        yield f"higher_is_better must be true or false (or 1 or 0), got {higher.tolist()}"
    if arrays["config"].dtype.kind not in "iu":
        yield f"config must be integers, got {arrays['config'].dtype}"
    weights = arrays.get("loss_weights")
    if weights is not None and (weights.ndim != 3 or weights.shape[:2] != (runs, points)):
        yield f"loss_weights must be [{runs}, {points}, W], as curves, got {_shape(weights)}"
    rates, bounds = arrays.get("rates"), arrays.get("thresholds_best")
    if rates is not None and rates.ndim != 1:
        yield f"rates must be [R], got {_shape(rates)}"
    if bounds is None:
        return
    if bounds.ndim != 2 or bounds.shape[1] < metrics:
        yield f"thresholds_best must be [R, {metrics} or more], got {_shape(bounds)}"
    if rates is not None and len(rates) != len(bounds):
        yield f"thresholds_best must have a row for each of {len(rates)} rates, got {len(bounds)}"
    if not np.isfinite(bounds[:, :metrics]).all():
        yield "thresholds_best must be finite"


def _shape(array: np.ndarray) -> str:
    return str(list(array.shape))


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
