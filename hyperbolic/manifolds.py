"""Distances and motions of flat and hyperbolic space that stay right up to the edge of float64.

Hyperbolic space of curvature -1 in two models: the Poincaré ball (points x with |x| < 1) and the Lorentz hyperboloid
(points [x0, x1..xd] with -x0^2 + x1^2 + ... + xd^2 = -1, x0 > 0). A distance from the centre is called radius here.

Near the rim everything depends on 1 - |x|^2, which loses all digits if it is computed as it is written. It is computed
here from exact products, and every formula below only adds what is positive. A stored float64 point of the ball is
good up to radius 36; beyond it the numbers themselves lie too far apart.

Axis legend: N points, E embedding dim.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Geometry = Literal["poincare", "lorentz", "euclidean"]

# Veltkamp's constant: splits a float64 into two halves whose products are exact.
_SPLIT = float(2**27 + 1)


class OutsideBall(ValueError):
    """A point of the Poincaré ball lies on the rim or outside, or a result would."""


def rim_gap(points: ArrayLike) -> Floats:
    """How far a point of the ball is from the rim, as 1 - |x|^2, right to the last digit.

    Args:
        points: [..., E] float64 points of the Poincaré ball.

    Returns:
        [...] float64, relative error below 1e-15 for every stored point inside the ball.

    Raises:
        OutsideBall: a point with |x| >= 1.
        ValueError: a number that is not finite.

    Source: products by Dekker 1971, sums by Ogita, Rump and Oishi 2005 (algorithm Sum2).
    """
    x = _finite(points)
    if (np.abs(x) >= 1).any():
        raise OutsideBall(_outside(np.abs(x).max(axis=-1) >= 1))
    square = x * x
    high = x * _SPLIT - (x * _SPLIT - x)
    low = x - high
    rest = low * low - ((square - high * high) - 2.0 * high * low)
    total, error = np.ones(x.shape[:-1]), np.zeros(x.shape[:-1])
    for column in range(x.shape[-1]):
        term = -square[..., column]
        new = total + term
        back = new - total
        error += (total - (new - back)) + (term - back)
        total = new
    gap: Floats = total + (error - rest.sum(axis=-1))
    if (gap <= 0).any():
        raise OutsideBall(_outside(gap <= 0))
    return gap


def poincare_distance(x: ArrayLike, y: ArrayLike) -> Floats:
    """How far apart two points of the Poincaré ball are.

    d = 2 asinh( |x - y| / sqrt((1 - |x|^2)(1 - |y|^2)) ), which is the usual arcosh form without its cancellation.

    Args:
        x: [..., E] points, |x| < 1.
        y: [..., E] points; shapes broadcast.

    Returns:
        [...] float64 distances. No clamp: as large as the stored points are apart.

    Raises:
        OutsideBall: a point on or outside the rim.
        ValueError: a number that is not finite.
    """
    a, b = _finite(x), _finite(y)
    distance: Floats = 2.0 * np.arcsinh(_norm(a - b) / np.sqrt(rim_gap(a) * rim_gap(b)))
    return distance


def lorentz_distance(x: ArrayLike, y: ArrayLike) -> Floats:
    """How far apart two points of the Lorentz hyperboloid are.

    sinh^2(d/2) = sinh^2((r - s)/2) + sinh(r) sinh(s) |u - v|^2 / 4 with radii r, s and unit directions u, v: unlike
    arcosh(-<x, y>), which is blind to what lies closer than 1e-16 x0 y0, it never subtracts large numbers.

    Args:
        x: [..., 1 + E] points, the time-like coordinate first.
        y: [..., 1 + E] points; shapes broadcast.

    Raises:
        ValueError: a number that is not finite, or a point off the hyperboloid (1e-9 relative; float32 input 1e-5).
    """
    return _polar_distance(*_polar(_on_hyperboloid(x)), *_polar(_on_hyperboloid(y)))


def _polar_distance(r: Floats, u: Floats, s: Floats, v: Floats) -> Floats:
    # Half of the logarithm each, so that sinh(r) sinh(s) does not overflow before r + s = 1,400.
    across = np.sqrt(np.sinh(r)) * np.sqrt(np.sinh(s)) * _norm(u - v) / 2.0
    distance: Floats = 2.0 * np.arcsinh(np.hypot(np.sinh((r - s) / 2.0), across))
    return distance


def euclidean_distance(x: ArrayLike, y: ArrayLike) -> Floats:
    """How far apart two points of flat space are: |x - y|, for [..., E] points whose shapes broadcast."""
    return _norm(_finite(x) - _finite(y))


def distance(x: ArrayLike, y: ArrayLike, geometry: Geometry) -> Floats:
    """The distance of the geometry that is named; see the three functions above.

    Raises:
        ValueError: an unknown geometry, or what the three raise.
    """
    known = {"poincare": poincare_distance, "lorentz": lorentz_distance, "euclidean": euclidean_distance}
    if geometry not in known:
        raise ValueError(f"unknown geometry {geometry!r}; expected one of {sorted(known)}")
    return known[geometry](x, y)


def all_distances(points: ArrayLike, geometry: Geometry) -> Floats:
    """The distances of all pairs of N points: [N, N] float64, symmetric, zero on the diagonal.

    Cost: O(N^2 E) time in blocks of rows, 8 N^2 bytes.
    """
    x = _finite(points)
    out = np.empty((len(x), len(x)))
    if geometry == "poincare":
        # The gaps are per point: computing them once instead of per block is most of the speed.
        root = np.sqrt(rim_gap(x))
    if geometry == "lorentz":
        radius, direction = _polar(_on_hyperboloid(points))
    for start in range(0, len(x), 64):
        # What is left of these columns has been mirrored from the rows above.
        rows, rest = slice(start, start + 64), slice(start, None)
        if geometry == "poincare":
            chord = _norm(x[rows, None] - x[rest])
            block = 2.0 * np.arcsinh(chord / (root[rows, None] * root[rest]))
        elif geometry == "lorentz":
            block = _polar_distance(radius[rows, None], direction[rows, None], radius[rest], direction[rest])
        else:
            block = distance(x[rows, None], x[rest], geometry)
        out[rows, rest], out[rest, rows] = block, block.T
    return out


def translate(points: ArrayLike, origin: ArrayLike) -> Floats:
    """Move the Poincaré ball rigidly so that `origin` becomes its centre; all distances stay.

    The Möbius sum (-o) + x = ((1 - |o|^2)(x - o) - |x - o|^2 o) / (|x - o|^2 + (1 - |o|^2)(1 - |x|^2)).

    Args:
        points: [..., E] points of the ball.
        origin: [E] the point that becomes 0.

    Raises:
        OutsideBall: a point outside, or one that the motion would bring closer to the rim than float64 can tell.
    """
    x, o = _finite(points), _finite(origin)
    away = x - o
    square = np.sum(away * away, axis=-1, keepdims=True)
    gap_o, gap_x = rim_gap(o), rim_gap(x)[..., None]
    moved: Floats = (gap_o * away - square * o) / (square + gap_o * gap_x)
    rim_gap(moved)
    return moved


def to_lorentz(points: ArrayLike) -> Floats:
    """Poincaré ball [..., E] -> Lorentz hyperboloid [..., 1 + E]: x0 = 2/g - 1, xi = 2 xi/g with g = 1 - |x|^2."""
    x = _finite(points)
    gap = rim_gap(x)[..., None]
    return np.concatenate([2.0 / gap - 1.0, 2.0 * x / gap], axis=-1)


def to_poincare(points: ArrayLike) -> Floats:
    """Lorentz hyperboloid [..., 1 + E] -> Poincaré ball [..., E]: xi / (1 + x0).

    Raises:
        OutsideBall: a point of a radius (about 37) that the ball cannot hold in float64.
    """
    x = _on_hyperboloid(points)
    # x0 from the other coordinates: a stored x0 may be rounded worse than they are.
    ball: Floats = x / (1.0 + np.hypot(1.0, _norm(x)))[..., None]
    rim_gap(ball)
    return ball


def _on_hyperboloid(points: ArrayLike) -> Floats:
    """Check points of the hyperboloid and return their space-like coordinates."""
    x = _finite(points)
    if x.shape[-1] < 2:
        raise ValueError(f"expected points [x0, x1, ...] of the hyperboloid, got shape {x.shape}")
    expected = np.hypot(1.0, _norm(x[..., 1:]))
    tolerance = 1e-5 if getattr(points, "dtype", None) == np.float32 else 1e-9
    off = np.abs(x[..., 0] - expected) > tolerance * expected
    if off.any():
        raise ValueError(
            f"{int(off.sum())} points are off the hyperboloid x0 = sqrt(1 + x1^2 + ... + xd^2); "
            "expected the time-like coordinate first; `to_lorentz` makes such points"
        )
    return x[..., 1:]


def _polar(space: Floats) -> tuple[Floats, Floats]:
    """Radius and unit direction; the centre has no direction, and 0 stands for it."""
    length = _norm(space)
    return np.arcsinh(length), space / np.where(length > 0, length, 1.0)[..., None]


def _norm(x: Floats) -> Floats:
    norm: Floats = np.sqrt(np.einsum("...i,...i->...", x, x))
    return norm


def _finite(points: ArrayLike) -> Floats:
    x = np.asarray(points, dtype=np.float64)
    if x.ndim == 0 or x.shape[-1] == 0:
        raise ValueError(f"expected points with their coordinates on the last axis, got shape {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError(f"{int((~np.isfinite(x)).sum())} coordinates are not finite; a distance of NaN means nothing")
    return x


def _outside(where: NDArray[np.bool_]) -> str:
    return (
        f"{int(np.sum(where))} points lie on or outside the rim of the Poincaré ball (|x| >= 1); "
        "float64 holds a radius of 36 from the centre"
    )
