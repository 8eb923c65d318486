"""Exact parsing with the grammar itself: the ceiling for every parser that knows less than the whole grammar.

Axes: `X` symbols, `N` words, `R` steps (rules of at most two children). Spans are [begin, end).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dynamics.compile import compiled
from feasibility.toy_grammar.rules import Grammar, MalformedGrammar


def viterbi_heads(grammar: Grammar, tags: tuple[str, ...]) -> NDArray[np.int64]:
    """The tree of the single most probable derivation: as many whole sentences right as possible.

    Args:
        grammar: checked.
        tags: [N] of the grammar's lexicon.

    Returns:
        [N] int64, heads counted from 1; 0 is ROOT.

    Raises:
        MalformedGrammar: the grammar does not derive these tags.

    Cost: O(R * N^3).

    Source: CKY with the Viterbi maximum.
    """
    steps, head_first, log_p = _arrays(grammar)
    heads = _viterbi(_indices(grammar, tags), steps, head_first, log_p, len(grammar.symbols), _start(grammar))
    if heads.size == 0:
        raise MalformedGrammar(f"{grammar.name}: does not derive the tags {' '.join(tags)}")
    return heads


def bond_posteriors(grammar: Grammar, tags: tuple[str, ...]) -> NDArray[np.float64]:
    """How probable each bond is, summed over all derivations of these tags.

    Fed to `eisner`, they give the tree with the most correct heads that any parser can expect: the ceiling of UAS.

    Args:
        grammar: checked.
        tags: [N] of the grammar's lexicon.

    Returns:
        [N + 1, N + 1] float64, posterior[h, d]; every column d >= 1 sums to 1.

    Raises:
        MalformedGrammar: the grammar does not derive these tags.

    Cost: O(R * N^5), tiny for toy lengths (N <= 20).

    Source: inside-outside over spans with their head word.
    """
    steps, head_first, log_p = _arrays(grammar)
    posterior = _inside_outside(
        _indices(grammar, tags), steps, head_first, np.exp(log_p), len(grammar.symbols), _start(grammar)
    )
    if not posterior.any():
        raise MalformedGrammar(f"{grammar.name}: does not derive the tags {' '.join(tags)}")
    return posterior


def _arrays(grammar: Grammar) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.float64]]:
    steps = np.array([(step.left, step.first, step.second) for step in grammar.steps], np.int64)
    head_first = np.array([step.head_first for step in grammar.steps])
    return steps, head_first, np.log([step.probability for step in grammar.steps])


def _indices(grammar: Grammar, tags: tuple[str, ...]) -> NDArray[np.int64]:
    return np.array([grammar.tags.index(tag) for tag in tags], np.int64)


def _start(grammar: Grammar) -> int:
    return grammar.symbols.index(grammar.start)


@compiled
def _viterbi(
    tags: NDArray[np.int64],
    steps: NDArray[np.int64],
    head_first: NDArray[np.bool_],
    log_p: NDArray[np.float64],
    symbols: int,
    start: int,
) -> NDArray[np.int64]:
    n = tags.size
    best = np.full((symbols, n + 1, n + 1), -np.inf)
    choice = np.full((symbols, n + 1, n + 1, 2), -1, np.int64)
    for i in range(n):
        best[tags[i], i, i + 1] = 0.0
    for width in range(1, n + 1):
        for i in range(n - width + 1):
            j = i + width
            for r in range(steps.shape[0]):
                x, y, z = steps[r, 0], steps[r, 1], steps[r, 2]
                for k in range(i + 1 if z >= 0 else j, j if z >= 0 else j + 1):
                    value = log_p[r] + best[y, i, k] + (best[z, k, j] if z >= 0 else 0.0)
                    if value > best[x, i, j]:
                        best[x, i, j] = value
                        choice[x, i, j, 0], choice[x, i, j, 1] = r, k
    if best[start, 0, n] == -np.inf:
        return np.zeros(0, np.int64)
    return _heads(n, start, choice, steps, head_first)


@compiled
def _heads(
    n: int, start: int, choice: NDArray[np.int64], steps: NDArray[np.int64], head_first: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Walk the best derivation twice: down for the spans, back up for the head words."""
    spans = np.zeros((4 * n + 4 * choice.shape[0], 5), np.int64)
    filled, at = _open(spans, 0, start, 0, n, -1, False), 0
    while at < filled:
        x, i, j = spans[at, 0], spans[at, 1], spans[at, 2]
        r, k = choice[x, i, j, 0], choice[x, i, j, 1]
        if r >= 0:
            filled = _open(spans, filled, steps[r, 1], i, k, at, head_first[r])
            if steps[r, 2] >= 0:
                filled = _open(spans, filled, steps[r, 2], k, j, at, not head_first[r])
        at += 1
    word = np.full(filled, -1, np.int64)
    for at in range(filled - 1, -1, -1):
        if word[at] < 0:
            word[at] = spans[at, 1]
        if spans[at, 3] >= 0 and spans[at, 4]:
            word[spans[at, 3]] = word[at]
    heads = np.zeros(n, np.int64)
    for at in range(1, filled):
        if not spans[at, 4]:
            heads[word[at]] = word[spans[at, 3]] + 1
    return heads


@compiled
def _open(spans: NDArray[np.int64], row: int, symbol: int, begin: int, end: int, parent: int, is_head: bool) -> int:
    """Fill one row: symbol, begin, end, parent row, whether it is its parent's head child. Returns the next row."""
    spans[row, 0], spans[row, 1], spans[row, 2], spans[row, 3] = symbol, begin, end, parent
    spans[row, 4] = 1 if is_head else 0
    return row + 1


@compiled
def _inside(
    tags: NDArray[np.int64],
    steps: NDArray[np.int64],
    head_first: NDArray[np.bool_],
    p: NDArray[np.float64],
    symbols: int,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """[X, N + 1, N + 1, N] by symbol, span and its head word, and the same summed over the head word."""
    n = tags.size
    inside, total = np.zeros((symbols, n + 1, n + 1, n)), np.zeros((symbols, n + 1, n + 1))
    for i in range(n):
        inside[tags[i], i, i + 1, i] = total[tags[i], i, i + 1] = 1.0
    for width in range(1, n + 1):
        for i in range(n - width + 1):
            j = i + width
            for r in range(steps.shape[0]):
                x, y, z = steps[r, 0], steps[r, 1], steps[r, 2]
                for k in range(i + 1 if z >= 0 else j, j if z >= 0 else j + 1):
                    for h in range(i, j):
                        if z < 0:
                            value = inside[y, i, j, h]
                        elif head_first[r]:
                            value = inside[y, i, k, h] * total[z, k, j]
                        else:
                            value = total[y, i, k] * inside[z, k, j, h]
                        inside[x, i, j, h] += p[r] * value
                        total[x, i, j] += p[r] * value
    return inside, total


@compiled
def _inside_outside(
    tags: NDArray[np.int64],
    steps: NDArray[np.int64],
    head_first: NDArray[np.bool_],
    p: NDArray[np.float64],
    symbols: int,
    start: int,
) -> NDArray[np.float64]:
    """Axis 3 of the tables is the head word of the span."""
    n = tags.size
    inside, total = _inside(tags, steps, head_first, p, symbols)
    outside = np.zeros((symbols, n + 1, n + 1, n))
    posterior = np.zeros((n + 1, n + 1))
    whole = total[start, 0, n]
    if whole == 0.0:
        return posterior
    for h in range(n):
        outside[start, 0, n, h] = 1.0 / whole
        posterior[0, h + 1] = inside[start, 0, n, h] / whole
    for width in range(n, 0, -1):
        for i in range(n - width + 1):
            j = i + width
            for r in range(steps.shape[0] - 1, -1, -1):
                x, y, z = steps[r, 0], steps[r, 1], steps[r, 2]
                if z < 0:
                    for h in range(i, j):
                        outside[y, i, j, h] += p[r] * outside[x, i, j, h]
                    continue
                for k in range(i + 1, j):
                    if total[y, i, k] > 0.0 and total[z, k, j] > 0.0:
                        if head_first[r]:
                            _descend(
                                p[r],
                                outside[x, i, j],
                                inside[y, i, k],
                                inside[z, k, j],
                                outside[y, i, k],
                                outside[z, k, j],
                                posterior,
                            )
                        else:
                            _descend(
                                p[r],
                                outside[x, i, j],
                                inside[z, k, j],
                                inside[y, i, k],
                                outside[z, k, j],
                                outside[y, i, k],
                                posterior,
                            )
    return posterior


@compiled
def _descend(
    p: float,
    above: NDArray[np.float64],
    head: NDArray[np.float64],
    other: NDArray[np.float64],
    outside_head: NDArray[np.float64],
    outside_other: NDArray[np.float64],
    posterior: NDArray[np.float64],
) -> None:
    """Pass the outside weights of a span on to its head child and its other child, and count the bond between them."""
    mass, through = 0.0, 0.0
    for w in range(head.size):
        mass += other[w]
        through += p * above[w] * head[w]
    for h in range(head.size):
        outside_head[h] += p * above[h] * mass
        outside_other[h] += through
        for d in range(head.size):
            posterior[h + 1, d + 1] += p * above[h] * head[h] * other[d]
