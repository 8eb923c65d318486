"""The company of words: from WordNet's glosses to one short vector for each term.

    PPMI(a, b) = max(0, log p(a, b) / (p(a) p(b)^0.75 / Z))
    PPMI = U S V^T,   vector(a) = U[a] sqrt(S), the K greatest

Source: Bullinaria and Levy (2007); Levy, Goldberg and Dagan (2015) for the exponents; the decomposition by block
iteration, Halko, Martinsson and Tropp (2011). Everything in float64 and from a fixed start, so that the rounding to
bytes is the same on every machine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from periodic_table.lexicon.glosses import FUNCTION_WORDS, phrases

WINDOW = 3
SIZE = 100
ROUNDS = 12
# Articles stand between words that belong together.
_SKIPPED = frozenset({"a", "an", "the"})

Sparse = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]


def pairs(glosses: Iterable[str], lemma: Callable[[str], str], terms: Sequence[str]) -> tuple[Sparse, int]:
    """How often terms stand near one another: 1/d for d words apart, both ways.

    Args:
        glosses: as WordNet writes them.
        lemma: form -> base form.
        terms: what to count; function words are counted with them, as company only.

    Returns:
        (row, column, number), rows and columns among the terms and then the sorted function words; and how many
        words that is.
    """
    words = [*terms, *sorted(FUNCTION_WORDS - set(terms))]
    index = {word: place for place, word in enumerate(words)}
    found: Counter[tuple[int, int]] = Counter()
    for gloss in glosses:
        for _, phrase in phrases(gloss, lemma):
            places = [index.get(word) for word in phrase if word not in _SKIPPED]
            for at, one in enumerate(places):
                for distance, other in enumerate(places[at + 1 : at + 1 + WINDOW], 1):
                    if one is not None and other is not None:
                        # Multiples of 1/6 as integers: sums do not depend on their order.
                        found[min(one, other), max(one, other)] += 6 // distance
    rows = sorted(found)
    row, column = (np.array(side, dtype=np.int64) for side in zip(*rows, strict=True))
    number = np.array([found[key] for key in rows]) / 6.0
    return (np.concatenate([row, column]), np.concatenate([column, row]), np.concatenate([number, number])), len(words)


def ppmi(counts: Sparse, size: int) -> Sparse:
    """Positive pointwise mutual information, with the company's frequency smoothed by the exponent 0.75."""
    row, column, number = counts
    of_row, smooth = np.bincount(row, number, size), np.bincount(column, number, size) ** 0.75
    value = np.log(number * smooth.sum() / (of_row[row] * smooth[column]))
    kept = value > 0
    return row[kept], column[kept], value[kept]


def vectors(matrix: Sparse, size: int, keep: int, k: int = SIZE) -> NDArray[np.int8]:
    """The K strongest directions of the first `keep` rows, each row scaled to the range of a byte.

    Returns:
        int8[keep, k]; a row of zeros stays one.
    """
    row, column, value = matrix
    order = np.lexsort((column, row))
    row, column, value = row[order], column[order], value[order]
    # A block somewhat wider than what is wanted converges much faster.
    block = np.random.default_rng(0).standard_normal((size, k + 20))
    for _ in range(ROUNDS):
        block = np.linalg.qr(_times(row, column, value, block, size))[0]
        block = np.linalg.qr(_times(column, row, value, block, size))[0]
    image = _times(row, column, value, block, size)
    left, strength, _ = np.linalg.svd(image, full_matrices=False)
    left = left[:, :k] * np.sign(left[np.argmax(np.abs(left[:, :k]), axis=0), np.arange(k)])
    out = (left * np.sqrt(strength[:k]))[:keep]
    scale = np.maximum(1e-12, np.abs(out).max(axis=1, keepdims=True))
    return np.where(scale > 1e-9, np.round(127 * out / scale), 0).astype(np.int8)


def _times(
    row: NDArray[np.int64], column: NDArray[np.int64], value: NDArray[np.float64], block: NDArray[np.float64], size: int
) -> NDArray[np.float64]:
    """A sparse matrix times a block, a slice of columns at a time: one product of all would take gigabytes."""
    out = np.empty((size, block.shape[1]))
    for at in range(block.shape[1]):
        out[:, at] = np.bincount(row, value * block[column, at], size)
    return out
