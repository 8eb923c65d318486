"""A learner that only counts: trigrams with interpolated Kneser-Ney smoothing, the baseline without any vectors."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
# Taken off every count and shared out among what was not seen; the usual value.
DISCOUNT = 0.75


def trigram_law(sentences: NDArray[np.int64], words: int) -> Floats:
    """P(next | two words before), from counts.

    Args:
        sentences: [S, L] int64 in [0, W), -1 after the end.
        words: W; number W itself stands for the edge of a sentence, before its first word and after its last.

    Returns:
        [W + 1, W + 1, W + 1] float64, every row adds up to 1.

    Cost: O(W^3) time and memory: 8 MB for 100 words.

    Source: Kneser and Ney (1995), interpolated as in Chen and Goodman (1999).
    """
    edge = np.full((len(sentences), 1), words)
    closed = np.hstack([edge, edge, np.where(sentences >= 0, sentences, words), edge])
    # After the end there is nothing to predict: keep one edge behind every sentence.
    used = np.arange(closed.shape[1] - 2) <= (sentences >= 0).sum(axis=1)[:, None]
    three = np.zeros((words + 1,) * 3)
    np.add.at(three, tuple(closed[:, k : closed.shape[1] - 2 + k][used] for k in range(3)), 1.0)
    two = (three > 0).sum(axis=0).astype(float)
    one = (two > 0).sum(axis=0).astype(float)
    law = np.full(words + 1, 1.0 / (words + 1))
    for counts in (one, two, three):
        law = _interpolated(counts, law)
    return law


def counting_excess(table: Floats, places: NDArray[np.int64], law: Floats) -> Floats:
    """KL(law || table) of every sentence, summed over its tokens, in nats.

    Args:
        table: of `trigram_law`.
        places: [T, L] int64 test sentences, -1 after the end.
        law: [T, L + 1, W + 1], what truly comes next; 0 after the end.

    Returns:
        [T] float64.
    """
    edge = np.full((len(places), 2), len(table) - 1)
    read = np.hstack([edge, np.where(places >= 0, places, len(table) - 1)])
    says = table[read[:, :-1], read[:, 1:]]
    safe = np.where(law > 0, law, 1.0)
    return np.asarray((law * (np.log(safe) - np.log(says))).sum(axis=(1, 2)))


def _interpolated(counts: Floats, lower: Floats) -> Floats:
    """Discounted shares of the counts over the last axis, the rest by the law of one word less."""
    total = counts.sum(axis=-1, keepdims=True)
    spared = DISCOUNT * (counts > 0).sum(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = (np.maximum(counts - DISCOUNT, 0.0) + spared * lower) / total
    return np.where(total > 0, shares, lower)
