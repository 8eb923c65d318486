"""One pass of Riemannian stochastic gradient descent over (node, ancestor) pairs, compiled: three geometries, one loss.

For a positive pair (u, v) and K nodes w that are not above u the loss of Nickel and Kiela (2017) is

    L = s(u, v) + ln( exp(-s(u, v)) + sum_w exp(-s(u, w)) )

with s the distance (flat space: its square, or the distance plus a number of the candidate's own, its bias). Each
sample moves u, v and every w at once. In curved space exp(-d) needs neither logarithm nor exponential: with
delta = cosh(d) - 1 it is 1 / (1 + delta + sqrt(delta (delta + 2))), which is most of the speed.

Axis legend: N points, E embedding dim, M positive pairs, K negatives.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit
from numpy.typing import NDArray

Points = NDArray[np.floating[Any]]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Kernel = TypeVar("Kernel", bound=Callable[..., Any])

# splitmix64 (Steele, Lea and Flood 2014): a good generator whose whole state is one number.
_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_SHIFT_30, _SHIFT_27, _SHIFT_31, _SHIFT_32 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(32)
# A negative is given up after so many draws that hit ancestors: a node may have hardly anything else.
_TRIES = 64
# Stands in for the length of the centre, which has no direction.
_TINY = 1e-150


def compiled(function: Kernel, fastmath: bool = False) -> Kernel:
    """Compile with numba; kept on disk where a folder allows it, as in `dynamics`, else anew in every process."""
    options: dict[str, Any] = {"error_model": "numpy", "nogil": True, "fastmath": fastmath}
    try:
        return cast(Kernel, njit(cache=True, **options)(function))
    except RuntimeError:
        warnings.warn(
            "no folder for compiled code can be written, so it is compiled anew in every process; "
            "set NUMBA_CACHE_DIR to a folder that can be written",
            RuntimeWarning,
            stacklevel=3,
        )
        return cast(Kernel, njit(**options)(function))


@compiled
def _draw(state: np.uint64, count: int) -> tuple[np.int64, np.uint64]:
    """The next random position below `count`, and the state after it."""
    state = state + _GAMMA
    bits = state
    bits = (bits ^ (bits >> _SHIFT_30)) * _MIX_1
    bits = (bits ^ (bits >> _SHIFT_27)) * _MIX_2
    bits = (bits ^ (bits >> _SHIFT_31)) >> _SHIFT_32
    return np.int64((bits * np.uint64(count)) >> _SHIFT_32), state


@compiled
def _candidates(
    u: int,
    v: int,
    above_start: Ints,
    above: Ints,
    mark: Ints,
    stamp: int,
    wanted: Ints,
    count: int,
    state: np.uint64,
) -> tuple[int, np.uint64]:
    """Fill `wanted` with v and then nodes that are neither u nor above it; returns how many, and the state."""
    mark[u] = stamp
    for place in range(above_start[u], above_start[u + 1]):
        mark[above[place]] = stamp
    wanted[0] = v
    found = 1
    for _ in range(len(wanted) - 1):
        for _ in range(_TRIES):
            w, state = _draw(state, count)
            if mark[w] != stamp:
                wanted[found] = w
                found += 1
                break
    return found, state


@compiled
def poincare_pass(
    points: Points,
    pairs: Ints,
    above_start: Ints,
    above: Ints,
    negatives: int,
    rates: tuple[float, float],
    limit: float,
    seed: np.uint64,
) -> tuple[float, int]:
    """Walk once over the pairs in the Poincaré ball: x <- x - rate (1 - |x|^2)^2 / 4 grad, pulled back to the limit.

    Args:
        points: [N, E] float32 or float64, changed in place.
        pairs: [M, 2] int, (node, ancestor), in the order of the walk.
        above_start: [N + 1] int; the nodes that are never drawn for u are above[above_start[u]:above_start[u + 1]].
        above: [total] int.
        negatives: K, with replacement.
        rates: learning rate of the first and of the last pair; linear between.
        limit: greatest allowed |x|.
        seed: uint64 of the draws.

    Returns:
        The mean loss, and how many candidates were compared.
    """
    count = len(points)
    wanted = np.empty(negatives + 1, dtype=np.int64)
    mark = np.full(count, -1, dtype=np.int64)
    scratch = np.empty((4, negatives + 1))
    here, slope = np.empty(points.shape[1]), np.empty(points.shape[1])
    state, total, compared = seed, 0.0, 0
    for sample in range(len(pairs)):
        u = pairs[sample, 0]
        rate = rates[0] + (rates[1] - rates[0]) * sample / len(pairs)
        found, state = _candidates(u, pairs[sample, 1], above_start, above, mark, sample, wanted, count, state)
        total += _poincare_sample(points, u, wanted[:found], scratch, here, slope, rate, limit)
        compared += found
    return total / len(pairs), compared


@compiled
def _poincare_sample(
    points: Points, u: int, wanted: Ints, scratch: Floats, here: Floats, slope: Floats, rate: float, limit: float
) -> float:
    """Move one node and its candidates; returns the loss before."""
    delta, root, closeness, gaps = scratch
    gap = 1.0
    for k in range(len(here)):
        here[k] = points[u, k]
        gap -= here[k] * here[k]
        slope[k] = 0.0
    mass = 0.0
    for j in range(len(wanted)):
        square, other = 0.0, 1.0
        for k in range(len(here)):
            x = np.float64(points[wanted[j], k])
            square += (here[k] - x) * (here[k] - x)
            other -= x * x
        gaps[j] = other
        delta[j] = 2.0 * square / (gap * other)
        root[j] = np.sqrt(delta[j] * (delta[j] + 2.0)) + 1e-15
        closeness[j] = 1.0 / (1.0 + delta[j] + root[j])
        mass += closeness[j]
    along = 0.0
    for j in range(len(wanted)):
        w, other = wanted[j], gaps[j]
        pull = ((1.0 if j == 0 else 0.0) - closeness[j] / mass) / root[j]
        # d delta / dx = 4 / (gap_u gap_x) ((x - u) + |x - u|^2 x / gap_x); its last factor is delta gap_u / 2.
        step, own = rate * pull * other / gap, 1.0 + 0.5 * delta[j] * gap
        norm = 0.0
        for k in range(len(here)):
            x = np.float64(points[w, k])
            slope[k] -= pull * gap / other * x
            x -= step * (own * x - here[k])
            points[w, k] = x
            norm += x * x
        along += pull * gap / other * (1.0 + 0.5 * delta[j] * other)
        _back_in_ball(points, w, norm, limit)
    norm = 0.0
    for k in range(len(here)):
        x = here[k] - rate * (along * here[k] + slope[k])
        points[u, k] = x
        norm += x * x
    _back_in_ball(points, u, norm, limit)
    loss: float = np.log(mass / closeness[0])
    return loss


@compiled
def _back_in_ball(points: Points, row: int, square: float, limit: float) -> None:
    if square > limit * limit:
        shrink = limit / np.sqrt(square)
        for k in range(points.shape[1]):
            points[row, k] *= shrink


@compiled
def lorentz_pass(
    points: Points,
    pairs: Ints,
    above_start: Ints,
    above: Ints,
    negatives: int,
    rates: tuple[float, float],
    limit: float,
    seed: np.uint64,
) -> tuple[float, int]:
    """Walk once over the pairs on the hyperboloid; arguments as in `poincare_pass`, `limit` the greatest x0.

    With n = |x1..xd| and e^r = x0 + n, cosh(d) - 1 = (q - 1)^2 / (2 q) + n_x n_y |x/n_x - y/n_y|^2 / 2 with
    q = e^(r_x - r_y): nothing large is subtracted, so that the hyperboloid reaches as far as the ball.

    A tangent step w of length t leads to (1 + t^2/2) x + sqrt(1 + t^2/4) w, which lies on the hyperboloid exactly,
    2 asinh(t/2) away: the exponential map up to t^3/24, without its functions.
    """
    count = len(points)
    wanted = np.empty(negatives + 1, dtype=np.int64)
    mark = np.full(count, -1, dtype=np.int64)
    scratch = np.empty((3, negatives + 1))
    here, slope = np.empty(points.shape[1]), np.empty(points.shape[1])
    state, total, compared = seed, 0.0, 0
    for sample in range(len(pairs)):
        u = pairs[sample, 0]
        rate = rates[0] + (rates[1] - rates[0]) * sample / len(pairs)
        found, state = _candidates(u, pairs[sample, 1], above_start, above, mark, sample, wanted, count, state)
        total += _lorentz_sample(points, u, wanted[:found], scratch, here, slope, rate, limit)
        compared += found
    return total / len(pairs), compared


@compiled
def _lorentz_sample(
    points: Points, u: int, wanted: Ints, scratch: Floats, here: Floats, slope: Floats, rate: float, limit: float
) -> float:
    """Move one node and its candidates; returns the loss before."""
    delta, root, closeness = scratch
    square, width = 0.0, len(here)
    for k in range(width):
        here[k] = points[u, k]
        slope[k] = 0.0
        square += here[k] * here[k] if k else 0.0
    norm = np.sqrt(square) + _TINY
    mass = 0.0
    for j in range(len(wanted)):
        delta[j] = _cosh_minus_one(points, wanted[j], here, norm)
        root[j] = np.sqrt(delta[j] * (delta[j] + 2.0)) + 1e-15
        closeness[j] = 1.0 / (1.0 + delta[j] + root[j])
        mass += closeness[j]
    along = 0.0
    for j in range(len(wanted)):
        w = wanted[j]
        pull = (1.0 if j == 0 else 0.0) - closeness[j] / mass
        length = rate * pull
        side = -np.sqrt(1.0 + 0.25 * length * length) * length / root[j]
        own = 1.0 + 0.5 * length * length + side * (1.0 + delta[j])
        square = 0.0
        for k in range(1, width):
            x = np.float64(points[w, k])
            slope[k] -= pull / root[j] * x
            x = own * x - side * here[k]
            points[w, k] = x
            square += x * x
        along += pull / root[j] * (1.0 + delta[j])
        _back_on_sheet(points, w, square, limit)
    _step_on_sheet(points, u, here, slope, along, norm, rate, limit)
    loss: float = np.log(mass / closeness[0])
    return loss


@compiled
def _cosh_minus_one(points: Points, row: int, here: Floats, norm: float) -> float:
    """cosh(d) - 1 of a stored point and `here`, whose space-like part has the length `norm`."""
    square = 0.0
    for k in range(1, points.shape[1]):
        square += np.float64(points[row, k]) * np.float64(points[row, k])
    other = np.sqrt(square) + _TINY
    # Multiplied rather than divided: most of the speed of this geometry.
    one, two = 1.0 / norm, 1.0 / other
    across = 0.0
    for k in range(1, points.shape[1]):
        away = here[k] * one - np.float64(points[row, k]) * two
        across += away * away
    ratio = (here[0] + norm) / (np.sqrt(1.0 + square) + other)
    excess: float = 0.5 * ((ratio - 1.0) * (ratio - 1.0) / ratio + norm * other * across)
    return excess


@compiled
def _step_on_sheet(
    points: Points, row: int, here: Floats, slope: Floats, along: float, norm: float, rate: float, limit: float
) -> None:
    """Move `here` against the tangent vector whose space-like part is slope + along * here."""
    radial = 0.0
    for k in range(1, len(here)):
        slope[k] += along * here[k]
        radial += slope[k] * here[k] / norm
    # Its length: the radial part counts 1 / x0^2, and is taken off first because it is as large as x0.
    square = (radial / here[0]) ** 2
    for k in range(1, len(here)):
        away = slope[k] - radial * here[k] / norm
        square += away * away
    own, side = 1.0 + 0.5 * rate * rate * square, -rate * np.sqrt(1.0 + 0.25 * rate * rate * square)
    square = 0.0
    for k in range(1, len(here)):
        x = own * here[k] + side * slope[k]
        points[row, k] = x
        square += x * x
    _back_on_sheet(points, row, square, limit)


@compiled
def _back_on_sheet(points: Points, row: int, square: float, limit: float) -> None:
    """Set x0 = sqrt(1 + |x|^2), with |x| drawn in where x0 would pass the limit."""
    most = limit * limit - 1.0
    if square > most:
        shrink = np.sqrt(most / square)
        for k in range(1, points.shape[1]):
            points[row, k] *= shrink
        square = most
    points[row, 0] = np.sqrt(1.0 + square)


@compiled
def euclidean_pass(
    points: Points,
    bias: Points,
    squared: bool,
    pairs: Ints,
    above_start: Ints,
    above: Ints,
    negatives: int,
    rates: tuple[float, float],
    seed: np.uint64,
) -> tuple[float, int]:
    """Walk once over the pairs in flat space; arguments as in `poincare_pass`.

    Args:
        bias: [N] changed in place, the score of candidate w is |u - w| + bias[w]; empty for none.
        squared: score by |u - w|^2 instead of |u - w|.
    """
    count = len(points)
    wanted = np.empty(negatives + 1, dtype=np.int64)
    mark = np.full(count, -1, dtype=np.int64)
    scratch = np.empty((2, negatives + 1))
    here, slope = np.empty(points.shape[1]), np.empty(points.shape[1])
    state, total, compared = seed, 0.0, 0
    for sample in range(len(pairs)):
        u = pairs[sample, 0]
        rate = rates[0] + (rates[1] - rates[0]) * sample / len(pairs)
        found, state = _candidates(u, pairs[sample, 1], above_start, above, mark, sample, wanted, count, state)
        total += _euclidean_sample(points, bias, squared, u, wanted[:found], scratch, here, slope, rate)
        compared += found
    return total / len(pairs), compared


@compiled
def _euclidean_sample(
    points: Points,
    bias: Points,
    squared: bool,
    u: int,
    wanted: Ints,
    scratch: Floats,
    here: Floats,
    slope: Floats,
    rate: float,
) -> float:
    """Move one node and its candidates; returns the loss before."""
    root, score = scratch
    for k in range(len(here)):
        here[k] = points[u, k]
        slope[k] = 0.0
    least = np.inf
    for j in range(len(wanted)):
        square = 0.0
        for k in range(len(here)):
            away = here[k] - np.float64(points[wanted[j], k])
            square += away * away
        # What a step of length one divides by: d|x| = x/|x|, d|x|^2 = 2 x.
        root[j] = 0.5 if squared else np.sqrt(square) + 1e-15
        score[j] = square if squared else root[j]
        if len(bias):
            score[j] += bias[wanted[j]]
        least = min(least, score[j])
    mass, first = 0.0, score[0] - least
    for j in range(len(wanted)):
        score[j] = np.exp(least - score[j])
        mass += score[j]
    for j in range(len(wanted)):
        w = wanted[j]
        pull = (1.0 if j == 0 else 0.0) - score[j] / mass
        step = pull / root[j]
        for k in range(len(here)):
            away = here[k] - np.float64(points[w, k])
            slope[k] += step * away
            points[w, k] += rate * step * away
        if len(bias):
            bias[w] -= rate * pull
    for k in range(len(here)):
        points[u, k] = here[k] - rate * slope[k]
    loss: float = first + np.log(mass)
    return loss
