"""The states of every word: which head it may hang from, and at which of the head's bonding sites.

A head has two sites for every label, one for each side. Axes: `P` particles, ROOT (0) and the N words; `L` labels;
`M` states of all words, one after the other.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dynamics.compile import compiled
from dynamics.reactive.features import both_shares, greatest
from dynamics.reactive.labels import LABELS, label_rows, log_labels
from dynamics.reactive.reach import Charges

ROOT_SITE = 0


class States(NamedTuple):
    """What every word can do.

    Args:
        first: [N + 1] int64, where the states of each word begin.
        word: [M] int64, whose state it is, 1..N.
        head: [M] int64.
        site: [M] int64, side * L + label; side 1 where the head stands to the right.
        charge: [M] float64 in nat, log p(head).
        fit: [M] float64 in nat, log p(label | head).
    """

    first: NDArray[np.int64]
    word: NDArray[np.int64]
    head: NDArray[np.int64]
    site: NDArray[np.int64]
    charge: NDArray[np.float64]
    fit: NDArray[np.float64]


@compiled
def list_states(
    charges: Charges,
    codes: NDArray[np.uint64],
    tags: NDArray[np.int64],
    kinds: NDArray[np.int64],
    names: tuple[NDArray[np.int8], float, int],
    most: int,
    depth: float,
) -> States:
    """The most probable states of every word.

    Args:
        charges: K heads of a word at most.
        codes, tags, kinds: of the sentence.
        names: weights [R, L] of the labels, their scale, and log2 R.
        most: that a word is given.
        depth: nat below the best state, from where on states are left out.

    Cost: O(N K) label look-ups.
    """
    weights, scale, bits = names
    counts, heads_left, scores = charges.kept, charges.head, charges.score
    size, labels, most_heads = counts.size, weights.shape[1], heads_left.shape[1]
    heads, dependents = both_shares(codes, LABELS)
    rows, sums, chances = np.empty(LABELS.head.shape[0], np.int64), np.empty(labels, np.int32), np.empty(labels)
    found_heads = np.empty(most_heads * labels, np.int64)
    found_sites = np.empty(most_heads * labels, np.int64)
    found_fits = np.empty(most_heads * labels)
    found = np.empty(most_heads * labels)
    room = (size - 1) * most
    first = np.zeros(size, np.int64)
    word, head, site = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int64)
    charge, fit = np.empty(room), np.empty(room)
    total = 0
    order = np.empty(most_heads, np.int64)
    found_charges = np.empty(most_heads * labels)
    for d in range(1, size):
        count = 0
        for k in range(_by_charge(scores[d, : counts[d]], depth, order)):
            h, own = heads_left[d, order[k]], scores[d, order[k]]
            if h == 0:
                found_heads[count], found_sites[count], found_fits[count] = 0, ROOT_SITE, 0.0
                found[count] = found_charges[count] = own
                count += 1
                continue
            label_rows(h, d, heads, dependents, tags, kinds, bits, rows)
            log_labels(rows, weights, scale, sums, chances)
            for label in range(1, labels):
                if chances[label] > -depth:
                    found_heads[count], found_sites[count] = h, (labels if h > d else 0) + label
                    found_fits[count], found_charges[count] = chances[label], own
                    found[count] = own + chances[label]
                    count += 1
        if count == 0:
            # Hundreds of labels can all be less probable than that.
            label = greatest(chances, labels)
            found_heads[0], found_sites[0] = h, (labels if h > d else 0) + label
            found_fits[0], found_charges[0] = chances[label], own
            found[0], count = own + chances[label], 1
        limit = found[greatest(found, count)] - depth
        for _ in range(min(count, most)):
            i = greatest(found, count)
            if found[i] < limit:
                break
            word[total], head[total], site[total] = d, found_heads[i], found_sites[i]
            charge[total], fit[total] = found_charges[i], found_fits[i]
            found[i] = -np.inf
            total += 1
        first[d] = total
    return States(first, word[:total], head[:total], site[:total], charge[:total], fit[:total])


@compiled
def _by_charge(scores: NDArray[np.float64], depth: float, order: NDArray[np.int64]) -> int:
    """Fill in the places of the scores that are not deeper than depth below the best, best first; returns how many."""
    count, least = 0, -np.inf
    for i in range(scores.size):
        least = max(least, scores[i] - depth)
    for i in range(scores.size):
        if scores[i] >= least:
            k = count
            while k > 0 and scores[order[k - 1]] < scores[i]:
                order[k] = order[k - 1]
                k -= 1
            order[k] = i
            count += 1
    return count
