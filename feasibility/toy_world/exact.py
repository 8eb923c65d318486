"""What comes next in a toy world, exactly: inside scores of sentences whose unread rest is wildcards.

P(w_1 ... w_t, length n) is the inside score of w_1 ... w_t followed by n - t wildcards, where a wildcard emits every
word with its own probability. Summed over n and divided by the same sum for the shorter prefix it is the law of the
next word; the sentence ends with what the term n = t has of the sum. Ambiguity is summed over, nothing approximated.

The law is that of sentences of 5 to 10 words, drawn by rejection. Scores are plain float64: a sentence of 10 words has
1e-20 at the least. Axes: `X` symbols, `P` preterminals, `W` places, `S` sentences, `L` = 10 words.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dynamics.compile import compiled
from feasibility.toy_world.grammar import World
from feasibility.toy_world.sampling import LONGEST, SHORTEST


class NotInWorld(ValueError):
    """A sentence or a prefix that the grammar does not derive in 5 to 10 words."""


class Law:
    """The law of the sentences of a world.

    Args:
        world: any; the law is one of places, the same for all worlds.
        unread: [W] bool, places that what is still unread may hold; None for all. A prefix may hold any place. With it
            the law is that of sentences which go on without the words that are held out.
    """

    def __init__(self, world: World, unread: NDArray[np.bool_] | None = None) -> None:
        self._world = world
        self._emission = np.ascontiguousarray(world.emission.T)
        self._unread = np.ones(len(world.words), bool) if unread is None else unread
        self._wild = np.tile(world.emission @ self._unread, (LONGEST, 1))
        self._rules = (world.binary, world.binary_p, world.unary, world.unary_p)

    def log_probability(self, places: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.float64]:
        """ln P(sentence), in nats: the code length of a whole sentence, its end included, with the sign turned.

        Args:
            places: [S, L] int64, -1 after the end.
            lengths: [S] int64, 5 to 10.

        Returns:
            [S] float64: ln(inside(sentence) / Z), Z the probability of a length from 5 to 10 and unread words.

        Raises:
            NotInWorld: the grammar does not derive a sentence.

        Cost: O(S R L^3), about 0.1 ms a sentence.
        """
        size = len(self._world.symbols)
        inside = _sentences(places, lengths, self._emission, *self._rules, size, self._world.start)
        lost = (inside <= 0.0) | (lengths < SHORTEST) | (lengths > LONGEST)
        if lost.any():
            raise NotInWorld(
                f"sentence {int(np.flatnonzero(lost)[0])} is none of this grammar, or has not {SHORTEST} to {LONGEST} "
                "words"
            )
        result: NDArray[np.float64] = np.log(inside) - np.log(self.normaliser())
        return result

    def normaliser(self) -> float:
        """Z: how probable the grammar makes a sentence of 5 to 10 words that may be read."""
        size, start = len(self._world.symbols), self._world.start
        return float(_inside(self._wild, *self._rules, size)[0, SHORTEST:, start].sum())

    def next_word(self, places: NDArray[np.int64], lengths: NDArray[np.int64]) -> NDArray[np.float64]:
        """The law of every next word of every sentence.

        Args:
            places: [S, L] int64, -1 after the end.
            lengths: [S] int64; also of a mere prefix, 0 included.

        Returns:
            [S, L + 1, W + 1] float64. Row t is the law of what follows the first t words; the last entry is the end of
            the sentence. Rows after the end are 0.

        Raises:
            NotInWorld: no sentence begins with such a prefix.

        Cost: O(S R L^3), about 1 ms a sentence.
        """
        result = np.zeros((len(places), LONGEST + 1, len(self._unread) + 1))
        size, start = len(self._world.symbols), self._world.start
        lost = _next(places, lengths, self._emission, self._wild, *self._rules, size, start, self._unread, result)
        if lost >= 0:
            raise NotInWorld(f"no sentence of {SHORTEST} to {LONGEST} words begins as sentence {lost} does")
        return result


@compiled
def _span(
    chart: NDArray[np.float64],
    begin: int,
    end: int,
    binary: NDArray[np.int64],
    binary_p: NDArray[np.float64],
    unary: NDArray[np.int64],
    unary_p: NDArray[np.float64],
    preterminals: int,
) -> None:
    """Inside scores of one span from those of its parts; those of its preterminals are left as they are."""
    cell = chart[begin, end]
    cell[preterminals:] = 0.0
    for split in range(begin + 1, end):
        left, right = chart[begin, split], chart[split, end]
        for r in range(binary.shape[0]):
            cell[binary[r, 0]] += binary_p[r] * left[binary[r, 1]] * right[binary[r, 2]]
    for r in range(unary.shape[0]):
        cell[unary[r, 0]] += unary_p[r] * cell[unary[r, 1]]


@compiled
def _inside(
    words: NDArray[np.float64],
    binary: NDArray[np.int64],
    binary_p: NDArray[np.float64],
    unary: NDArray[np.int64],
    unary_p: NDArray[np.float64],
    symbols: int,
) -> NDArray[np.float64]:
    """[N, N + 1, X] scores of all spans, from the preterminals' scores of each word, [N, P]."""
    n, p = words.shape
    chart = np.zeros((n, n + 1, symbols))
    for i in range(n):
        # Not a slice: for its error message numba compiles text, which takes two seconds.
        for k in range(p):
            chart[i, i + 1, k] = words[i, k]
    for width in range(1, n + 1):
        for i in range(n - width + 1):
            _span(chart, i, i + width, binary, binary_p, unary, unary_p, p)
    return chart


@compiled
def _sentences(
    places: NDArray[np.int64],
    lengths: NDArray[np.int64],
    emission: NDArray[np.float64],
    binary: NDArray[np.int64],
    binary_p: NDArray[np.float64],
    unary: NDArray[np.int64],
    unary_p: NDArray[np.float64],
    symbols: int,
    start: int,
) -> NDArray[np.float64]:
    """[S] inside scores of whole sentences; emission is [W, P]."""
    scores = np.zeros(places.shape[0])
    for s in range(places.shape[0]):
        words = emission[places[s, : lengths[s]]]
        scores[s] = _inside(words, binary, binary_p, unary, unary_p, symbols)[0, lengths[s], start]
    return scores


@compiled
def _next(
    places: NDArray[np.int64],
    lengths: NDArray[np.int64],
    emission: NDArray[np.float64],
    wild: NDArray[np.float64],
    binary: NDArray[np.int64],
    binary_p: NDArray[np.float64],
    unary: NDArray[np.int64],
    unary_p: NDArray[np.float64],
    symbols: int,
    start: int,
    unread: NDArray[np.bool_],
    result: NDArray[np.float64],
) -> int:
    """Fill [S, L + 1, W + 1]; returns -1, or the first sentence that no derivation begins with."""
    preterminals = wild.shape[1]
    empty = _inside(wild, binary, binary_p, unary, unary_p, symbols)
    outside = np.zeros_like(empty)
    for s in range(places.shape[0]):
        chart = empty.copy()
        for t in range(lengths[s] + 1):
            law = result[s, t]
            if t >= SHORTEST:
                law[-1] = chart[0, t, start]
            if t < LONGEST:
                _outside(chart, outside, t, binary, binary_p, unary, unary_p, start)
                for w in range(emission.shape[0]):
                    if unread[w]:
                        law[w] = np.dot(emission[w], outside[t, t + 1, :preterminals])
            total = law.sum()
            if not total > 0.0:
                return s
            law /= total
            if t < lengths[s]:
                # Only spans that hold word t change when it is read.
                for p in range(preterminals):
                    chart[t, t + 1, p] = emission[places[s, t], p]
                for width in range(1, LONGEST + 1):
                    for i in range(max(0, t - width + 1), min(t, LONGEST - width) + 1):
                        _span(chart, i, i + width, binary, binary_p, unary, unary_p, preterminals)
    return -1


@compiled
def _outside(
    chart: NDArray[np.float64],
    outside: NDArray[np.float64],
    word: int,
    binary: NDArray[np.int64],
    binary_p: NDArray[np.float64],
    unary: NDArray[np.int64],
    unary_p: NDArray[np.float64],
    start: int,
) -> None:
    """Outside scores of the spans that hold one word, summed over all lengths of the sentence."""
    for i in range(word + 1):
        for j in range(word + 1, LONGEST + 1):
            outside[i, j] = 0.0
    for n in range(max(SHORTEST, word + 1), LONGEST + 1):
        outside[0, n, start] = 1.0
    for width in range(LONGEST, 0, -1):
        for i in range(max(0, word - width + 1), min(word, LONGEST - width) + 1):
            j = i + width
            above = outside[i, j]
            for r in range(unary.shape[0] - 1, -1, -1):
                above[unary[r, 1]] += unary_p[r] * above[unary[r, 0]]
            for split in range(i + 1, j):
                holds = split > word
                part, beside = (outside[i, split], chart[split, j]) if holds else (outside[split, j], chart[i, split])
                own, other = (1, 2) if holds else (2, 1)
                for r in range(binary.shape[0]):
                    part[binary[r, own]] += binary_p[r] * above[binary[r, 0]] * beside[binary[r, other]]
