"""Training of the taggers' weights. Only `periodic_table.tagging.build` uses it.

Maximum likelihood, one word at a time, by AdaGrad (Duchi, Hazan and Singer 2011); the mean of the weights after each
pass is kept (Collins 2002 does so for the perceptron).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from periodic_table.tagging.log_linear import Hashes
from periodic_table.tagging.tagger import TAGS


@dataclass(frozen=True)
class Recipe:
    """How to train.

    Args:
        rarest: features seen less often are left out.
        passes: over the data.
        rate: of learning.
        shrink: weight of the square of a weight, for every example it is used in (L2).
    """

    rarest: int = 3
    passes: int = 3
    rate: float = 0.1
    shrink: float = 1e-3


@dataclass(frozen=True)
class Examples:
    """Words to learn from.

    Args:
        features: uint64[sum of lengths], those of all words, one after the other.
        start: int64[N + 1]: word n has features[start[n]:start[n + 1]].
        tags: int64[N], columns of `TAGS`.
    """

    features: Hashes
    start: NDArray[np.int64]
    tags: NDArray[np.int64]


def fit(examples: Examples, recipe: Recipe, seed: int) -> tuple[Hashes, NDArray[np.float64]]:
    """Features worth a weight, and their weights.

    Returns:
        uint64[W], float64[W, 17].

    Cost: O(passes * features of all words * 17); 10 s for 200,000 words.
    """
    found, inverse, times = np.unique(examples.features, return_inverse=True, return_counts=True)
    kept = np.flatnonzero(times >= recipe.rarest)
    row = np.full(len(found), -1, dtype=np.int32)
    row[kept] = np.arange(len(kept))
    rows = row[inverse]
    shape = (len(kept), len(TAGS))
    weights, squares, mean = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    rng = np.random.default_rng(seed)
    for _ in range(recipe.passes):
        order = rng.permutation(len(examples.tags))
        _pass(rows, examples.start, examples.tags, order, weights, squares, recipe.rate, recipe.shrink)
        mean += weights / recipe.passes
    return found[kept], mean


@njit(cache=True)  # type: ignore[untyped-decorator,unused-ignore]
def _pass(rows, start, tags, order, weights, squares, rate, shrink):  # type: ignore[no-untyped-def]
    width = weights.shape[1]
    slope = np.zeros(width)
    for n in order:
        slope[:] = 0.0
        for k in range(start[n], start[n + 1]):
            if rows[k] >= 0:
                for t in range(width):
                    slope[t] += weights[rows[k], t]
        slope -= slope.max()
        slope = np.exp(slope)
        slope /= slope.sum()
        slope[tags[n]] -= 1.0
        for k in range(start[n], start[n + 1]):
            f = rows[k]
            if f >= 0:
                for t in range(width):
                    # What is all but certain already is left alone: it would cost most of the time.
                    if abs(slope[t]) > 1e-4:
                        g = slope[t] + shrink * weights[f, t]
                        squares[f, t] += g * g
                        weights[f, t] -= rate * g / np.sqrt(squares[f, t] + 1e-2)
