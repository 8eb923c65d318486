"""The decoders of `dynamics.arborescence` for callers outside: the same trees, with the input checked first.

Compiled code does not look where it writes, so wrong shapes would crash the process. Axes as there: `P` particles,
ROOT (0) and N words.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dynamics import arborescence


class MalformedScores(ValueError):
    """Scores or heads that no tree can be read from: a wrong shape, or numbers that are not finite or out of range."""


def greedy(score: ArrayLike) -> NDArray[np.int64]:
    """Each word takes its best head, whatever the others do: fast, and not always a tree.

    Args:
        score: [P, P], score[h, d] is how good head h is for word d; column 0 and the diagonal are not read.

    Returns:
        [N] int64, heads in 0..N.

    Raises:
        MalformedScores: not square, no word, or not finite where it is read.

    Cost: O(N^2).
    """
    heads: NDArray[np.int64] = arborescence.greedy(_checked(score))
    return heads


def chu_liu_edmonds(score: ArrayLike) -> NDArray[np.int64]:
    """The best tree with one child of ROOT; its bonds may cross. Arguments and errors as for `greedy`.

    Cost: O(N^3) at worst.

    Source: Chu and Liu 1965; Edmonds 1967.
    """
    heads: NDArray[np.int64] = arborescence.chu_liu_edmonds(_checked(score))
    return heads


def eisner(score: ArrayLike) -> NDArray[np.int64]:
    """The best tree with one child of ROOT and no crossing bonds. Arguments and errors as for `greedy`.

    Cost: O(N^3).

    Source: Eisner 1996.
    """
    heads: NDArray[np.int64] = arborescence.eisner(_checked(score))
    return heads


def is_tree(heads: ArrayLike) -> bool:
    """Whether heads form one tree: exactly one child of ROOT, and every word's chain of heads ends there.

    Args:
        heads: [N] integers in 0..N.

    Raises:
        MalformedScores: not a row of integers in that range.

    Cost: O(N).
    """
    array = np.asarray(heads)
    whole = array.ndim == 1 and array.size > 0 and np.issubdtype(array.dtype, np.integer)
    if not whole or array.min() < 0 or array.max() > array.size:
        raise MalformedScores(
            f"expected N >= 1 whole heads in 0..N, got {array.dtype} of shape {array.shape}: {heads!r}"
        )
    return bool(arborescence.is_tree(array.astype(np.int64)))


def _checked(score: ArrayLike) -> NDArray[np.float64]:
    array = np.array(score, dtype=np.float64)
    if array.ndim != 2 or array.shape[0] != array.shape[1] or array.shape[0] < 2:
        raise MalformedScores(f"expected scores [P, P] of ROOT and at least one word, got shape {array.shape}")
    # What is never read may be anything; compiled code meets finite numbers only.
    array[:, 0] = 0.0
    np.fill_diagonal(array, 0.0)
    if not np.isfinite(array).all():
        h, d = np.argwhere(~np.isfinite(array))[0]
        raise MalformedScores(f"score[{h}, {d}] is {array[h, d]}; give a bond that must not be a large negative number")
    return array
