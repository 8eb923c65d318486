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
    UPBONDS,
    VOTES,
    bare_fields,
    list_pairs,
    pair_places,
    strengths,
    vote_places,
)
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
        fields += damping * (bare + felt - fields)
        populations(states.first, fields, shares[step + 1])
    loss, slope_bare, slope_strength = 0.0, np.zeros(total), np.zeros(strength.size)
    slope_crossing, slope_root = 0.0, 0.0
    slope, back = np.zeros(total), np.zeros(total)
    for step in range(steps, -1, -1):
        now = shares[step]
        if step < steps:
            # slope is that of the fields after this step; they hold the felt field and a remainder of the old fields.
            slope_bare += damping * slope
            slope *= damping
            coupled_field(states, pairs, strength, by_left, by_right, crossing, root, slope, back)
            for b in range(strength.size):
                i, j = pairs[b, 0], pairs[b, 1]
                slope_strength[b] += slope[i] * now[j] + slope[j] * now[i]
            felt[:] = 0.0
            add_crossings(states, by_left, by_right, now, 1.0, felt)
            slope_crossing -= (slope * felt).sum()
            felt[:] = 0.0
            add_root(states, now, 1.0, felt)
            slope_root -= (slope * felt).sum()
            slope *= (1.0 - damping) / damping
        else:
            back[:] = 0.0
        for d in range(gold.size):
            _through_softmax(states.first[d], states.first[d + 1], now, back, slope)
            if gold[d] >= 0 and weight[step] > 0.0:
                loss -= weight[step] * math.log(max(now[gold[d]], 1e-30))
                for i in range(states.first[d], states.first[d + 1]):
                    slope[i] += weight[step] * now[i]
                slope[gold[d]] -= weight[step]
    slope_bare += slope
    return loss, slope_bare, slope_strength, slope_crossing, slope_root


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
    switches: tuple[bool, bool, bool, bool, bool],
    damping: float,
    steps: int,
    rate: float,
    sites: int,
    bits: int,
    constants: NDArray[np.float32],
    squares: NDArray[np.float32],
) -> float:
    """One AdaGrad step on one sentence; returns its loss.

    Args:
        states, gold, codes: of the sentence.
        switches: siblings, up-bonds, crossing, root, votes.
        damping, steps: of the relaxation.
        rate: of learning.
        sites, bits: see `dynamics.reactive.couplings`.
        constants, squares: [V] float32, changed.
    """
    siblings, upbonds, crossing, root, votes = switches
    pairs, kinds = list_pairs(states, siblings, upbonds, np.ones(states.word.size), 0.0, states.first.size)
    strength = strengths(states, pairs, kinds, codes, constants, sites, bits)
    bare = bare_fields(states, codes, constants, sites, bits, votes)
    k = float(constants[CROSSING]) if crossing else 0.0
    r = float(constants[ROOT]) if root else 0.0
    loss, by_bare, by_strength, by_crossing, by_root = unrolled_gradient(
        states, gold, bare, pairs, strength, k, r, damping, steps
    )
    places = np.empty(max(VOTES, SIBLINGS, UPBONDS), np.int64)
    for b in range(kinds.size):
        if abs(by_strength[b]) > 1e-4:
            for f in range(pair_places(states, pairs[b, 0], pairs[b, 1], kinds[b], codes, sites, bits, places)):
                _move(constants, squares, places[f], by_strength[b], rate)
    for i in range(bare.size):
        if votes and abs(by_bare[i]) > 1e-4:
            vote_places(codes, states.head[i], states.word[i], states.site[i], sites, bits, places)
            for f in range(VOTES):
                _move(constants, squares, places[f], by_bare[i], rate)
    _move(constants, squares, CHARGE, (by_bare * states.charge).sum(), 0.1 * rate)
    _move(constants, squares, FIT, (by_bare * states.fit).sum(), 0.1 * rate)
    if crossing:
        _move(constants, squares, CROSSING, by_crossing, rate)
    if root:
        _move(constants, squares, ROOT, by_root, rate)
    return loss
