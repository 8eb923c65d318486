"""The four forces between words, each as an energy and its negative gradient.

Axes: `P` particles (ROOT is 0), `N` words, `K` possible heads of a word. x runs along the sentence, z is height.
A bond force has a cost per possible bond; its energy is sum_dk population[d, k] * cost[d, k], and its force the
negative gradient of that at fixed populations. Forces add to what is there. A constant of 0 switches a force off.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from dynamics.compile import compiled

# A bond is never shorter than this, so that its pull has a direction everywhere [length].
SOFT = 0.5


@compiled
def attraction_cost(
    positions: NDArray[np.float64],
    heads: NDArray[np.int64],
    charges: NDArray[np.float64],
    strength: float,
    pull: float,
    cost: NDArray[np.float64],
) -> None:
    """Compatible parts of speech bind, and a bond is a string under constant tension.

    cost = strength * (pull * sqrt(dx^2 + dy^2 + SOFT^2) - charge); ROOT's bonds do not pull

    Args:
        positions: [P, 3] float64.
        heads: [N, K] int64.
        charges: [N, K] float64 in nat.
        strength: pure number.
        pull: in nat / length.
        cost: [N, K] float64 in nat, added to.
    """
    if strength == 0.0:
        return
    for d in range(heads.shape[0]):
        for k in range(heads.shape[1]):
            h = heads[d, k]
            cost[d, k] -= strength * charges[d, k]
            if h > 0:
                dx, dy = positions[h, 0] - positions[d + 1, 0], positions[h, 1] - positions[d + 1, 1]
                cost[d, k] += strength * pull * math.sqrt(dx * dx + dy * dy + SOFT * SOFT)


@compiled
def attraction_force(
    positions: NDArray[np.float64],
    heads: NDArray[np.int64],
    populations: NDArray[np.float64],
    strength: float,
    pull: float,
    force: NDArray[np.float64],
) -> None:
    """Head and dependent pull each other together along x and y; see `attraction_cost`.

    Args:
        positions: [P, 3] float64.
        heads: [N, K] int64.
        populations: [N, K] float64.
        strength: pure number.
        pull: in nat / length.
        force: [P, 3] float64 in nat / length, added to.
    """
    if strength * pull == 0.0:
        return
    for d in range(heads.shape[0]):
        for k in range(heads.shape[1]):
            h = heads[d, k]
            if h > 0:
                dx, dy = positions[h, 0] - positions[d + 1, 0], positions[h, 1] - positions[d + 1, 1]
                tension = populations[d, k] * strength * pull / math.sqrt(dx * dx + dy * dy + SOFT * SOFT)
                force[h, 0] -= tension * dx
                force[h, 1] -= tension * dy
                force[d + 1, 0] += tension * dx
                force[d + 1, 1] += tension * dy


@compiled
def hierarchy_cost(
    positions: NDArray[np.float64],
    heads: NDArray[np.int64],
    stiffness: float,
    rise: float,
    cost: NDArray[np.float64],
) -> None:
    """A dependent hangs one level below its head.

    cost = stiffness / 2 * (z_head - z_dependent - rise)^2

    Args:
        positions: [P, 3] float64.
        heads: [N, K] int64.
        stiffness: in nat / length^2.
        rise: height of a level.
        cost: [N, K] float64 in nat, added to.
    """
    if stiffness == 0.0:
        return
    for d in range(heads.shape[0]):
        for k in range(heads.shape[1]):
            gap = positions[heads[d, k], 2] - positions[d + 1, 2] - rise
            cost[d, k] += 0.5 * stiffness * gap * gap


@compiled
def hierarchy_force(
    positions: NDArray[np.float64],
    heads: NDArray[np.int64],
    populations: NDArray[np.float64],
    stiffness: float,
    rise: float,
    force: NDArray[np.float64],
) -> None:
    """Springs along z that bring head and dependent to neighbouring levels; see `hierarchy_cost`.

    Args:
        positions: [P, 3] float64.
        heads: [N, K] int64.
        populations: [N, K] float64.
        stiffness: in nat / length^2.
        rise: height of a level.
        force: [P, 3] float64 in nat / length, added to.
    """
    if stiffness == 0.0:
        return
    for d in range(heads.shape[0]):
        for k in range(heads.shape[1]):
            h = heads[d, k]
            spring = populations[d, k] * stiffness * (positions[h, 2] - positions[d + 1, 2] - rise)
            force[h, 2] -= spring
            force[d + 1, 2] += spring


@compiled
def backbone_energy(positions: NDArray[np.float64], stiffness: float, spacing: float) -> float:
    """Neighbouring words are joined by springs, which keeps the order of the words.

    energy = stiffness / 2 * sum_i (x_{i+1} - x_i - spacing)^2

    Args:
        positions: [P, 3] float64.
        stiffness: in nat / length^2.
        spacing: rest length.

    Returns:
        nat.
    """
    energy = 0.0
    for i in range(1, positions.shape[0] - 1):
        stretch = positions[i + 1, 0] - positions[i, 0] - spacing
        energy += 0.5 * stiffness * stretch * stretch
    return energy


@compiled
def backbone_force(
    positions: NDArray[np.float64], stiffness: float, spacing: float, force: NDArray[np.float64]
) -> None:
    """The springs of the chain; see `backbone_energy`.

    Args:
        positions: [P, 3] float64.
        stiffness: in nat / length^2.
        spacing: rest length.
        force: [P, 3] float64 in nat / length, added to.
    """
    for i in range(1, positions.shape[0] - 1):
        spring = stiffness * (positions[i + 1, 0] - positions[i, 0] - spacing)
        force[i, 0] += spring
        force[i + 1, 0] -= spring


@compiled
def repulsion_energy(
    positions: NDArray[np.float64], order: NDArray[np.int64], stiffness: float, diameter: float
) -> float:
    """Words are soft spheres that must not overlap.

    energy = stiffness / 2 * sum over pairs of max(0, diameter - |r_i - r_j|)^2

    Args:
        positions: [P, 3] float64.
        order: [N] int64, from `sort_along_chain`.
        stiffness: in nat / length^2.
        diameter: a length.

    Returns:
        nat.

    Cost: O(N + pairs closer than a diameter along x).
    """
    energy = 0.0
    for a in range(order.size):
        for b in range(a + 1, order.size):
            if positions[order[b], 0] - positions[order[a], 0] >= diameter:
                break
            apart = _distance(positions, order[a], order[b])
            overlap = max(0.0, diameter - apart)
            energy += 0.5 * stiffness * overlap * overlap
    return energy


@compiled
def repulsion_force(
    positions: NDArray[np.float64],
    order: NDArray[np.int64],
    stiffness: float,
    diameter: float,
    force: NDArray[np.float64],
) -> int:
    """Overlapping words push each other apart; see `repulsion_energy`.

    Args:
        positions: [P, 3] float64.
        order: [N] int64, from `sort_along_chain`.
        stiffness: in nat / length^2.
        diameter: a length.
        force: [P, 3] float64 in nat / length, added to.

    Returns:
        How many pairs were tested.
    """
    tested = 0
    if stiffness == 0.0:
        return tested
    for a in range(order.size):
        for b in range(a + 1, order.size):
            i, j = order[a], order[b]
            if positions[j, 0] - positions[i, 0] >= diameter:
                break
            tested += 1
            apart = _distance(positions, i, j)
            # Two words at the very same place have no direction to part in; the next step's other forces part them.
            if 0.0 < apart < diameter:
                push = stiffness * (diameter - apart) / apart
                for axis in range(3):
                    force[j, axis] += push * (positions[j, axis] - positions[i, axis])
                    force[i, axis] -= push * (positions[j, axis] - positions[i, axis])
    return tested


@compiled
def _distance(positions: NDArray[np.float64], i: int, j: int) -> float:
    square = 0.0
    for axis in range(3):
        square += (positions[j, axis] - positions[i, axis]) ** 2
    return math.sqrt(square)
