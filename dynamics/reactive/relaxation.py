"""The relaxation: every word follows its field, and only words that something still happens to take part in a step.

Axes: `P` particles, ROOT (0) and the N words; `M` states; `B` pairs; `T` recorded moments.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dynamics.compile import compiled
from dynamics.reactive.bonds import populations
from dynamics.reactive.states import States

# Shares of the tolerance: a word whose populations have changed by less since it last told the others keeps silent, and
# one whose field is off by less nat sleeps.
_SILENT, _ASLEEP = 0.01, 0.1
# Steps after which a sentence that is still not at rest goes half as far: bonds that shun each other and step at the
# same time can swing for ever, all of them to one side and then all to the other.
_PATIENCE = 50


class Links(NamedTuple):
    """Who feels whom: pairs of states, from the view of each of the two.

    Args:
        begin: [M + 1] int64, where the links of each state begin.
        partner: [2 B] int32, the other state.
        strength: [2 B] float64 in nat, how much the two like to be together.
    """

    begin: NDArray[np.int64]
    partner: NDArray[np.int32]
    strength: NDArray[np.float64]


@compiled
def link(
    total: int,
    pairs: NDArray[np.int64],
    strength: NDArray[np.float64],
    crossed: NDArray[np.int64],
    crossing: float,
) -> Links:
    """Links of pairs.

    Args:
        total: M.
        pairs, strength: [B, 2] int64, [B] float64.
        crossed: [X, 2] int64, states whose bonds cross.
        crossing: nat that a crossing costs.

    Cost: O(M + B + X).
    """
    begin = np.zeros(total + 1, np.int64)
    for some in (pairs, crossed):
        for b in range(some.shape[0]):
            begin[some[b, 0] + 1] += 1
            begin[some[b, 1] + 1] += 1
    for i in range(total):
        begin[i + 1] += begin[i]
    fill = begin.copy()
    partner, worth = np.empty(begin[total], np.int32), np.empty(begin[total])
    for kind in range(2):
        some = pairs if kind == 0 else crossed
        for b in range(some.shape[0]):
            i, j = some[b, 0], some[b, 1]
            partner[fill[i]], partner[fill[j]] = j, i
            worth[fill[i]] = worth[fill[j]] = strength[b] if kind == 0 else -crossing
            fill[i] += 1
            fill[j] += 1
    return Links(begin, partner, worth)


@compiled
def free_energy(bare: NDArray[np.float64], field: NDArray[np.float64], shares: NDArray[np.float64]) -> float:
    """F in nat; field is that of these populations."""
    energy = 0.0
    for i in range(shares.size):
        if shares[i] > 0.0:
            energy += shares[i] * (math.log(shares[i]) - bare[i] - 0.5 * field[i])
    return energy


@compiled
def relax(
    states: States,
    bare: NDArray[np.float64],
    links: Links,
    root: float,
    stiffness: float,
    damping: float,
    tolerance: float,
    steps: int,
    shares: NDArray[np.float64],
    energies: NDArray[np.float64],
    path: NDArray[np.float64],
) -> tuple[int, bool, int, int]:
    """Let the populations relax, and hang the words by them.

    Args:
        states: M states.
        bare: [M] float64 in nat.
        links: of the states.
        root: nat for another word at ROOT.
        stiffness: nat / length^2 of the springs between the heights of head and dependent; 0 is none.
        damping: in (0, 1], the share of the way that a step goes; half of it after 50 steps.
        tolerance: at rest when no word's populations change by more in a step, summed; at 0 nothing is neglected.
        steps: at most.
        shares: [steps + 1, M] or [1, M] float64, filled with the populations; of 1 row, only the last are kept.
        energies: [steps + 1] or [1] float64, filled likewise with the free energy.
        path: [steps + 1 or 2, P, 3] float64, filled with positions from the first on; or [0, P, 3] for none.

    Returns:
        steps made, whether it came to rest, links that were felt along, and states that moved, all steps together.

    Cost: O(B + M) a step at most; later steps only pay for words that are not yet at rest.
    """
    first = states.first
    own, fields, felt, total = bare.copy(), bare.copy(), np.zeros(bare.size), np.empty(bare.size)
    populations(first, fields, shares[0])
    told, awake = np.zeros(bare.size), np.ones(first.size - 1, np.bool_)
    used = _tell(states, links, shares[0], 0.0, told, felt, awake)
    at_rest, step, moved, heard = False, 0, 0, np.zeros(1)
    while True:
        now = shares[step % shares.shape[0]]
        if path.shape[0]:
            strain(states, bare, path[step % path.shape[0]], stiffness, own)
            for d in range(awake.size):
                awake[d] |= stiffness > 0.0
        _feel_root(states, now, root, tolerance, felt, total, heard, awake)
        if energies.size > 1 or step == steps or at_rest:
            energies[step % energies.size] = free_energy(own, total, now)
        if step == steps or at_rest:
            break
        then = shares[(step + 1) % shares.shape[0]]
        if shares.shape[0] > 1:
            for i in range(now.size):
                then[i] = now[i]
        most, share = 0.0, damping if step < _PATIENCE else 0.5 * damping
        for d in range(awake.size):
            if awake[d]:
                begin, end = first[d], first[d + 1]
                change, off = _follow(begin, end, own, total, share, fields, then)
                most, moved = max(most, change), moved + end - begin
                awake[d] = (1.0 - share) * off > _ASLEEP * tolerance
        used += _tell(states, links, then, _SILENT * tolerance, told, felt, awake)
        if path.shape[0]:
            hang(states, then, path[step % path.shape[0]], path[(step + 1) % path.shape[0]])
        at_rest = most < tolerance
        step += 1
    return step, at_rest, used, moved


@compiled
def _tell(
    states: States,
    links: Links,
    now: NDArray[np.float64],
    silent: float,
    told: NDArray[np.float64],
    felt: NDArray[np.float64],
    awake: NDArray[np.bool_],
) -> int:
    """Words whose populations have changed tell those that they are linked with, who wake; returns links used.

    Args:
        states, links: M states.
        now: [M] float64, populations.
        silent: a change of a word, summed, up to which it tells nothing.
        told: [M] float64, the populations that the others know of; changed.
        felt: [M] float64, fields of the links; changed.
        awake: [N], changed.
    """
    first, word = states.first, states.word
    begin, partner, strength = links.begin, links.partner, links.strength
    used = 0
    for d in range(first.size - 1):
        change = 0.0
        for i in range(first[d], first[d + 1]):
            change += abs(now[i] - told[i])
        if change > silent:
            for i in range(first[d], first[d + 1]):
                more = now[i] - told[i]
                told[i] = now[i]
                for e in range(begin[i], begin[i + 1]):
                    j = partner[e]
                    felt[j] += strength[e] * more
                    awake[word[j] - 1] = True
                used += begin[i + 1] - begin[i]
    return used


@compiled
def _feel_root(
    states: States,
    now: NDArray[np.float64],
    root: float,
    tolerance: float,
    felt: NDArray[np.float64],
    total: NDArray[np.float64],
    heard: NDArray[np.float64],
    awake: NDArray[np.bool_],
) -> None:
    """Fill in all that is felt: of the links, and of the other words at ROOT; wake those that this is news for.

    Args:
        states: M states.
        now: [M] float64, populations.
        root: nat for another word at ROOT.
        tolerance: see `relax`.
        felt: [M] float64, of the links.
        total: [M] float64, filled.
        heard: [1] float64, how many words at ROOT the others know of; changed.
        awake: [N], changed.
    """
    head, word, there = states.head, states.word, 0.0
    for i in range(now.size):
        if head[i] == 0:
            there += now[i]
    news = abs(there - heard[0]) > _SILENT * tolerance
    if news:
        heard[0] = there
    for i in range(now.size):
        total[i] = felt[i]
        if head[i] == 0 and root != 0.0:
            total[i] -= root * (there - now[i])
            if news:
                awake[word[i] - 1] = True


@compiled
def _follow(
    begin: int,
    end: int,
    own: NDArray[np.float64],
    felt: NDArray[np.float64],
    damping: float,
    fields: NDArray[np.float64],
    shares: NDArray[np.float64],
) -> tuple[float, float]:
    """One word goes a part of the way to where its field points.

    Args:
        begin, end: its states.
        own, felt: [M] float64 in nat; the latter is used up.
        damping: the part.
        fields, shares: [M] float64, changed.

    Returns:
        The change of its populations, summed, and how far its fields were off, in nat.
    """
    best, whole, off, change = -np.inf, 0.0, 0.0, 0.0
    for i in range(begin, end):
        gap = own[i] + felt[i] - fields[i]
        off = max(off, abs(gap))
        fields[i] += damping * gap
        best = max(best, fields[i])
    for i in range(begin, end):
        felt[i] = math.exp(fields[i] - best)
        whole += felt[i]
    for i in range(begin, end):
        share = felt[i] / whole
        change += abs(share - shares[i])
        shares[i] = share
    return change, off


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
    for d in range(before.shape[0]):
        for axis in range(3):
            after[d, axis] = before[d, axis]
    for d in range(1, before.shape[0]):
        y, z = 0.0, 0.0
        for i in range(states.first[d - 1], states.first[d]):
            h = states.head[i]
            y += shares[i] * (before[h, 1] + (0.0 if h == 0 else 0.5 if d > h else -0.5))
            z += shares[i] * (before[h, 2] - 1.0)
        after[d, 1] += 0.5 * (y - after[d, 1])
        # Words that hang from each other would sink for ever.
        after[d, 2] = max(after[d, 2] + 0.5 * (z - after[d, 2]), -float(before.shape[0]))
