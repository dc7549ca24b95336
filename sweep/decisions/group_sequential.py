"""A one-sided test that may look after each replicate, at an error of 5 % over all looks together.

The replicates are x_1, x_2, ... Their standard deviation s was measured on other runs, with nu
degrees of freedom. The statistic after k replicates is ``T_k = sqrt(k) mean(x) / s``. The test
rejects "the mean is at most 0" at the first k with ``T_k >= c_k``. The boundary has the shape of
O'Brien and Fleming (Biometrics 35, 1979): ``c_k = C sqrt(K / k)`` for at most K replicates. So it
is strict at first, and close to a fixed test at the end.

With S_k the sum of x_1 to x_k, the test rejects exactly if ``max_k S_k >= C sqrt(K) s``. C solves
P(that | mean 0) = 5 %. For a known s, recursive quadrature gives this probability (Armitage,
McPherson and Rowe, J. R. Statist. Soc. A 132, 1969; Jennison and Turnbull, "Group Sequential
Methods", 2000, chapter 19). For an estimated s it is averaged over ``nu s^2 ~ chi^2(nu)``.
``python -m benchmarks.group_sequential`` makes the table and checks it by simulation.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import special

ERROR = 0.05
"""Probability, over all looks together, that the test admits a mean that is exactly 0."""

MOST = 8
"""The largest number of replicates in the table."""

TABLE: dict[float, tuple[float, ...]] = {
    1: (6.3138, 7.6445, 8.3604, 8.8290, 9.1678, 9.4280, 9.6363, 9.8081),
    2: (2.9200, 3.1952, 3.3459, 3.4458, 3.5186, 3.5749, 3.6201, 3.6575),
    3: (2.3534, 2.5045, 2.5921, 2.6515, 2.6954, 2.7296, 2.7572, 2.7802),
    4: (2.1319, 2.2410, 2.3078, 2.3540, 2.3883, 2.4152, 2.4371, 2.4552),
    5: (2.0151, 2.1038, 2.1607, 2.2005, 2.2304, 2.2538, 2.2728, 2.2887),
    6: (1.9432, 2.0200, 2.0712, 2.1074, 2.1346, 2.1560, 2.1735, 2.1880),
    7: (1.8946, 1.9636, 2.0111, 2.0450, 2.0706, 2.0907, 2.1070, 2.1207),
    8: (1.8596, 1.9232, 1.9681, 2.0004, 2.0247, 2.0439, 2.0596, 2.0726),
    9: (1.8332, 1.8927, 1.9358, 1.9669, 1.9904, 2.0089, 2.0240, 2.0366),
    10: (1.8125, 1.8690, 1.9106, 1.9408, 1.9636, 1.9816, 1.9963, 2.0085),
    12: (1.7823, 1.8343, 1.8740, 1.9029, 1.9248, 1.9420, 1.9561, 1.9678),
    15: (1.7531, 1.8009, 1.8387, 1.8664, 1.8874, 1.9039, 1.9174, 1.9286),
    20: (1.7248, 1.7686, 1.8047, 1.8312, 1.8513, 1.8672, 1.8801, 1.8909),
    30: (1.6973, 1.7374, 1.7718, 1.7973, 1.8166, 1.8318, 1.8442, 1.8546),
    60: (1.6707, 1.7072, 1.7402, 1.7646, 1.7831, 1.7978, 1.8097, 1.8197),
    math.inf: (1.6449, 1.6780, 1.7097, 1.7331, 1.7509, 1.7649, 1.7764, 1.7860),
}
"""Degrees of freedom -> C for K = 1..8. ``math.inf``: the standard deviation is known."""

Array = npt.NDArray[np.float64]
_WALK_NODES = 72


def critical(k: int, most: int, degrees: float) -> float:
    """c_k, the value that T_k has to reach after ``k`` of at most ``most`` replicates.

    Between two rows of the table, C is linear in 1/nu. C is a convex function of 1/nu, so this is
    never below the exact value.

    Raises:
        ValueError: ``k`` is not 1 to ``most``, ``most`` is not 1 to 8, or ``degrees`` is below 1.
    """
    if not 1 <= most <= MOST:
        raise ValueError(f"replicates must be 1 to {MOST}, got {most}")
    if not 1 <= k <= most:
        raise ValueError(f"a look must be after 1 to {most} replicates, got {k}")
    if not degrees >= 1:
        raise ValueError(f"degrees of freedom must be at least 1, got {degrees:g}")
    rows = sorted(TABLE, reverse=True)  # 1/nu rises
    constant = np.interp(1 / degrees, [1 / nu for nu in rows], [TABLE[nu][most - 1] for nu in rows])
    return float(constant) * math.sqrt(most / k)


def admission_probability(distance: float, most: int, degrees: float) -> float:
    """Probability that the test admits a mean of ``distance`` standard deviations.

    The stop for futility is not counted. It costs about one percent of power, see
    :data:`sweep.decisions.replicates.FUTILITY`.
    """
    return crossing(critical(most, most, degrees), most, degrees, distance)


def crossing(
    constant: float, most: int, degrees: float, drift: float = 0.0, nodes: int = 24
) -> float:
    """P(max over k = 1..``most`` of S_k >= ``constant`` sqrt(``most``) s).

    Args:
        constant: C, greater than 0.
        degrees: degrees of freedom of s; infinite: s is 1.
        drift: the mean of a step of S, whose standard deviation is 1.
        nodes: values of s over which the probability is averaged. 24 are exact to 0.0002.
    """
    boundary = constant * math.sqrt(most)
    if math.isinf(degrees):
        return _walk_reaches(boundary, most, drift)
    points, weights = np.polynomial.legendre.leggauss(nodes)
    spreads = np.sqrt(special.chdtri(degrees, (1 - points) / 2) / degrees)
    reached = [_walk_reaches(boundary * float(s), most, drift) for s in spreads]
    return float(np.dot(weights / 2, reached))


def _walk_reaches(boundary: float, steps: int, drift: float) -> float:
    """P(a Gaussian random walk reaches ``boundary`` > 0 within ``steps``)."""
    low = min(0.0, steps * drift) - 8 * math.sqrt(steps)
    nodes, weights = np.polynomial.legendre.leggauss(_WALK_NODES)
    x = low + (boundary - low) * (nodes + 1) / 2
    weight = weights * (boundary - low) / 2
    below = _density(x - drift)  # of S_1, where it has not reached the boundary
    step = _density(x[:, None] - x[None, :] - drift) * weight
    for _ in range(steps - 1):
        below = step @ below
    return min(1.0, max(0.0, 1 - float(weight @ below)))


def _density(x: Array) -> Array:
    density: Array = np.exp(-x * x / 2) / math.sqrt(2 * math.pi)
    return density
