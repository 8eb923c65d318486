"""The Poincaré ball in decimal arithmetic: positions next to the rim that float64 operations would blur.

A point is a list of `decimal.Decimal`. The caller sets the precision (`decimal.localcontext`); 50 digits serve to
radius 36, where 1 - |x|^2 is 1e-15 and its products 1e-31.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Point = Sequence[Decimal]


def dot(a: Point, b: Point) -> Decimal:
    """The sum of the products of two points' coordinates."""
    return sum((x * y for x, y in zip(a, b, strict=True)), Decimal(0))


def step_from(here: Point, direction: Floats, length: float) -> list[Decimal]:
    """Walk from a point of the ball: the Möbius sum here + tanh(length/2) direction.

    Args:
        here: where the walk begins.
        direction: [E] as it looks from `here`; its length does not matter.
        length: hyperbolic length of the walk.
    """
    shrink = (-Decimal(length)).exp()
    arrow = [Decimal(float(coordinate)) for coordinate in direction]
    # A float64 unit vector is as much as 1e-16 too long or too short, which near the rim is a whole unit of length.
    reach = (1 - shrink) / (1 + shrink) / dot(arrow, arrow).sqrt()
    way = [reach * coordinate for coordinate in arrow]
    along, square, way_square = dot(here, way), dot(here, here), dot(way, way)
    whole = 1 + 2 * along + square * way_square
    from_here, from_way = (1 + 2 * along + way_square) / whole, (1 - square) / whole
    return [from_here * a + from_way * b for a, b in zip(here, way, strict=True)]


def direction_to(there: Point, here: Point) -> Floats:
    """In which direction one point lies as seen from another: [E] unit vector along the Möbius sum (-here) + there."""
    away = [a - b for a, b in zip(there, here, strict=True)]
    gap, square = 1 - dot(here, here), dot(away, away)
    seen = [gap * a - square * b for a, b in zip(away, here, strict=True)]
    # Scaled before it is rounded: the differences themselves can be smaller than float64 divides well.
    largest = max(abs(coordinate) for coordinate in seen)
    direction = np.array([float(coordinate / largest) for coordinate in seen])
    unit: Floats = direction / np.linalg.norm(direction)
    return unit


def radius_of(point: Point) -> float:
    """The hyperbolic distance of a point from the centre: ln((1 + |x|) / (1 - |x|))."""
    length = dot(point, point).sqrt()
    return float(((1 + length) / (1 - length)).ln())
