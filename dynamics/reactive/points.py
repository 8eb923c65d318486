"""Couplings that come of space: every bonding site is a point, and what two bonds feel of each other follows.

    siblings   W(s, t) = b_s + b_t - x_s . x_t     sites that lie in one direction shun each other
    up-bonds   W(s, t) = c_s + d_t + y_s . z_t     a lower and an upper bond that point the same way seek each other

A site is one point among the sites of its head, and two in a chain of bonds: as the lower and as the upper one.
An experiment: the parameters that ship have free tables instead, one number for every two sites.

Axes: `Z` bonding sites, 2 L; `D` dimensions of space.

Source: ours. Products and not distances, for these fitted sentences that were held out better.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from dynamics.compile import compiled
from dynamics.reactive.couplings import TABLES

# Columns of the array of points: a constant in nat, then the coordinates.
BIAS, START = range(2)
SIBLING, LOWER, UPPER = range(3)


def random_points(sites: int, dimensions: int, seed: int) -> NDArray[np.float32]:
    """[3, Z, 1 + D] float32, the points before anything is learned: on average half a unit from the middle."""
    points = np.random.default_rng(seed).standard_normal((3, sites, START + dimensions)).astype(np.float32)
    points[:, :, BIAS] = 0.0
    points[:, :, START:] *= 0.5 / math.sqrt(dimensions)
    return points


@compiled
def fill_tables(points: NDArray[np.float32], constants: NDArray[np.float32]) -> None:
    """Write what the points mean into the two tables of the constants.

    Args:
        points: [3, Z, 1 + D] float32.
        constants: [V] float32, changed.

    Cost: O(Z^2 D).
    """
    sites = points.shape[1]
    for kind in range(2):
        i, j, sign = (SIBLING, SIBLING, -1.0) if kind == 0 else (LOWER, UPPER, 1.0)
        for s in range(sites):
            for t in range(sites):
                product = 0.0
                for k in range(START, points.shape[2]):
                    product += points[i, s, k] * points[j, t, k]
                place = TABLES + (kind * sites + s) * sites + t
                constants[place] = points[i, s, BIAS] + points[j, t, BIAS] + sign * product


@compiled
def move_points(
    kind: int,
    s: int,
    t: int,
    slope: float,
    rate: float,
    points: NDArray[np.float32],
    squares: NDArray[np.float32],
) -> None:
    """One AdaGrad step of two points, by the chain rule from the slope of their coupling.

    Args:
        kind: 0 for siblings, 1 for up-bonds, where s is the lower site and t the upper one.
        s, t: sites.
        slope: of the loss by W(s, t).
        rate: of learning.
        points, squares: [3, Z, 1 + D] float32, changed.
    """
    i, j, sign = (SIBLING, SIBLING, -1.0) if kind == 0 else (LOWER, UPPER, 1.0)
    for k in range(points.shape[2]):
        left = right = slope
        if k >= START:
            left, right = sign * slope * points[j, t, k], sign * slope * points[i, s, k]
        _step(points[i, s], squares[i, s], k, left, rate)
        _step(points[j, t], squares[j, t], k, right, rate)


@compiled
def _step(row: NDArray[np.float32], squares: NDArray[np.float32], k: int, slope: float, rate: float) -> None:
    squares[k] += slope * slope
    row[k] -= rate * slope / math.sqrt(squares[k])
