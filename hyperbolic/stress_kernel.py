"""The loss that flat points are fitted by, and its gradient, compiled: all pairs of points, one row at a time.

Axis legend: N points, E embedding dim.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from hyperbolic.kernels import compiled

Floats = NDArray[np.float64]

# Added to every square: the slope of coincident points stays finite, and its root is far below any target.
_FLOOR = 1e-24


# Sums in any order: otherwise no two numbers would be added at once.
@partial(compiled, fastmath=True)
def loss_of_pairs(points: Floats, closeness: Floats, rounding: float, slope: Floats) -> float:
    """With m_ij = d_ij / t_ij - 1: the sum over i < j of m_ij^2, or of sqrt(m_ij^2 + rounding^2).

    Args:
        points: [E, N], a coordinate a row: every loop runs along neighbouring numbers.
        closeness: [N, N], 1/t.
        rounding: 0 for squares.
        slope: [E, N], filled with the derivative by every coordinate.
    """
    width, count = points.shape
    slope[:] = 0.0
    room = np.empty(count)
    value = 0.0
    for i in range(count - 1):
        rest = count - i - 1
        pull, near = room[:rest], closeness[i, i + 1 :]
        pull[:] = 0.0
        for k in range(width):
            here, others = points[k, i], points[k, i + 1 :]
            for j in range(rest):
                pull[j] += (here - others[j]) * (here - others[j])
        if rounding > 0.0:
            for j in range(rest):
                distance = np.sqrt(pull[j] + _FLOOR)
                miss = distance * near[j] - 1.0
                rounded = np.sqrt(miss * miss + rounding * rounding)
                value += rounded
                pull[j] = miss * near[j] / (rounded * distance)
        else:
            for j in range(rest):
                distance = np.sqrt(pull[j] + _FLOOR)
                miss = distance * near[j] - 1.0
                value += miss * miss
                pull[j] = 2.0 * miss * near[j] / distance
        for k in range(width):
            here, own, others, theirs = points[k, i], 0.0, points[k, i + 1 :], slope[k, i + 1 :]
            for j in range(rest):
                step = pull[j] * (here - others[j])
                own += step
                theirs[j] -= step
            slope[k, i] += own
    return value
