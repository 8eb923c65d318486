"""Who can meet whom: the possible heads of each word, and the words in the order of their places along the chain.

Axes: `P` particles (ROOT is 0), `N` words, `K` possible heads of a word. Both lists keep a step near O(N).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dynamics.compile import compiled


@compiled
def candidate_heads(scores: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """The most promising heads of every word; ROOT is always among them.

    Args:
        scores: [P, P] float64, score[h, d]; greater is better.
        count: how many heads a word may keep.

    Returns:
        [N, K] int64 with K = min(count, N): ROOT, then the best others from left to right; ties go to the nearer head.

    Cost: O(N^2 K), once per sentence.
    """
    size = scores.shape[0]
    kept = min(count, size - 1)
    heads = np.zeros((size - 1, kept), np.int64)
    chosen = np.zeros(size, np.bool_)
    for d in range(1, size):
        chosen.fill(False)
        for _ in range(1, kept):
            best, choice = -np.inf, 0
            for away in range(1, size):
                for h in (d - away, d + away):
                    if 1 <= h < size and not chosen[h] and scores[h, d] > best:
                        best, choice = scores[h, d], h
            chosen[choice] = True
        k = 1
        for h in range(1, size):
            if chosen[h]:
                heads[d - 1, k] = h
                k += 1
    return heads


@compiled
def sort_along_chain(positions: NDArray[np.float64], order: NDArray[np.int64]) -> None:
    """Keep `order` sorted by the words' places along x; nearly free, because the order hardly changes in a step.

    Args:
        positions: [P, 3] float64.
        order: [N] int64, particle numbers; sorted in place.

    Cost: O(N) where the order has not changed.
    """
    for i in range(1, order.size):
        particle = order[i]
        j = i - 1
        while j >= 0 and positions[order[j], 0] > positions[particle, 0]:
            order[j + 1] = order[j]
            j -= 1
        order[j + 1] = particle
