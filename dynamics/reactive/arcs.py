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
    Weights,
    circumstances,
    mixed,
    place_of,
    template_table,
    word_shares,
)

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


class Templates(NamedTuple):
    """Templates as kernels take them.

    Args:
        head, dependent, circumstance: from `template_table`.
        between: how many of them, the last, are taken once for every tag in between.
    """

    head: NDArray[np.int64]
    dependent: NDArray[np.int64]
    circumstance: NDArray[np.int64]
    between: int


FINE = Templates(*template_table(TEMPLATES), 2)
COARSE = Templates(*template_table(COARSE_TEMPLATES), 0)
TAGS = 62
_VERB, _MARK = 1, 2


@compiled
def bond_places(
    d: int,
    wanted: NDArray[np.bool_],
    heads: NDArray[np.uint64],
    dependents: NDArray[np.uint64],
    templates: Templates,
    tags: NDArray[np.int64],
    kinds: NDArray[np.int64],
    bits: int,
    places: NDArray[np.int32],
    counts: NDArray[np.int64],
) -> None:
    """The features of some bonds of one word.

    Args:
        d: the word, 1..N.
        wanted: [P] bool, which heads.
        heads, dependents: [P, A] uint64, shares of the words in the templates.
        templates: A.
        tags: [P] int64 in 0..62.
        kinds: [P] int64, 1 for verbs, 2 for punctuation, else 0.
        bits: of the table.
        places: [P, A + 62 between] int32, filled: places in the table of the bond to each head.
        counts: [P] int64, filled: how many.

    Cost: O(N + wanted A).
    """
    size, once = heads.shape[0], templates.circumstance.size - templates.between
    around = np.empty(CIRCUMSTANCES, np.uint64)
    for side in range(2):
        step = -1 if side == 0 else 1
        h, between, verbs, marks = d + step, 0, 0, 0
        while 0 <= h < size:
            if wanted[h]:
                circumstances(side, abs(h - d), between, verbs, marks, around)
                for t in range(once):
                    key = heads[h, t] + dependents[d, t] + around[templates.circumstance[t]]
                    places[h, t] = place_of(key, bits)
                count, tag = once, 0
                while templates.between and between >> tag:
                    if (between >> tag) & 1:
                        more = mixed(np.uint64(side + 1), np.uint64(256 + tag))
                        for t in range(once, once + templates.between):
                            places[h, count] = place_of(heads[h, t] + dependents[d, t] + more, bits)
                            count += 1
                    tag += 1
                counts[h] = count
            between |= 1 << tags[h]
            verbs += kinds[h] == _VERB
            marks += kinds[h] == _MARK
            h += step


@compiled
def _room(size: int, templates: Templates) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    return np.empty((size, templates.circumstance.size + TAGS * templates.between), np.int32), np.zeros(size, np.int64)


@compiled
def bond_scores(
    wanted: NDArray[np.bool_],
    places: NDArray[np.int32],
    counts: NDArray[np.int64],
    weights: Weights,
    scale: float,
    scores: NDArray[np.float64],
) -> None:
    """Log-probabilities of the wanted heads of one word; scores [P] is filled, with -inf for all other heads."""
    best, whole = -np.inf, 0.0
    for h in range(wanted.size):
        scores[h] = -np.inf
        if wanted[h]:
            # In the type of the weights' sum, which for eight bits is a whole number.
            total = weights[places[h, 0]] * 1
            for f in range(1, counts[h]):
                total += weights[places[h, f]]
            scores[h] = total * scale
            best = max(best, scores[h])
    for h in range(wanted.size):
        whole += math.exp(scores[h] - best)
    whole = best + math.log(whole)
    for h in range(wanted.size):
        scores[h] -= whole


@compiled
def keep_best(scores: NDArray[np.float64], d: int, most: int, wanted: NDArray[np.bool_]) -> None:
    """Mark the best heads of a word, at most so many; wanted [P] is filled."""
    if scores.size - 1 <= most:
        wanted[:] = True
        wanted[d] = False
        return
    wanted[:] = False
    # The least of the best, by pushing the best ones through a short sorted list.
    best = np.full(most, -np.inf)
    for h in range(scores.size):
        if h != d and scores[h] > best[most - 1]:
            k = most - 1
            while k > 0 and best[k - 1] < scores[h]:
                best[k] = best[k - 1]
                k -= 1
            best[k] = scores[h]
    left = most
    for h in range(scores.size):
        if h != d and left > 0 and scores[h] >= best[most - 1]:
            wanted[h] = True
            left -= 1


@compiled
def log_charges(
    codes: NDArray[np.uint64],
    tags: NDArray[np.int64],
    kinds: NDArray[np.int64],
    coarse: tuple[Weights, float, int],
    weights: Weights,
    scale: float,
    bits: int,
    most: int,
) -> NDArray[np.float64]:
    """Log-probabilities of the heads of all words.

    Args:
        codes: [N + 2, 5] uint64.
        tags, kinds: [P] int64.
        coarse: weights, scale and bits of the coarse model.
        weights: [W] float32, or int8 in units of scale.
        scale: nat.
        bits: log2 W.
        most: heads that are left to a word, K.

    Returns:
        [P, P] float64, log p(h | d) at [h, d]; -inf where h is not left, on the diagonal and in column 0.

    Cost: O(N^2) coarse features, O(N K) features.
    """
    rough_heads, rough_dependents = word_shares(codes, COARSE.head, 1), word_shares(codes, COARSE.dependent, 2)
    heads, dependents = word_shares(codes, FINE.head, 3), word_shares(codes, FINE.dependent, 4)
    size = heads.shape[0]
    rough_places, rough_counts = _room(size, COARSE)
    places, counts = _room(size, FINE)
    out, scores, wanted = np.full((size, size), -np.inf), np.empty(size), np.empty(size, np.bool_)
    for d in range(1, size):
        wanted[:] = True
        wanted[d] = False
        if size - 1 > most:
            bond_places(
                d, wanted, rough_heads, rough_dependents, COARSE, tags, kinds, coarse[2], rough_places, rough_counts
            )
            bond_scores(wanted, rough_places, rough_counts, coarse[0], coarse[1], scores)
            keep_best(scores, d, most, wanted)
        bond_places(d, wanted, heads, dependents, FINE, tags, kinds, bits, places, counts)
        bond_scores(wanted, places, counts, weights, scale, scores)
        out[:, d] = scores
    return out


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
        rough_heads = word_shares(codes[begin:end], COARSE.head, 1)
        rough_dependents = word_shares(codes[begin:end], COARSE.dependent, 2)
        # Coarse and fine models share no table, so their features may share salts.
        heads = word_shares(codes[begin:end], templates.head, 3 if most else 1)
        dependents = word_shares(codes[begin:end], templates.dependent, 4 if most else 2)
        size = heads.shape[0]
        rough_places, rough_counts = _room(size, COARSE)
        places, counts = _room(size, templates)
        scores, wanted = np.empty(size), np.empty(size, np.bool_)
        for d in range(1, size):
            right = gold[begin + d]
            wanted[:] = True
            wanted[d] = False
            if 0 < most < size - 1:
                bond_places(
                    d, wanted, rough_heads, rough_dependents, COARSE, own_tags, own_kinds, coarse[1],
                    rough_places, rough_counts,
                )  # fmt: skip
                bond_scores(wanted, rough_places, rough_counts, coarse[0], 1.0, scores)
                keep_best(scores, d, most, wanted)
                wanted[right] = True
            bond_places(d, wanted, heads, dependents, templates, own_tags, own_kinds, bits, places, counts)
            bond_scores(wanted, places, counts, weights, 1.0, scores)
            loss -= scores[right]
            words += 1
            for h in range(size):
                if wanted[h]:
                    slope = math.exp(scores[h]) - (1.0 if h == right else 0.0)
                    if abs(slope) > 1e-3:
                        descend(places[h, : counts[h]], slope, rate, weights, squares)
    return loss / max(words, 1)


@compiled
def descend(
    places: NDArray[np.int32], slope: float, rate: float, weights: NDArray[np.float32], squares: NDArray[np.float32]
) -> None:
    """One AdaGrad step of the weights at some places."""
    for p in places:
        squares[p] += slope * slope
        weights[p] -= rate * slope / math.sqrt(squares[p])
