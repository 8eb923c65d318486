"""Learning the couplings: the gradient of the loss through every step of a relaxation, written out by hand.

loss = sum over words and the first, middle and last populations of -ln P(gold state)

Axes: `N` words; `M` states; `B` pairs; `T` steps; `V` constants.

Source: unrolled mean field after Wang and Tu (2020); the reverse pass is ours, tested against finite differences.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from dynamics.compile import compiled
from dynamics.reactive.bonds import add_crossings, add_root, bond_orders, coupled_field, populations
from dynamics.reactive.couplings import (
    CHARGE,
    CROSSING,
    FIT,
    ROOT,
    SIBLINGS,
    TABLES,
    UPBONDS,
    VOTES,
    Constants,
    Switches,
    bare_fields,
    hashed_start,
    list_pairs,
    pair_places,
    strengths,
    vote_places,
)
from dynamics.reactive.points import fill_tables, move_points
from dynamics.reactive.states import States


@compiled
def loss_shares(steps: int) -> NDArray[np.float64]:
    """[T + 1] float64, how much the populations after each step count: the first, the middle and above all the last."""
    shares = np.zeros(steps + 1)
    shares[0] += 0.1
    shares[steps // 2] += 0.3
    shares[steps] += 1.0
    return shares


@compiled
def unrolled_gradient(
    states: States,
    gold: NDArray[np.int64],
    bare: NDArray[np.float64],
    pairs: NDArray[np.int64],
    strength: NDArray[np.float64],
    crossing: float,
    root: float,
    damping: float,
    steps: int,
) -> tuple[float, NDArray[np.float64], NDArray[np.float64], float, float]:
    """The loss of one sentence and its slopes.

    Args:
        states: M states.
        gold: [N] int64, the right state of each word, -1 where it is not among the states.
        bare: [M] float64.
        pairs, strength: [B, 2] int64, [B] float64.
        crossing, root: nat.
        damping: in (0, 1].
        steps: T.

    Returns:
        loss in nat; its slopes by bare [M], strength [B], crossing and root.

    Cost: O(T (B + M log N)).
    """
    total = bare.size
    by_left, by_right = bond_orders(states)
    shares, weight = np.empty((steps + 1, total)), loss_shares(steps)
    fields, felt = bare.copy(), np.empty(total)
    populations(states.first, fields, shares[0])
    for step in range(steps):
        coupled_field(states, pairs, strength, by_left, by_right, crossing, root, shares[step], felt)
        for i in range(total):
            fields[i] += damping * (bare[i] + felt[i] - fields[i])
        populations(states.first, fields, shares[step + 1])
    loss, slope_bare, slope_strength = 0.0, np.zeros(total), np.zeros(strength.size)
    slope_crossing, slope_root = 0.0, 0.0
    slope, back = np.zeros(total), np.zeros(total)
    for step in range(steps, -1, -1):
        now = shares[step]
        if step < steps:
            # slope is that of the fields after this step; they hold the felt field and a remainder of the old fields.
            for i in range(total):
                slope[i] *= damping
                slope_bare[i] += slope[i]
            coupled_field(states, pairs, strength, by_left, by_right, crossing, root, slope, back)
            for b in range(strength.size):
                i, j = pairs[b, 0], pairs[b, 1]
                slope_strength[b] += slope[i] * now[j] + slope[j] * now[i]
            felt[:] = 0.0
            add_crossings(states, by_left, by_right, now, 1.0, felt)
            slope_crossing -= _product(slope, felt)
            felt[:] = 0.0
            add_root(states, now, 1.0, felt)
            slope_root -= _product(slope, felt)
            rest = (1.0 - damping) / damping
            for i in range(total):
                slope[i] *= rest
        else:
            back[:] = 0.0
        for d in range(gold.size):
            _through_softmax(states.first[d], states.first[d + 1], now, back, slope)
            if gold[d] >= 0 and weight[step] > 0.0:
                loss -= weight[step] * math.log(max(now[gold[d]], 1e-30))
                for i in range(states.first[d], states.first[d + 1]):
                    slope[i] += weight[step] * now[i]
                slope[gold[d]] -= weight[step]
    for i in range(total):
        slope_bare[i] += slope[i]
    return loss, slope_bare, slope_strength, slope_crossing, slope_root


@compiled
def _product(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    total = 0.0
    for i in range(a.size):
        total += a[i] * b[i]
    return total


@compiled
def _through_softmax(
    begin: int, end: int, shares: NDArray[np.float64], back: NDArray[np.float64], slope: NDArray[np.float64]
) -> None:
    mean = 0.0
    for i in range(begin, end):
        mean += shares[i] * back[i]
    for i in range(begin, end):
        slope[i] += shares[i] * (back[i] - mean)


@compiled
def _move(constants: NDArray[np.float32], squares: NDArray[np.float32], place: int, slope: float, rate: float) -> None:
    squares[place] += slope * slope
    constants[place] -= rate * slope / math.sqrt(squares[place])


@compiled
def fit_sentence(
    states: States,
    gold: NDArray[np.int64],
    codes: NDArray[np.uint64],
    switches: Switches,
    damping: float,
    steps: int,
    rate: float,
    sites: int,
    bits: int,
    constants: NDArray[np.float32],
    squares: NDArray[np.float32],
    space: tuple[NDArray[np.float32], NDArray[np.float32]] | None,
) -> float:
    """One AdaGrad step on one sentence; returns its loss.

    Args:
        states, gold, codes: of the sentence.
        switches: see `dynamics.reactive.couplings.Couplings`.
        damping, steps: of the relaxation.
        rate: of learning.
        sites, bits: see `dynamics.reactive.couplings`.
        constants, squares: [V] float32, changed.
        space: points and their squares, [3, Z, 1 + D] float32, changed, see `dynamics.reactive.points`; None where the
            tables of the constants are free: then what moves points is not even compiled.
    """
    siblings, upbonds, crossing, root, votes, details = switches
    pairs, kinds = list_pairs(states, siblings, upbonds, np.ones(states.word.size), 0.0, states.first.size)
    start = hashed_start(sites)
    known = Constants(constants[:start], constants[start:], 1.0)
    strength = strengths(states, pairs, kinds, codes, known, sites, bits, details)
    bare = bare_fields(states, codes, known, sites, bits, votes)
    k = float(constants[CROSSING]) if crossing else 0.0
    r = float(constants[ROOT]) if root else 0.0
    loss, by_bare, by_strength, by_crossing, by_root = unrolled_gradient(
        states, gold, bare, pairs, strength, k, r, damping, steps
    )
    found, free = np.empty(max(VOTES, SIBLINGS, UPBONDS), np.int64), 0
    if space is not None:
        free = 1
    for b in range(kinds.size):
        if abs(by_strength[b]) > 1e-4:
            i, j = pairs[b, 0], pairs[b, 1]
            count = pair_places(states, i, j, kinds[b], codes, sites, bits, found)
            if space is not None:
                move_points(kinds[b], states.site[i], states.site[j], by_strength[b], rate, space[0], space[1])
            for f in range(free, count if details else 1):
                _move(constants, squares, found[f], by_strength[b], rate)
    if space is not None:
        fill_tables(space[0], constants)
    for i in range(bare.size):
        if votes and abs(by_bare[i]) > 1e-4:
            vote_places(codes, states.head[i], states.word[i], states.site[i], sites, bits, found)
            for f in range(VOTES):
                _move(constants, squares, found[f], by_bare[i], rate)
    slopes = np.zeros(TABLES)
    slopes[CHARGE], slopes[FIT] = _product(by_bare, states.charge), _product(by_bare, states.fit)
    slopes[CROSSING] = by_crossing if crossing else 0.0
    slopes[ROOT] = by_root if root else 0.0
    for c in range(TABLES):
        # Factors move less than what is in nat.
        if slopes[c] != 0.0:
            _move(constants, squares, c, slopes[c], 0.1 * rate if c in (CHARGE, FIT) else rate)
    return loss
