"""Attachment scores as counts per sentence, so that whoever reports them can resample the sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Attachment(NamedTuple):
    """How much of one sentence's tree is right.

    Args:
        words: how many there are, punctuation included.
        heads: words with the right head; their share is the unlabelled attachment score (UAS).
        labelled: words with the right head and label; their share is the labelled attachment score (LAS).
    """

    words: int
    heads: int
    labelled: int


class MalformedTree(ValueError):
    """Two trees that cannot be compared because they have different numbers of words."""


def attachment(
    heads: ArrayLike, labels: Sequence[str], gold_heads: ArrayLike, gold_labels: Sequence[str]
) -> Attachment:
    """Compare a sentence's tree with the gold tree.

    Args:
        heads: [N] int, predicted, counted from 1; 0 is ROOT.
        labels: [N], predicted.
        gold_heads: [N] int.
        gold_labels: [N].

    Raises:
        MalformedTree: the four are not of one length.
    """
    predicted, gold = np.asarray(heads), np.asarray(gold_heads)
    lengths = {predicted.size, gold.size, len(labels), len(gold_labels)}
    if len(lengths) > 1:
        raise MalformedTree(
            f"{predicted.size} heads, {len(labels)} labels, {gold.size} gold heads and {len(gold_labels)} gold labels; "
            f"expected the same number of each"
        )
    right: NDArray[np.bool_] = predicted == gold
    same = np.array([a == b for a, b in zip(labels, gold_labels, strict=True)], dtype=bool)
    return Attachment(predicted.size, int(right.sum()), int((right & same).sum()))
