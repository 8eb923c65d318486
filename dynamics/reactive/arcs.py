"""Charges: how probable each head is for a word, before any bond has heard of another.

p(h | d) = softmax over h of the sum of the weights of the bond's features

Twice: coarsely for all heads, from a few features, and then from all features for the dozen heads that this leaves.

Axes: `P` particles, ROOT (0) and the N words; `A` templates; `S` sentences; `W` weights, a power of 2;
`K` heads that are left.

Source: features after McDonald, Crammer and Pereira (2005); head selection after Zhang, Cheng and Lapata (2017).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dynamics.compile import compiled
from dynamics.reactive.features import (
    BETWEEN,
    CIRCUMSTANCES,
    COUNTS,
    DISTANCE,
    SIDE,
    Templates,
    Weights,
    both_shares,
    circumstances,
    first_bits,
    mixed,
    scattered,
    templates_of,
)
from dynamics.reactive.spans import span_tables, tags_between

_PAIRS = [
    ("wx", "wx"), ("x", "wx"), ("w", "wx"), ("wx", "x"), ("wx", "w"), ("w", "w"), ("x", "x"), ("u", "u"),
    ("u", "wu"), ("wu", "u"), ("e", "e"), ("x", "ex"), ("ex", "x"), ("xs", "xs"),
]  # fmt: skip
_CONTEXT = [
    ("xR", "Lx"), ("Lx", "Lx"), ("xR", "xR"), ("Lx", "xR"), ("xR", "x"), ("Lx", "x"), ("x", "Lx"), ("x", "xR"),
    ("LxR", "x"), ("x", "LxR"), ("lur", "lur"), ("x", "KLx"), ("x", "xRQ"), ("KLx", "x"), ("xRQ", "x"),
    ("x", "vx"), ("x", "xy"), ("xy", "x"), ("vx", "x"),
]  # fmt: skip
TEMPLATES = (
    [(h, d, SIDE) for h, d in _PAIRS]
    + [(h, d, DISTANCE) for h, d in _PAIRS]
    + [(h, d, DISTANCE) for h, d in _CONTEXT]
    + [("wx", "", DISTANCE), ("w", "", DISTANCE), ("x", "", DISTANCE), ("LxR", "", DISTANCE), ("ex", "", DISTANCE)]
    + [("", "wx", DISTANCE), ("", "w", DISTANCE), ("", "x", DISTANCE), ("", "LxR", DISTANCE), ("", "ex", DISTANCE)]
    + [("u", "u", BETWEEN), ("x", "x", BETWEEN), ("", "w", BETWEEN), ("w", "", BETWEEN)]
    + [("x", "x", COUNTS), ("x", "w", COUNTS), ("w", "x", COUNTS), ("u", "lur", COUNTS), ("lur", "u", COUNTS)]
    # The last two are taken once for every tag in between.
    + [("u", "u", SIDE), ("x", "x", SIDE)]
)
COARSE_TEMPLATES = [
    ("u", "u", DISTANCE), ("x", "x", DISTANCE), ("u", "u", BETWEEN), ("x", "x", COUNTS), ("w", "x", DISTANCE),
    ("x", "w", DISTANCE), ("u", "lur", DISTANCE), ("lur", "u", DISTANCE), ("xR", "Lx", SIDE), ("Lx", "Lx", SIDE),
]  # fmt: skip


class Spans(NamedTuple):
    """What stands between words, from `span_tables`."""

    masks: NDArray[np.int64]
    verbs: NDArray[np.int64]
    marks: NDArray[np.int64]


FINE = templates_of(TEMPLATES, salt=3, between=2)
COARSE = templates_of(COARSE_TEMPLATES, salt=1)
TAGS = 62


@compiled
def bond_places(
    d: int,
    chosen: NDArray[np.int64],
    spans: Spans,
    heads: NDArray[np.uint64],
    dependents: NDArray[np.uint64],
    templates: Templates,
    bits: int,
    places: NDArray[np.int32],
    counts: NDArray[np.int64],
) -> None:
    """The features of some bonds of one word.

    Args:
        d: the word, 1..N.
        chosen: [K] int64, which heads.
        spans: of the sentence.
        heads, dependents: [P, A] uint64, shares of the words in the templates.
        templates: A.
        bits: of the table.
        places: [K, A + 62 between] int32, filled: places in the table of the bond to each head.
        counts: [K] int64, filled: how many.

    Cost: O(K A).
    """
    runs, once = templates.runs, templates.runs[-1, 1]
    masks, verbs, marks = spans.masks, spans.verbs, spans.marks
    around = np.empty(CIRCUMSTANCES, np.uint64)
    for k in range(chosen.size):
        h = chosen[k]
        side, low, high = 1 if h > d else 0, min(h, d) + 1, max(h, d)
        between = tags_between(masks, low, high)
        circumstances(side, high - low + 1, between, verbs[high] - verbs[low], marks[high] - marks[low], around)
        for r in range(runs.shape[0]):
            same = around[runs[r, 2]]
            for t in range(runs[r, 0], runs[r, 1]):
                places[k, t] = first_bits(heads[h, t] + dependents[d, t] + same, bits)
        count, tag = once, 0
        while templates.between and between >> tag:
            if (between >> tag) & 1:
                more = scattered(mixed(np.uint64(side + 1), np.uint64(256 + tag)))
                for t in range(once, once + templates.between):
                    places[k, count] = first_bits(heads[h, t] + dependents[d, t] + more, bits)
                    count += 1
            tag += 1
        counts[k] = count


@compiled
def room_for(most: int, templates: Templates) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Room for the features of so many bonds of a word: places and counts, see `bond_places`."""
    return np.empty((most, templates.head.shape[0] + TAGS * templates.between), np.int32), np.zeros(most, np.int64)


@compiled
def bond_sums(
    places: NDArray[np.int32],
    counts: NDArray[np.int64],
    weights: Weights,
    scale: float,
    sums: NDArray[np.float64],
) -> None:
    """The same but for a constant; sums [K] is filled.

    Args:
        places, counts: from `bond_places`.
        weights: [W] float32, or int8 in units of scale.
        scale: nat.
    """
    for k in range(sums.size):
        # In the type of the weights' sum, which for eight bits is a whole number.
        total = weights[places[k, 0]] * 1
        for f in range(1, counts[k]):
            total += weights[places[k, f]]
        sums[k] = total * scale


@compiled
def bond_scores(
    places: NDArray[np.int32],
    counts: NDArray[np.int64],
    weights: Weights,
    scale: float,
    scores: NDArray[np.float64],
) -> None:
    """Log-probabilities of the chosen heads of one word; scores [K] is filled."""
    bond_sums(places, counts, weights, scale, scores)
    best, whole = -np.inf, 0.0
    for k in range(scores.size):
        best = max(best, scores[k])
    for k in range(scores.size):
        whole += math.exp(scores[k] - best)
    whole = best + math.log(whole)
    for k in range(scores.size):
        scores[k] -= whole


@compiled
def keep_best(
    chosen: NDArray[np.int64], scores: NDArray[np.float64], most: int, spread: float, kept: NDArray[np.int64]
) -> int:
    """Fill in the best of the chosen heads, in their order; returns how many.

    Args:
        chosen, scores: [K].
        most: that are kept.
        spread: nat below the best, from where on none is kept.
        kept: int64, filled.
    """
    # The least of the best, by pushing the best ones through a short sorted list.
    best, count = np.full(most, -np.inf), 0
    for k in range(chosen.size):
        if scores[k] > best[most - 1]:
            m = most - 1
            while m > 0 and best[m - 1] < scores[k]:
                best[m] = best[m - 1]
                m -= 1
            best[m] = scores[k]
    least = max(best[most - 1], best[0] - spread)
    for k in range(chosen.size):
        if count < most and scores[k] >= least:
            kept[count] = chosen[k]
            count += 1
    return count


@compiled
def _with_right(kept: NDArray[np.int64], count: int, right: int) -> int:
    """Put the right head among those that are kept, if it is not; returns how many they are then."""
    for k in range(count):
        if kept[k] == right:
            return count
    k = count
    while k > 0 and kept[k - 1] > right:
        kept[k] = kept[k - 1]
        k -= 1
    kept[k] = right
    return count + 1


@compiled
def fit_charges(
    starts: NDArray[np.int64],
    codes: NDArray[np.uint64],
    tags: NDArray[np.int64],
    kinds: NDArray[np.int64],
    gold: NDArray[np.int64],
    order: NDArray[np.int64],
    templates: Templates,
    coarse: tuple[NDArray[np.float32], int],
    most: int,
    rate: float,
    bits: int,
    weights: NDArray[np.float32],
    squares: NDArray[np.float32],
) -> float:
    """One pass of AdaGrad over some sentences; returns the mean loss per word in nat.

    Args:
        starts: [S + 1] int64, where each sentence begins in the following arrays; it has N + 2 rows.
        codes, tags, kinds, gold: of all sentences one after the other; gold holds heads.
        order: sentences to go through.
        templates: FINE or COARSE.
        coarse: weights and bits of the coarse model, which says what heads a word is left.
        most: how many; 0 leaves all and asks no coarse model.
        rate: of learning.
        bits: log2 W.
        weights, squares: [W] float32, changed.
    """
    loss, words = 0.0, 0
    for s in order:
        begin, end = starts[s], starts[s + 1]
        own_tags, own_kinds = tags[begin : end - 1], kinds[begin : end - 1]
        rough_heads, rough_dependents = both_shares(codes[begin:end], COARSE)
        heads, dependents = both_shares(codes[begin:end], templates)
        size = heads.shape[0]
        spans = Spans(*span_tables(own_tags, own_kinds))
        rough_places, rough_counts = room_for(size, COARSE)
        places, counts = room_for(size, templates)
        scores, every, kept = np.empty(size), np.empty(size - 1, np.int64), np.empty(size - 1, np.int64)
        for d in range(1, size):
            right = gold[begin + d]
            for k in range(size - 1):
                every[k] = k if k < d else k + 1
            chosen = every
            if 0 < most < size - 1:
                bond_places(
                    d, every, spans, rough_heads, rough_dependents, COARSE, coarse[1], rough_places, rough_counts
                )
                bond_scores(rough_places, rough_counts, coarse[0], 1.0, scores[: every.size])
                chosen = kept[: _with_right(kept, keep_best(every, scores, most, np.inf, kept), right)]
            bond_places(d, chosen, spans, heads, dependents, templates, bits, places, counts)
            bond_scores(places, counts, weights, 1.0, scores[: chosen.size])
            words += 1
            for k in range(chosen.size):
                slope = math.exp(scores[k]) - (1.0 if chosen[k] == right else 0.0)
                if chosen[k] == right:
                    loss -= scores[k]
                if abs(slope) > 1e-3:
                    descend(places[k, : counts[k]], slope, rate, weights, squares)
    return loss / max(words, 1)


@compiled
def descend(
    places: NDArray[np.int32], slope: float, rate: float, weights: NDArray[np.float32], squares: NDArray[np.float32]
) -> None:
    """One AdaGrad step of the weights at some places."""
    for p in places:
        squares[p] += slope * slope
        weights[p] -= rate * slope / math.sqrt(squares[p])
