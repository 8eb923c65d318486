"""Which heads a word may have at all: all that are near, and of the others those that suit words of its kind best.

A sentence of N words has N^2 pairs. Far from a word only few are worth a look, mostly verbs, and which ones depends on
little but the word's tag: so every tag keeps a short list of far heads, to the left and to the right, and the lists
change as one walks along the sentence.

Axes: `P` particles, ROOT (0) and the N words; `A` templates; `G` different tags in the sentence; `F` far heads.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dynamics.compile import compiled
from dynamics.reactive import codes as columns
from dynamics.reactive.arcs import (
    COARSE,
    COARSE_TEMPLATES,
    FINE,
    Spans,
    bond_places,
    bond_scores,
    bond_sums,
    keep_best,
    room_for,
)
from dynamics.reactive.features import CIRCUMSTANCES, DISTANCE, Weights, both_shares, circumstances, first_bits
from dynamics.reactive.spans import span_tables

# By these alone a far head is known to suit all words of a tag.
FAR = np.array([t for t, (_, d, what) in enumerate(COARSE_TEMPLATES) if d in "ux" and what == DISTANCE], np.int64)
_UPOS, _FINE = columns.UPOS, columns.FINE


class Reach(NamedTuple):
    """Which heads are left to a word.

    Args:
        most: K, those that the coarse model likes best.
        spread: nat below its best, from where on a head is left out.
        near, far: it is asked about all heads within so many words, and so many beyond on either side.
    """

    most: int
    spread: float
    near: int
    far: int


class Charges(NamedTuple):
    """How probable the heads of every word are.

    Args:
        kept: [P] int64, how many heads are left to each word; 0 to ROOT.
        head: [P, K] int64, ascending.
        score: [P, K] float64 in nat, log p(h | d).
    """

    kept: NDArray[np.int64]
    head: NDArray[np.int64]
    score: NDArray[np.float64]


@compiled
def far_heads(
    codes: NDArray[np.uint64],
    heads: NDArray[np.uint64],
    dependents: NDArray[np.uint64],
    chosen: NDArray[np.int64],
    weights: Weights,
    bits: int,
    near: int,
    far: int,
) -> NDArray[np.int64]:
    """For every word, the heads beyond its neighbourhood that suit its tag best.

    Args:
        codes: [N + 2, 5] uint64.
        heads, dependents: [P, A] uint64, shares of the words in the coarse templates.
        chosen: the templates that see of the dependent its tags only, and the distance.
        weights, bits: of the coarse model.
        near: words on either side that are no concern of this list.
        far: F.

    Returns:
        [P, 2, F] int64, ascending, to the left and to the right of each word; 0 where there are not so many.

    Cost: O(N G).
    """
    size = heads.shape[0]
    out = np.zeros((size, 2, far), np.int64)
    if far == 0 or size - 1 <= near + 1:
        return out
    group, first = np.empty(size, np.int64), np.empty(size, np.int64)
    groups = 0
    for d in range(1, size):
        g = 0
        while g < groups and (codes[first[g], _FINE] != codes[d, _FINE] or codes[first[g], _UPOS] != codes[d, _UPOS]):
            g += 1
        if g == groups:
            first[g] = d
            groups += 1
        group[d] = g
    around = np.empty(CIRCUMSTANCES, np.uint64)
    best, held = np.empty((groups, far)), np.empty((groups, far), np.int64)
    for side in range(2):
        circumstances(side, size, 0, 0, 0, around)
        best[:], held[:] = -np.inf, 0
        for step in range(1, size):
            d = step if side == 0 else size - step
            h = d - near - 1 if side == 0 else d + near + 1
            if not 1 <= h < size:
                continue
            for g in range(groups):
                score = 0.0
                for t in chosen:
                    score += weights[first_bits(heads[h, t] + dependents[first[g], t] + around[DISTANCE], bits)]
                if score > best[g, far - 1]:
                    k = far - 1
                    while k > 0 and best[g, k - 1] < score:
                        best[g, k], held[g, k] = best[g, k - 1], held[g, k - 1]
                        k -= 1
                    best[g, k], held[g, k] = score, h
            for k in range(far):
                h, m = held[group[d], k], k
                while m > 0 and out[d, side, m - 1] > h:
                    out[d, side, m] = out[d, side, m - 1]
                    m -= 1
                out[d, side, m] = h
    return out


@compiled
def heads_in_reach(d: int, size: int, near: int, far: NDArray[np.int64], out: NDArray[np.int64]) -> int:
    """Fill in the heads that a word may have, ascending; returns how many.

    Args:
        d: the word, 1..N.
        size: P.
        near: words on either side.
        far: [2, F] int64 of `far_heads`.
        out: [P] int64, filled.
    """
    out[0], count = 0, 1
    for h in far[0]:
        if h > 0:
            out[count] = h
            count += 1
    for h in range(max(1, d - near), min(size, d + near + 1)):
        if h != d:
            out[count] = h
            count += 1
    for h in far[1]:
        if h > 0:
            out[count] = h
            count += 1
    return count


@compiled
def log_charges(
    codes: NDArray[np.uint64],
    tags: NDArray[np.int64],
    kinds: NDArray[np.int64],
    coarse: tuple[Weights, float, int],
    charges: tuple[Weights, float, int],
    reach: Reach,
) -> Charges:
    """Log-probabilities of the heads of all words.

    Args:
        codes: [N + 2, 5] uint64.
        tags, kinds: [P] int64.
        coarse, charges: weights, scale and bits of the coarse model and of the full one.
        reach: which heads are left to a word.

    Returns:
        The heads that are left, K at most, and log p(h | d).

    Cost: O(N (near + far) coarse features, O(N K) features.
    """
    rough_heads, rough_dependents = both_shares(codes, COARSE)
    heads, dependents = both_shares(codes, FINE)
    size, most = heads.shape[0], reach.most
    spans = Spans(*span_tables(tags, kinds))
    far = far_heads(codes, rough_heads, rough_dependents, FAR, coarse[0], coarse[2], reach.near, reach.far)
    room = min(size, 2 * (reach.near + reach.far) + 1)
    rough_places, rough_counts = room_for(room, COARSE)
    places, counts = room_for(most, FINE)
    chosen, rough = np.empty(room, np.int64), np.empty(room)
    left, kept_heads, scores = np.zeros(size, np.int64), np.zeros((size, most), np.int64), np.empty((size, most))
    scores[0] = -np.inf
    for d in range(1, size):
        count = heads_in_reach(d, size, reach.near, far[d], chosen)
        kept = kept_heads[d]
        for k in range(most):
            scores[d, k] = -np.inf
        if count > most or reach.spread < np.inf:
            bond_places(
                d, chosen[:count], spans, rough_heads, rough_dependents, COARSE, coarse[2], rough_places, rough_counts
            )
            bond_sums(rough_places, rough_counts, coarse[0], coarse[1], rough[:count])
            count = keep_best(chosen[:count], rough[:count], most, reach.spread, kept)
        else:
            for k in range(count):
                kept[k] = chosen[k]
        bond_places(d, kept[:count], spans, heads, dependents, FINE, charges[2], places, counts)
        bond_scores(places, counts, charges[0], charges[1], scores[d, :count])
        left[d] = count
    return Charges(left, kept_heads, scores)
