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
    left, right = np.minimum(states.head, states.word), np.maximum(states.head, states.word)
    return np.argsort(left, kind="mergesort"), np.argsort(right, kind="mergesort")


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


@compiled
def free_energy(bare: NDArray[np.float64], field: NDArray[np.float64], shares: NDArray[np.float64]) -> float:
    """F in nat; field is that of these populations."""
    energy = 0.0
    for i in range(shares.size):
        if shares[i] > 0.0:
            energy += shares[i] * (math.log(shares[i]) - bare[i] - 0.5 * field[i])
    return energy


@compiled
def most_change(first: NDArray[np.int64], now: NDArray[np.float64], then: NDArray[np.float64]) -> float:
    """The largest change of one word's populations, summed over its states."""
    most = 0.0
    for d in range(first.size - 1):
        change = 0.0
        for i in range(first[d], first[d + 1]):
            change += abs(then[i] - now[i])
        most = max(most, change)
    return most


@compiled
def relax(
    states: States,
    bare: NDArray[np.float64],
    pairs: NDArray[np.int64],
    strength: NDArray[np.float64],
    crossing: float,
    root: float,
    stiffness: float,
    damping: float,
    tolerance: float,
    steps: int,
    shares: NDArray[np.float64],
    energies: NDArray[np.float64],
    path: NDArray[np.float64],
) -> tuple[int, bool]:
    """Let the populations relax, and hang the words by them.

    Args:
        states: M states.
        bare: [M] float64 in nat.
        pairs, strength: [B, 2] int64, [B] float64.
        crossing, root: nat for a crossing, and for another word at ROOT.
        stiffness: nat / length^2 of the springs between the heights of head and dependent; 0 is none.
        damping: in (0, 1], the share of the way that a step goes.
        tolerance: at rest when no word's populations change by more in a step, summed.
        steps: at most.
        shares: [steps + 1, M] or [2, M] float64, filled with populations; of 2 rows, each step takes the other.
        energies: [steps + 1] or [1] float64, filled likewise with the free energy; of 1 row, only the last is kept.
        path: [steps + 1 or 2, P, 3] float64, filled with positions from the first on; or [0, P, 3] for none.

    Returns:
        steps made, and whether it came to rest; what is last stands in row steps modulo the rows.

    Cost: O(steps (B + M log N)).
    """
    by_left, by_right = bond_orders(states)
    felt, own = np.zeros(bare.size), bare.copy()
    populations(states.first, own, shares[0])
    fields = own.copy()
    at_rest, step = False, 0
    while True:
        now = shares[step % shares.shape[0]]
        coupled_field(states, pairs, strength, by_left, by_right, crossing, root, now, felt)
        if path.shape[0]:
            strain(states, bare, path[step % path.shape[0]], stiffness, own)
        if energies.size > 1:
            energies[step] = free_energy(own, felt, now)
        if step == steps or at_rest:
            break
        then = shares[(step + 1) % shares.shape[0]]
        for i in range(bare.size):
            fields[i] += damping * (own[i] + felt[i] - fields[i])
        populations(states.first, fields, then)
        if path.shape[0]:
            hang(states, then, path[step % path.shape[0]], path[(step + 1) % path.shape[0]])
        at_rest = most_change(states.first, now, then) < tolerance
        step += 1
    if energies.size == 1:
        energies[0] = free_energy(own, felt, now)
    return step, at_rest


@compiled
def strain(
    states: States,
    bare: NDArray[np.float64],
    positions: NDArray[np.float64],
    stiffness: float,
    own: NDArray[np.float64],
) -> None:
    """A dependent hangs one level below its head: own = bare - stiffness / 2 (z_head - z_dependent - 1)^2; [M] each."""
    for i in range(bare.size):
        off = positions[states.head[i], 2] - positions[states.word[i], 2] - 1.0
        own[i] = bare[i] - 0.5 * stiffness * off * off


@compiled
def hang(states: States, shares: NDArray[np.float64], before: NDArray[np.float64], after: NDArray[np.float64]) -> None:
    """Every word moves half the way to where its bonds hold it: one level below its heads, dependents to both sides.

    Args:
        states: M states.
        shares: [M] float64, populations.
        before: [P, 3] float64.
        after: [P, 3] float64, filled.
    """
    after[:] = before
    for d in range(1, before.shape[0]):
        y, z = 0.0, 0.0
        for i in range(states.first[d - 1], states.first[d]):
            h = states.head[i]
            y += shares[i] * (before[h, 1] + (0.0 if h == 0 else 0.5 if d > h else -0.5))
            z += shares[i] * (before[h, 2] - 1.0)
        after[d, 1] += 0.5 * (y - after[d, 1])
        # Words that hang from each other would sink for ever.
        after[d, 2] = max(after[d, 2] + 0.5 * (z - after[d, 2]), -float(before.shape[0]))
