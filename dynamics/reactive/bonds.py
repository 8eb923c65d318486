"""Reactive bonds: every word's populations of its states relax in the field of everyone else's.

    F = - sum P u - 1/2 sum P W P + k/2 sum of crossings + r/2 (bonds at ROOT, pairwise) + sum P ln P
    u <- u + damping (bare + field(P) - u),  P = softmax(u) for every word

Axes: `N` words; `M` states; `B` pairs; `T` recorded moments.

Source: ours; mean-field inference unrolled after Wang and Tu (2020).
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from dynamics.compile import compiled
from dynamics.reactive.states import States


@compiled
def populations(first: NDArray[np.int64], fields: NDArray[np.float64], out: NDArray[np.float64]) -> None:
    """softmax over the states of each word; out [M] is filled."""
    for d in range(first.size - 1):
        best, whole = -np.inf, 0.0
        for i in range(first[d], first[d + 1]):
            best = max(best, fields[i])
        for i in range(first[d], first[d + 1]):
            out[i] = math.exp(fields[i] - best)
            whole += out[i]
        for i in range(first[d], first[d + 1]):
            out[i] /= whole


@compiled
def bond_orders(states: States) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """[M] int64 twice: the states by the left ends of their bonds, and by the right ends, ascending."""
    size, total, head, word = states.first.size, states.word.size, states.head, states.word
    orders = np.empty((2, total), np.int64)
    for side in range(2):
        begin = np.zeros(size + 1, np.int64)
        for i in range(total):
            begin[(min(head[i], word[i]) if side == 0 else max(head[i], word[i])) + 1] += 1
        for p in range(size):
            begin[p + 1] += begin[p]
        for i in range(total):
            end = min(head[i], word[i]) if side == 0 else max(head[i], word[i])
            orders[side, begin[end]] = i
            begin[end] += 1
    return orders[0], orders[1]


@compiled
def _add(tree: NDArray[np.float64], place: int, value: float) -> None:
    place += 1
    while place < tree.size:
        tree[place] += value
        place += place & -place


@compiled
def _sum(tree: NDArray[np.float64], stop: int) -> float:
    """Of the places below stop."""
    total = 0.0
    while stop > 0:
        total += tree[stop]
        stop -= stop & -stop
    return total


@compiled
def add_crossings(
    states: States,
    by_left: NDArray[np.int64],
    by_right: NDArray[np.int64],
    shares: NDArray[np.float64],
    factor: float,
    out: NDArray[np.float64],
) -> None:
    """To each state's out, add factor times the expected number of bonds that its bond crosses.

    (a, b) crosses (l, r) where a < l < b < r or l < a < r < b

    Args:
        states: M states.
        by_left, by_right: [M] int64, from `bond_orders`.
        shares: [M] float64, populations.
        factor: any.
        out: [M] float64, added to.

    Cost: O(M log N): two sweeps over sums that are kept in a Fenwick tree.
    """
    size, total = states.first.size, shares.size
    tree = np.zeros(size + 1)
    done = 0
    for place in range(total):
        i = by_left[place]
        left, right = min(states.head[i], states.word[i]), max(states.head[i], states.word[i])
        while done < total:
            j = by_left[done]
            if min(states.head[j], states.word[j]) >= left:
                break
            _add(tree, max(states.head[j], states.word[j]), shares[j])
            done += 1
        out[i] += factor * (_sum(tree, right) - _sum(tree, left + 1))
    tree[:] = 0.0
    done = total - 1
    for place in range(total - 1, -1, -1):
        i = by_right[place]
        left, right = min(states.head[i], states.word[i]), max(states.head[i], states.word[i])
        while done >= 0:
            j = by_right[done]
            if max(states.head[j], states.word[j]) <= right:
                break
            _add(tree, min(states.head[j], states.word[j]), shares[j])
            done -= 1
        out[i] += factor * (_sum(tree, right) - _sum(tree, left + 1))


@compiled
def list_crossings(states: States, shares: NDArray[np.float64], firm: float, longest: int) -> NDArray[np.int64]:
    """[X, 2] int64, the pairs of states whose bonds cross; ROOT's bonds are left out.

    Args:
        states: M states.
        shares: [M] float64, populations.
        firm: at least one of the two has this share; 0 for all pairs.
        longest: words that a bond may reach over; longer ones are left out.

    Cost: O(M + X + what stands under firm bonds).
    """
    size, total = states.first.size, shares.size
    low, high = np.empty(total, np.int64), np.empty(total, np.int64)
    head, word = states.head, states.word
    for i in range(total):
        low[i], high[i] = min(head[i], word[i]), max(head[i], word[i])
    begin = np.zeros(size + 1, np.int64)
    for i in range(total):
        if low[i] > 0 and high[i] - low[i] <= longest:
            begin[low[i] + 1] += 1
            begin[high[i] + 1] += 1
    for p in range(size):
        begin[p + 1] += begin[p]
    fill, ending = begin.copy(), np.empty(begin[size], np.int64)
    for i in range(total):
        if low[i] > 0 and high[i] - low[i] <= longest:
            for p in (low[i], high[i]):
                ending[fill[p]] = i
                fill[p] += 1
    out, count = np.empty((8 * total, 2), np.int64), 0
    for i in range(total):
        if shares[i] >= firm and low[i] > 0 and high[i] - low[i] <= longest:
            for e in range(begin[low[i] + 1], begin[high[i]]):
                j = ending[e]
                # It crosses if its other end is outside; two firm bonds are listed once.
                if (low[j] < low[i] or high[j] > high[i]) and (i < j or shares[j] < firm):
                    if count == out.shape[0]:
                        out = np.concatenate((out, np.empty_like(out)))
                    out[count, 0], out[count, 1] = i, j
                    count += 1
    return out[:count]


@compiled
def add_root(states: States, shares: NDArray[np.float64], factor: float, out: NDArray[np.float64]) -> None:
    """To each state at ROOT, add factor times the expected number of other words there; out [M]."""
    total = 0.0
    for i in range(shares.size):
        if states.head[i] == 0:
            total += shares[i]
    for i in range(shares.size):
        if states.head[i] == 0:
            out[i] += factor * (total - shares[i])


@compiled
def coupled_field(
    states: States,
    pairs: NDArray[np.int64],
    strength: NDArray[np.float64],
    by_left: NDArray[np.int64],
    by_right: NDArray[np.int64],
    crossing: float,
    root: float,
    shares: NDArray[np.float64],
    out: NDArray[np.float64],
) -> None:
    """What each state feels of all the others; linear and symmetric in the populations.

    Args:
        states: M states.
        pairs, strength: [B, 2] int64, [B] float64.
        by_left, by_right: [M] int64.
        crossing, root: nat for a crossing, and for another word at ROOT.
        shares: [M] float64, populations.
        out: [M] float64, filled.

    Cost: O(B + M log N).
    """
    out[:] = 0.0
    for b in range(strength.size):
        i, j = pairs[b, 0], pairs[b, 1]
        out[i] += strength[b] * shares[j]
        out[j] += strength[b] * shares[i]
    if crossing != 0.0:
        add_crossings(states, by_left, by_right, shares, -crossing, out)
    if root != 0.0:
        add_root(states, shares, -root, out)
