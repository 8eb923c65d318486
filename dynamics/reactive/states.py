"""The states of every word: which head it may hang from, and at which of the head's bonding sites.

A head has two sites for every label, one for each side. Axes: `P` particles, ROOT (0) and the N words; `L` labels;
`M` states of all words, one after the other.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dynamics.compile import compiled
from dynamics.reactive.features import Weights, word_shares
from dynamics.reactive.labels import DEPENDENT, DEPENDENT_SALT, HEAD, HEAD_SALT, label_rows, log_labels

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
    charges: NDArray[np.float64],
    codes: NDArray[np.uint64],
    tags: NDArray[np.int64],
    kinds: NDArray[np.int64],
    weights: Weights,
    scale: float,
    bits: int,
    most_heads: int,
    most_states: int,
    depth: float,
) -> States:
    """The most probable states of every word.

    Args:
        charges: [P, P] float64, log p(h | d).
        codes, tags, kinds: of the sentence.
        weights: [R, L] of the labels, in units of scale; R = 2^bits.
        most_heads: a word is given at most.
        most_states: likewise.
        depth: nat below the best state, from where on states are left out.

    Cost: O(N^2) for the best heads, O(N) label look-ups.
    """
    size, labels = charges.shape[0], weights.shape[1]
    heads, dependents = word_shares(codes, HEAD, HEAD_SALT), word_shares(codes, DEPENDENT, DEPENDENT_SALT)
    rows, chances = np.empty(HEAD.shape[0], np.int64), np.empty(labels)
    found_heads = np.empty(most_heads * labels, np.int64)
    found_sites = np.empty(most_heads * labels, np.int64)
    found_fits = np.empty(most_heads * labels)
    found = np.empty(most_heads * labels)
    room = (size - 1) * most_states
    first = np.zeros(size, np.int64)
    word, head, site = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.int64)
    charge, fit = np.empty(room), np.empty(room)
    total = 0
    best_heads = np.empty(most_heads, np.int64)
    for d in range(1, size):
        count = 0
        for k in range(_best_heads(charges, d, depth, best_heads)):
            h = best_heads[k]
            if h == 0:
                found_heads[count], found_sites[count], found_fits[count] = 0, ROOT_SITE, 0.0
                found[count] = charges[0, d]
                count += 1
                continue
            label_rows(h, d, heads, dependents, tags, kinds, bits, rows)
            log_labels(rows, weights, scale, chances)
            for label in range(1, labels):
                if chances[label] > -depth:
                    found_heads[count], found_sites[count] = h, (labels if h > d else 0) + label
                    found_fits[count], found[count] = chances[label], charges[h, d] + chances[label]
                    count += 1
        if count == 0:
            # Hundreds of labels can all be less probable than that.
            found_heads[0], found_sites[0] = h, (labels if h > d else 0) + np.argmax(chances)
            found_fits[0] = chances.max()
            found[0], count = charges[h, d] + found_fits[0], 1
        limit = found[:count].max() - depth
        for _ in range(min(count, most_states)):
            i = np.argmax(found[:count])
            if found[i] < limit:
                break
            word[total], head[total], site[total] = d, found_heads[i], found_sites[i]
            charge[total], fit[total] = charges[found_heads[i], d], found_fits[i]
            found[i] = -np.inf
            total += 1
        first[d] = total
    return States(first, word[:total], head[:total], site[:total], charge[:total], fit[:total])


@compiled
def _best_heads(charges: NDArray[np.float64], d: int, depth: float, best: NDArray[np.int64]) -> int:
    """Fill in the most probable heads of a word, at most as many as there is room for; returns how many."""
    count, top = 0, -np.inf
    for h in range(charges.shape[0]):
        top = max(top, charges[h, d] if h != d else -np.inf)
    for h in range(charges.shape[0]):
        if h == d or charges[h, d] < top - depth:
            continue
        k = min(count, best.size - 1)
        if count == best.size and charges[h, d] <= charges[best[k], d]:
            continue
        while k > 0 and charges[best[k - 1], d] < charges[h, d]:
            best[k] = best[k - 1]
            k -= 1
        best[k] = h
        count = min(count + 1, best.size)
    return count
