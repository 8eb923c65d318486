"""Fine tags where nobody gave any: verb forms, number, kinds of pronouns, read off the words and their neighbours.

p(x | i) = softmax over the fine tags that the part of speech of word i was seen with

Axes: `P` particles; `A` templates; `U` universal tags; `X` fine tags; `W` weights, a power of 2.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from dynamics.compile import compiled
from dynamics.reactive.codes import FINE
from dynamics.reactive.features import SIDE, Weights, first_bits, greatest, mixed, scattered, templates_of, word_shares

_PROPERTIES = "u uw ue ues us uv uy ulr uvV uyY uev uey uel uer uekl uerq uwv uwy uVl uTkl uekv"
TEMPLATES = templates_of([(one, "", SIDE) for one in _PROPERTIES.split()], salt=3)


@compiled
def tag_scores(
    shares: NDArray[np.uint64], choices: NDArray[np.int64], weights: Weights, bits: int
) -> NDArray[np.float64]:
    """Log-probabilities, but for a constant and the unit, of some fine tags of one word.

    Args:
        shares: [A] uint64 of the word.
        choices: indices of the tags.
        weights: [W] float32, or int8.
        bits: log2 W.
    """
    scores = np.zeros(choices.size)
    for c in range(choices.size):
        salt = scattered(mixed(np.uint64(choices[c] + 1), np.uint64(7)))
        for t in range(shares.size):
            scores[c] += weights[first_bits(shares[t] + salt, bits)]
    return scores


@compiled
def tag_sentence(
    codes: NDArray[np.uint64],
    tags: NDArray[np.int64],
    first: NDArray[np.int64],
    choices: NDArray[np.int64],
    fine_codes: NDArray[np.uint64],
    weights: Weights,
    bits: int,
) -> None:
    """Write the most probable fine tag of every word into the codes of a sentence.

    Args:
        codes: [N + 2, 5] uint64, changed.
        tags: [P] int64, universal tags.
        first: [U + 1] int64, where the fine tags of each universal tag begin in choices.
        choices: int64, indices of fine tags.
        fine_codes: [X] uint64.
        weights: [W].
        bits: log2 W.

    Cost: O(N A).
    """
    shares = word_shares(codes, TEMPLATES.head, TEMPLATES.salt)
    for i in range(1, codes.shape[0] - 1):
        own = choices[first[tags[i]] : first[tags[i] + 1]]
        if own.size == 1:
            codes[i, FINE] = fine_codes[own[0]]
        elif own.size > 1:
            scores = tag_scores(shares[i], own, weights, bits)
            codes[i, FINE] = fine_codes[own[greatest(scores, own.size)]]


@compiled
def fit_tags(
    starts: NDArray[np.int64],
    codes: NDArray[np.uint64],
    tags: NDArray[np.int64],
    gold: NDArray[np.int64],
    order: NDArray[np.int64],
    first: NDArray[np.int64],
    choices: NDArray[np.int64],
    rate: float,
    bits: int,
    weights: NDArray[np.float32],
    squares: NDArray[np.float32],
) -> None:
    """One pass of AdaGrad over some sentences.

    Args:
        starts, codes, tags: sentences one after the other, as in `dynamics.reactive.corpus`.
        gold: indices of fine tags, -1 where there is none.
        order: sentences to go through.
        first, choices: see `tag_sentence`.
        rate: of learning.
        bits: log2 W.
        weights, squares: [W] float32, changed.
    """
    for s in order:
        begin, end = starts[s], starts[s + 1]
        shares = word_shares(codes[begin:end], TEMPLATES.head, TEMPLATES.salt)
        for i in range(1, end - begin - 1):
            own = choices[first[tags[begin + i]] : first[tags[begin + i] + 1]]
            right = gold[begin + i]
            if own.size < 2 or right < 0:
                continue
            scores = tag_scores(shares[i], own, weights, bits)
            best, whole = scores[greatest(scores, own.size)], 0.0
            for c in range(own.size):
                scores[c] = math.exp(scores[c] - best)
                whole += scores[c]
            for c in range(own.size):
                slope = scores[c] / whole - (1.0 if own[c] == right else 0.0)
                if abs(slope) > 1e-3:
                    salt = scattered(mixed(np.uint64(own[c] + 1), np.uint64(7)))
                    for t in range(shares.shape[1]):
                        p = first_bits(shares[i, t] + salt, bits)
                        squares[p] += slope * slope
                        weights[p] -= rate * slope / math.sqrt(squares[p])
