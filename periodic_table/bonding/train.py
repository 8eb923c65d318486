"""Training of the graded rules. Only `periodic_table.bonding.build` uses it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from periodic_table.bonding.pairs import Places


@dataclass(frozen=True)
class Recipe:
    """How to train: passes over the data, rate of learning (AdaGrad), and L2 weight for every example."""

    passes: int = 4
    rate: float = 0.3
    shrink: float = 1e-4


def fit(
    features: Places, bonded: NDArray[np.bool_], base: NDArray[np.float64], size: int, recipe: Recipe, seed: int
) -> NDArray[np.float64]:
    """Weights by maximum likelihood of the bonds, the mean over the passes.

    Args:
        features: int64[P, F] places in the vector of weights.
        bonded: bool[P].
        base: float64[P], log-odds of a bond at the distance of the pair.
        size: of the vector.

    Cost: O(passes * P * F); half a minute for 2.5 million pairs.
    """
    weights, squares, mean = np.zeros(size), np.zeros(size), np.zeros(size)
    rng = np.random.default_rng(seed)
    for _ in range(recipe.passes):
        order = rng.permutation(len(bonded))
        _pass(features, bonded, base, order, weights, squares, recipe.rate, recipe.shrink)
        mean += weights / recipe.passes
    return mean


@njit(cache=True)  # type: ignore[untyped-decorator,unused-ignore]
def _pass(features, bonded, base, order, weights, squares, rate, shrink):  # type: ignore[no-untyped-def]
    for n in order:
        score = base[n]
        for f in features[n]:
            score += weights[f]
        slope = 1.0 / (1.0 + np.exp(-score)) - bonded[n]
        for f in features[n]:
            g = slope + shrink * weights[f]
            squares[f] += g * g
            weights[f] -= rate * g / np.sqrt(squares[f] + 1.0)
