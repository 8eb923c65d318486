"""The best tree without crossing bonds where every word has only a few possible heads: Eisner's algorithm, sparse.

Axes: `P` particles, ROOT (0) and the N words (1..N); `K` possible heads of a word; `A` possible bonds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dynamics.compile import compiled


@compiled
def sparse_eisner(
    count: NDArray[np.int64], head: NDArray[np.int64], score: NDArray[np.float64], root: NDArray[np.float64]
) -> NDArray[np.int64]:
    """The best tree with one child of ROOT and no crossing bonds, of few possible bonds.

    argmax over projective trees of sum_d score[head(d), d]

    Every word may also hang from its two neighbours, for nothing, so that there always is a tree.

    Args:
        count: [P] int64, how many possible heads each word has; that of ROOT is never read.
        head: [P, K] int64, in 0..N, each once; ROOT among them is passed over.
        score: [P, K] float64, finite.
        root: [P] float64, finite, how good ROOT is as the head of each word.

    Returns:
        [N] int64, heads in 0..N.

    Cost: O(N^2) sums over the bonds of one head, O(N) for each bond, instead of O(N^3); 24 N^2 bytes.

    Source: Eisner 1996.
    """
    n = root.size - 1
    # Dependents of each head on each side, ascending; a head's bonds are places begin[side, h] ... of bond.
    begin, dependent, worth = _by_head(count, head, score)
    inner, split = np.empty(worth.size), np.empty(worth.size, np.int64)
    # right[i, j]: i and all to its right up to j; left[j, i]: j and all to its left down to i; and the last bond in it.
    right, left = np.empty((n + 1, n + 1)), np.empty((n + 1, n + 1))
    right_bond, left_bond = np.empty((n + 1, n + 1), np.int32), np.empty((n + 1, n + 1), np.int32)
    reached = begin[0].copy()
    for j in range(1, n + 1):
        right[j, j] = left[j, j] = 0.0
        low = begin[1, j + 1]
        for i in range(j - 1, 0, -1):
            to_right = reached[i] < begin[0, i + 1] and dependent[reached[i]] == j
            to_left = low > begin[1, j] and dependent[low - 1] == i
            if to_right or to_left:
                best, at = -np.inf, i
                for k in range(i, j):
                    value = right[i, k] + left[j, k + 1]
                    if value > best:
                        best, at = value, k
                if to_right:
                    inner[reached[i]], split[reached[i]] = best + worth[reached[i]], at
                    reached[i] += 1
                if to_left:
                    low -= 1
                    inner[low], split[low] = best + worth[low], at
            best, chosen = -np.inf, 0
            for b in range(begin[0, i], reached[i]):
                value = inner[b] + right[dependent[b], j]
                if value > best:
                    best, chosen = value, b
            right[i, j], right_bond[i, j] = best, chosen
            best, chosen = -np.inf, 0
            for b in range(low, begin[1, j + 1]):
                value = inner[b] + left[dependent[b], i]
                if value > best:
                    best, chosen = value, b
            left[j, i], left_bond[j, i] = best, chosen
    # Not from 1: numba would compile what follows once more for this one number.
    child, best = n, -np.inf
    for r in range(1, n + 1):
        value = left[r, 1] + right[r, n] + root[r]
        if value > best:
            child, best = r, value
    return _read_off(n, child, dependent, split, right_bond, left_bond)


@compiled
def _by_head(
    count: NDArray[np.int64], head: NDArray[np.int64], score: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Bonds by side (0: the dependent stands to the right) and head: where each begins, dependents and scores."""
    size = count.size
    begin = np.zeros((2, size + 1), np.int64)
    near = np.zeros((2, size), np.bool_)
    for d in range(1, size):
        for k in range(count[d]):
            h = head[d, k]
            if h > 0:
                begin[0 if h < d else 1, h + 1] += 1
                if abs(h - d) == 1:
                    near[0 if h < d else 1, d] = True
        for side in range(2):
            h = d - 1 if side == 0 else d + 1
            if not near[side, d] and 1 <= h < size:
                begin[side, h + 1] += 1
    total = 0
    for side in range(2):
        begin[side, 0] = total
        for h in range(1, size + 1):
            total += begin[side, h]
            begin[side, h] = total
    fill, dependent, worth = begin.copy(), np.empty(total, np.int64), np.zeros(total)
    for d in range(1, size):
        for k in range(count[d]):
            h = head[d, k]
            if h > 0:
                side = 0 if h < d else 1
                dependent[fill[side, h]], worth[fill[side, h]] = d, score[d, k]
                fill[side, h] += 1
        for side in range(2):
            h = d - 1 if side == 0 else d + 1
            if not near[side, d] and 1 <= h < size:
                dependent[fill[side, h]] = d
                fill[side, h] += 1
    return begin, dependent, worth


@compiled
def _read_off(
    n: int,
    child: int,
    dependent: NDArray[np.int64],
    split: NDArray[np.int64],
    right_bond: NDArray[np.int32],
    left_bond: NDArray[np.int32],
) -> NDArray[np.int64]:
    """Heads from the last bonds of the spans; a stack of (head, end), the end to the right or left of the head."""
    heads = np.zeros(n, np.int64)
    stack = np.empty((2 * n + 4, 2), np.int64)
    stack[0, 0], stack[0, 1], stack[1, 0], stack[1, 1], top = child, 1, child, n, 2
    while top > 0:
        top -= 1
        h, end = stack[top, 0], stack[top, 1]
        if h == end:
            continue
        b = right_bond[h, end] if end > h else left_bond[h, end]
        d, k = dependent[b], split[b]
        heads[d - 1] = h
        # The rest beyond the dependent, and the two spans that meet between it and the head.
        stack[top, 0], stack[top, 1] = d, end
        stack[top + 1, 0], stack[top + 1, 1] = h, k if d > h else k + 1
        stack[top + 2, 0], stack[top + 2, 1] = d, k + 1 if d > h else k
        top += 3
    return heads
