"""Numbers of twice the precision of float64, as whole arrays: each is the exact sum of a high and a low part.

Some 32 decimal digits, a few dozen times the cost of float64. Serves where positions next to the rim of the Poincaré
ball are computed: at radius 36 the gap to the rim is 1e-15 and its products are 1e-31, of which 1e-32 is left to tell.

Source: Dekker 1971 (products), Knuth (sums); Hida, Li and Bailey 2001 (the rest).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

# Veltkamp's constant: splits a float64 into two halves whose products are exact.
_SPLIT = float(2**27 + 1)


@dataclass(frozen=True, eq=False)
class Twofold:
    """high + low, where low is below half a unit in the last place of high; arrays of one shape."""

    high: Floats
    low: Floats

    def __add__(self, other: Twofold) -> Twofold:
        total, error = _two_sum(self.high, other.high)
        return _renewed(total, error + (self.low + other.low))

    def __neg__(self) -> Twofold:
        return Twofold(-self.high, -self.low)

    def __sub__(self, other: Twofold) -> Twofold:
        return self + (-other)

    def __mul__(self, other: Twofold) -> Twofold:
        product, error = _two_product(self.high, other.high)
        return _renewed(product, error + (self.high * other.low + self.low * other.high))

    def __truediv__(self, other: Twofold) -> Twofold:
        first = self.high / other.high
        rest = self - other * twofold(first)
        second = rest.high / other.high
        rest = rest - other * twofold(second)
        return _renewed(*_two_sum(first, second)) + twofold(rest.high / other.high)

    def __getitem__(self, index: Any) -> Twofold:
        return Twofold(self.high[index], self.low[index])

    def sqrt(self) -> Twofold:
        """The square root of positive numbers."""
        root = np.sqrt(self.high)
        rest = self - twofold(root) * twofold(root)
        return _renewed(*_two_sum(root, rest.high / (2.0 * root)))

    def sum(self) -> Twofold:
        """The sum along the last axis."""
        total = self[..., 0]
        for column in range(1, self.high.shape[-1]):
            total = total + self[..., column]
        return total


def twofold(high: ArrayLike, low: ArrayLike = 0.0) -> Twofold:
    """The sum of two float64, or of float64 arrays."""
    a, b = np.broadcast_arrays(np.asarray(high, dtype=np.float64), np.asarray(low, dtype=np.float64))
    return _renewed(*_two_sum(a, b))


def dot(a: Twofold, b: Twofold) -> Twofold:
    """Products of vectors on the last axis, which is kept with length 1."""
    return (a * b).sum()[..., None]


def _two_sum(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    total = a + b
    back = total - a
    return total, (a - (total - back)) + (b - back)


def _two_product(a: Floats, b: Floats) -> tuple[Floats, Floats]:
    product = a * b
    a_high = a * _SPLIT - (a * _SPLIT - a)
    b_high = b * _SPLIT - (b * _SPLIT - b)
    a_low, b_low = a - a_high, b - b_high
    return product, a_low * b_low - (((product - a_high * b_high) - a_low * b_high) - a_high * b_low)


def _renewed(high: Floats, low: Floats) -> Twofold:
    total = high + low
    return Twofold(total, low - (total - high))
