"""Sums of weights: a score for each part of speech from a set of features, as small as it can be stored.

    score(tag) = sum of weight[feature, tag] over the features of a word
    P(tag) = exp score(tag) / sum over tags

Axes: N words, F features of a word, W features that have a weight.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from periodic_table.lexicon.storage import Arrays
from periodic_table.tagging.tagger import TAGS

Hashes = NDArray[np.uint64]
Scores = NDArray[np.float32]


class Weights:
    """The weights of one model, ready for use.

    A feature is looked up by the upper 32 bits of its hash: a feature without a weight is taken for one that has some
    once in 4e9 / W look-ups, 1 in 30,000 for W = 150,000.

    Args:
        keys: uint32[W], ascending.
        table: float32[W + 1, 17]; the last row, of zeros, is for features without a weight.
    """

    def __init__(self, keys: NDArray[np.uint32], table: Scores) -> None:
        self.keys, self.table = keys, table

    def score(self, features: Hashes) -> Scores:
        """Scores of words that all have the same number of features.

        Args:
            features: uint64[N, F].

        Returns:
            float32[N, 17].

        Cost: O(N F log W).
        """
        total: Scores = self.table[self._rows(features)].sum(axis=1, dtype=np.float32)
        return total

    def score_each(self, features: Sequence[list[int]]) -> Scores:
        """Scores of N words that have any numbers of features, one at least: float32[N, 17], as `score` gives them.

        Args:
            features: the hashes of each word.

        Cost: O(all features log W).
        """
        if not features:
            return np.zeros((0, len(TAGS)), dtype=np.float32)
        starts = np.cumsum([0, *map(len, features[:-1])])
        hashes = np.array(list(itertools.chain.from_iterable(features)), dtype=np.uint64)
        total: Scores = np.add.reduceat(self.table[self._rows(hashes)], starts, axis=0)
        return total

    def _rows(self, features: Hashes) -> NDArray[np.int64]:
        wanted = (features >> np.uint64(32)).astype(np.uint32)
        rows = np.searchsorted(self.keys, wanted)
        rows[rows == len(self.keys)] = 0
        return np.where(self.keys[rows] == wanted, rows, len(self.keys))


def pack(hashes: Hashes, weights: NDArray[np.float64], least: float) -> Arrays:
    """Weights as arrays to store: 8 bits each, and only those that matter.

    Args:
        hashes: uint64[W], of the features.
        weights: [W, 17].
        least: weights nearer to 0 are dropped, and so are features that have none left.
    """
    step = np.abs(weights).max() / 127
    small = np.where(np.abs(weights) < least, 0, np.rint(weights / step)).astype(np.int8)
    kept = small.any(axis=1)
    keys, first = np.unique((hashes[kept] >> np.uint64(32)).astype(np.uint32), return_index=True)
    small = small[kept][first]
    rows, tags = np.nonzero(small)
    return {
        "keys": keys,
        "size": np.bincount(rows, minlength=len(keys)).astype(np.uint8),
        "tags": tags.astype(np.uint8),
        "weights": small[rows, tags],
        "step": np.array([step], dtype=np.float32),
    }


def unpack(arrays: Arrays) -> Weights:
    """The inverse of `pack`."""
    keys = arrays["keys"].astype(np.uint32)
    table = np.zeros((len(keys) + 1, len(TAGS)), dtype=np.float32)
    rows = np.repeat(np.arange(len(keys)), arrays["size"].astype(np.int64))
    table[rows, arrays["tags"].astype(np.int64)] = arrays["weights"].astype(np.float32) * arrays["step"].astype(
        np.float32
    )
    return Weights(keys, table)


def softmax(scores: NDArray[np.floating]) -> NDArray[np.float64]:
    """Scores as probabilities, row by row."""
    power = np.exp(scores.astype(np.float64) - scores.max(axis=1, keepdims=True))
    rows: NDArray[np.float64] = power / power.sum(axis=1, keepdims=True)
    return rows
