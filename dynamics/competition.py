"""Bonds compete: a higher word shades the bonds below it, and a bonding site has room for so many bonds.

Axes: `P` particles (ROOT is 0), `N` words, `K` possible heads of a word, `M` bonding sites. z is height. Costs and
forces are as in `dynamics.forces`.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from dynamics.compile import compiled


@compiled
def find_shades(
    positions: NDArray[np.float64], heads: NDArray[np.int64], blur: float, shades: NDArray[np.float64]
) -> None:
    """How high the words stand that are in the way of each bond: a soft maximum over the words in between.

    shade = blur * ln sum_i exp(z_i / blur) over the words i between head and dependent

    A bond to ROOT, which looks down on the whole sentence, is in the way of all other words.

    Args:
        positions: [P, 3] float64.
        heads: [N, K] int64, ROOT first, then from left to right.
        blur: a length; two words at one height count as blur * ln 2 higher.
        shades: [N, K] float64, filled with heights; -inf where nothing is in between.

    Cost: O(N * the reach of the possible bonds).
    """
    words, kept = heads.shape
    weights = np.exp(positions[:, 2] / blur)
    # Sums over all words before and after, rather than differences from a total, which would lose the small ones.
    after = np.zeros(words + 2)
    for i in range(words, 0, -1):
        after[i] = after[i + 1] + weights[i]
    before = 0.0
    for d in range(1, words + 1):
        shades[d - 1, 0] = _height(before + after[d + 1], blur)
        before += weights[d]
        first_right = _first_right(heads[d - 1], d)
        between, i = 0.0, d - 1
        for k in range(first_right - 1, 0, -1):
            while i > heads[d - 1, k]:
                between += weights[i]
                i -= 1
            shades[d - 1, k] = _height(between, blur)
        between, i = 0.0, d + 1
        for k in range(first_right, kept):
            while i < heads[d - 1, k]:
                between += weights[i]
                i += 1
            shades[d - 1, k] = _height(between, blur)


@compiled
def _height(between: float, blur: float) -> float:
    return blur * math.log(between) if between > 0.0 else -np.inf


@compiled
def _first_right(heads: NDArray[np.int64], d: int) -> int:
    """The column of the first possible head to the right of particle d."""
    k = 1
    while k < heads.size and heads[k] < d:
        k += 1
    return k


@compiled
def shadow_cost(
    positions: NDArray[np.float64],
    heads: NDArray[np.int64],
    shades: NDArray[np.float64],
    stiffness: float,
    clearance: float,
    cost: NDArray[np.float64],
) -> None:
    """A bond must not pass below a higher word, which keeps bonds from crossing.

    cost = stiffness / 2 * max(0, shade - z_head + clearance)^2; for ROOT's bonds z_dependent stands for z_head

    Args:
        positions: [P, 3] float64.
        heads: [N, K] int64.
        shades: [N, K] float64, from `find_shades`.
        stiffness: in nat / length^2.
        clearance: a length.
        cost: [N, K] float64 in nat, added to.
    """
    if stiffness == 0.0:
        return
    for d in range(heads.shape[0]):
        for k in range(heads.shape[1]):
            upper = heads[d, k] if heads[d, k] > 0 else d + 1
            overlap = max(0.0, shades[d, k] - positions[upper, 2] + clearance)
            cost[d, k] += 0.5 * stiffness * overlap * overlap


@compiled
def shadow_force(
    positions: NDArray[np.float64],
    heads: NDArray[np.int64],
    shades: NDArray[np.float64],
    populations: NDArray[np.float64],
    stiffness: float,
    clearance: float,
    blur: float,
    force: NDArray[np.float64],
) -> None:
    """The words in the way sink and the head rises, until the bond is free; see `shadow_cost`.

    Args:
        positions: [P, 3] float64.
        heads: [N, K] int64, ROOT first, then from left to right.
        shades: [N, K] float64, from `find_shades`.
        populations: [N, K] float64.
        stiffness: in nat / length^2.
        clearance: a length.
        blur: a length.
        force: [P, 3] float64 in nat / length, added to.

    Cost: O(N * the reach of the possible bonds).
    """
    if stiffness == 0.0:
        return
    words, kept = heads.shape
    weights = np.exp(positions[:, 2] / blur)
    shares = np.zeros(kept)
    root_shares = np.zeros(words + 2)
    for d in range(1, words + 1):
        for k in range(kept):
            upper = heads[d - 1, k] if k > 0 else d
            push = populations[d - 1, k] * stiffness * max(0.0, shades[d - 1, k] - positions[upper, 2] + clearance)
            force[upper, 2] += push
            # The push goes to the words in between by their weights: a share for every unit of weight.
            shares[k] = push / math.exp(shades[d - 1, k] / blur) if push > 0.0 else 0.0
        root_shares[d] = shares[0]
        first_right = _first_right(heads[d - 1], d)
        # From the farthest head inwards, so that the shares only ever add up.
        running = 0.0
        for k in range(1, first_right):
            running += shares[k]
            end = heads[d - 1, k + 1] if k + 1 < first_right else d - 1
            for i in range(heads[d - 1, k] + 1, end + 1):
                force[i, 2] -= running * weights[i]
        running = 0.0
        for k in range(kept - 1, first_right - 1, -1):
            running += shares[k]
            end = heads[d - 1, k - 1] if k > first_right else d + 1
            for i in range(heads[d - 1, k] - 1, end - 1, -1):
                force[i, 2] -= running * weights[i]
    _press_from_root(root_shares, weights, force)


@compiled
def _press_from_root(shares: NDArray[np.float64], weights: NDArray[np.float64], force: NDArray[np.float64]) -> None:
    """Every word's bond to ROOT presses on all other words: sums over those before and those after it."""
    running = 0.0
    for i in range(1, weights.size):
        force[i, 2] -= running * weights[i]
        running += shares[i]
    running = 0.0
    for i in range(weights.size - 1, 0, -1):
        force[i, 2] -= running * weights[i]
        running += shares[i]


@compiled
def valence_energy(
    sites: NDArray[np.int64],
    populations: NDArray[np.float64],
    least: NDArray[np.float64],
    most: NDArray[np.float64],
    stiffness: float,
) -> float:
    """A word wants its bonding sites filled, neither too little nor too much, like an atom its outer shell.

    energy = stiffness / 2 * sum over sites of (max(0, filled - most)^2 + max(0, least - filled)^2)

    Args:
        sites: [N, K] int64, -1 for none.
        populations: [N, K] float64.
        least: [M] float64.
        most: [M] float64.
        stiffness: in nat / bond^2.

    Returns:
        nat.
    """
    energy = 0.0
    filled = _filled(sites, populations, least.size)
    for s in range(least.size):
        excess = max(0.0, filled[s] - most[s]) - max(0.0, least[s] - filled[s])
        energy += 0.5 * stiffness * excess * excess
    return energy


@compiled
def valence_field(
    sites: NDArray[np.int64],
    populations: NDArray[np.float64],
    least: NDArray[np.float64],
    most: NDArray[np.float64],
    stiffness: float,
    cost: NDArray[np.float64],
) -> None:
    """What the valences add to the cost of each bond: the gradient of `valence_energy` by the populations.

    Args:
        sites: [N, K] int64, -1 for none.
        populations: [N, K] float64.
        least: [M] float64.
        most: [M] float64.
        stiffness: in nat / bond^2.
        cost: [N, K] float64 in nat, added to.
    """
    if stiffness == 0.0:
        return
    filled = _filled(sites, populations, least.size)
    for d in range(sites.shape[0]):
        for k in range(sites.shape[1]):
            s = sites[d, k]
            if s >= 0:
                cost[d, k] += stiffness * (max(0.0, filled[s] - most[s]) - max(0.0, least[s] - filled[s]))


@compiled
def _filled(sites: NDArray[np.int64], populations: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    filled = np.zeros(count)
    for d in range(sites.shape[0]):
        for k in range(sites.shape[1]):
            if sites[d, k] >= 0:
                filled[sites[d, k]] += populations[d, k]
    return filled
