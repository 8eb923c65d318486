"""How alike two words are, and how apt to stand together, from the lexicon alone."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from periodic_table.axes import coordinates
from periodic_table.element import check_upos
from periodic_table.resolve import check_word, read
from periodic_table.rows import signed_root
from periodic_table.walk import load_walk


def similarity(first: str, second: str, upos: str) -> float:
    """How alike two words are: the cosine of the signed roots of their neighbourhoods in WordNet.

    Words that share senses, kinds or derivations are alike; antonyms repel.

    Args:
        first, second: words in any form ("dogs"); the order does not matter.
        upos: universal part of speech of both.

    Returns:
        between -1 and 1. A word and itself give 1; a word of which WordNet knows nothing gives 0 with any other.

    Raises:
        periodic_table.element.UnknownTag: the tag is not universal.
        TypeError: a word is not text.

    Cost: 1 ms for a word that is new to the process, 20 us for a pair of known ones.
    """
    check_upos(upos)
    one, other = read(check_word(first), upos).entry, read(check_word(second), upos).entry
    if one == other and (one >= 0 or first.lower() == second.lower()):
        return 1.0
    if one < 0 or other < 0:
        return 0.0
    (a, x), (b, y) = _neighbourhood(one), _neighbourhood(other)
    _, left, right = np.intersect1d(a, b, assume_unique=True, return_indices=True)
    return float(np.clip(x[left] @ y[right], -1.0, 1.0))


def affinity(first: str, first_upos: str, second: str, second_upos: str) -> float:
    """How apt two words are to stand together, such as a verb and its object, an adjective and its noun.

        mean of cos(a, b) over a in {company, definition} of one word and b in the same of the other

    Company and definition are blocks of `coordinates`. Words that WordNet's definitions and examples use near one
    another have a high affinity, and so have words like them; who is the head does not matter.

    Args:
        first, second: words in any form; the order does not matter.
        first_upos, second_upos: their universal parts of speech.

    Returns:
        between -1 and 1; 0 where nothing is known of one of them.

    Raises:
        periodic_table.element.UnknownTag: a tag is not universal.
        TypeError: a word is not text.
    """
    return float(affinities([first], [first_upos], [second], [second_upos])[0])


def affinities(
    first: Sequence[str], first_upos: Sequence[str] | str, second: Sequence[str], second_upos: Sequence[str] | str
) -> NDArray[np.float64]:
    """`affinity` of many pairs at once, [pairs].

    Raises:
        ValueError: not as many second words as first ones; and see `affinity`.

    Cost: 0.3 ms a pair.
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} first words and {len(second)} second ones; expected pairs")
    sides = [_directions(first, first_upos), _directions(second, second_upos)]
    # The mean of products is the product of means.
    one, other = (sum(side) / len(side) for side in sides)
    together: NDArray[np.float64] = np.einsum("ij,ij->i", one, other)
    return together


def _directions(words: Sequence[str], upos: Sequence[str] | str) -> list[NDArray[np.float64]]:
    blocks = [coordinates.matrix(words, upos, name) for name in ("company", "definition")]
    return [block / np.maximum(1e-12, np.linalg.norm(block, axis=1, keepdims=True)) for block in blocks]


@functools.lru_cache(maxsize=20_000)
def _neighbourhood(entry: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    walk = load_walk()
    rows = walk.spread(walk.senses([entry]))
    # Roots, as in the Bhattacharyya coefficient: else a word is hardly like anything but itself.
    root = signed_root(rows.value)
    return rows.column, root / np.linalg.norm(root)
