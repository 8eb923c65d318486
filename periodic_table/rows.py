"""Sparse rows: for each of some words, a few meanings with their weights."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Rows:
    """Sparse rows: row r has value[i] in column[i] for start[r] <= i < start[r + 1], columns rising.

    Args:
        start: int[R + 1].
        column: int[start[R]], places of synsets.
        value: float[start[R]].
    """

    start: NDArray[np.int64]
    column: NDArray[np.int64]
    value: NDArray[np.float64]

    def row(self) -> NDArray[np.int64]:
        """The row of each value."""
        return np.repeat(np.arange(len(self.start) - 1), np.diff(self.start))


def weighted(rows: Rows, of_synset: NDArray[np.floating]) -> NDArray[np.float64]:
    """The weighted sum of a feature of synsets over each row.

    Args:
        rows: R rows of synsets.
        of_synset: [S, features], or [S].

    Returns:
        [R, features], or [R].
    """
    if of_synset.ndim == 1:
        values = rows.value * of_synset[rows.column]
        return np.bincount(rows.row(), values, len(rows.start) - 1).astype(np.float64)
    out = np.zeros((len(rows.start) - 1, of_synset.shape[1]))
    # One product for each row: np.add.reduceat takes ten times as long for the same.
    bounds = rows.start.tolist()
    for row, (low, high) in enumerate(pairwise(bounds)):
        if low < high:
            out[row] = rows.value[low:high] @ of_synset[rows.column[low:high]]
    return out


def signed_root(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The square root of the size, with the sign kept: small shares count more than they would."""
    root: NDArray[np.float64] = np.sign(values) * np.sqrt(np.abs(values))
    return root
