"""What a text says of a pair of its words beyond their classes: how far apart they are, what is between, who is beside.

Features are places in one long vector of weights, which is made of the tables that `Layout` lists. i is the earlier
word.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from periodic_table.tagging.tagger import TAGS

Context = Literal["left", "both"]
Places = NDArray[np.int64]

# First distances of the bands: 1, 2, 3, 4, 5-6, 7-9, 10-14, 15-24, 25 and more.
BANDS = np.array([1, 2, 3, 4, 5, 7, 10, 15, 25])
# Kinds of words that may stand between two others, each there or not; apart from these, words of their own tags, up to
# 2.
BETWEEN = (("VERB", "AUX"), ("PUNCT",), ("NOUN", "PROPN", "PRON"), ("SCONJ", "CCONJ"))
CLASSES = 256
# Beyond the ends of the text.
EDGE = len(TAGS)

_T, _B, _S, _SOME = len(TAGS), len(BANDS), len(TAGS) + 1, 3


_GROUPS = np.array([[tag in group for group in BETWEEN] for tag in TAGS]).astype(np.int64)


@dataclass(frozen=True)
class Layout:
    """The tables of weights, and where each begins.

    Args:
        names: what kind of evidence each table holds.
        shapes: of the tables.
    """

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]

    @property
    def starts(self) -> Places:
        """Where each table begins, and the length of all."""
        return np.array([0, *itertools.accumulate(int(np.prod(shape)) for shape in self.shapes)])


_LEFT = (
    ("their classes", (_B, _T, _T)),
    ("their classes", (CLASSES, CLASSES)),
    ("their classes", (_B, CLASSES, _T)),
    ("their classes", (_B, _T, CLASSES)),
    ("what is between", (_B, _T, _T, 2 ** len(BETWEEN))),
    ("what is between", (_T, _T, _SOME, _SOME)),
    ("their neighbours", (_T, _T, _S)),
    ("their neighbours", (_T, _T, _S)),
    ("their neighbours", (_T, _T, _S)),
    ("their neighbours", (_T, _T, _S, _S)),
)
_BOTH = (*_LEFT, ("what follows", (_T, _T, _S)), ("what follows", (_T, _T, _S, _S)))
LAYOUTS: dict[Context, Layout] = {
    "left": Layout(*zip(*_LEFT, strict=True)),
    "both": Layout(*zip(*_BOTH, strict=True)),
}


class Text:
    """A text, ready to be asked for its pairs.

    Args:
        tags: int64[N], in the order of `TAGS`.
        ids: int64[N], classes of size 256.
    """

    def __init__(self, tags: Places, ids: Places) -> None:
        self.tags, self.ids = tags, ids
        self._beside = np.concatenate([[EDGE], tags, [EDGE, EDGE]])
        self._before = np.concatenate(
            [np.zeros((1, _T), dtype=np.int64), np.cumsum(np.eye(_T, dtype=np.int64)[tags], axis=0)]
        )

    def features(self, i: Places, j: Places, context: Context) -> Places:
        """Places in the vector of weights for some pairs.

        Args:
            i, j: int64[P], i < j.
            context: "left": nothing after j is looked at; "both".

        Returns:
            int64[P, tables].

        Cost: O(P).
        """
        band = np.searchsorted(BANDS, j - i, side="right") - 1
        a, b, x, y = self.tags[i], self.tags[j], self.ids[i], self.ids[j]
        between, pair = self._before[j] - self._before[i + 1], np.arange(len(i))
        there = (between @ _GROUPS > 0) @ (2 ** np.arange(len(BETWEEN)))
        like_a, like_b = (np.minimum(between[pair, tag], _SOME - 1) for tag in (a, b))
        beside = self._beside
        indices: list[tuple[Places, ...]] = [
            (band, a, b), (x, y), (band, x, b), (band, a, y), (band, a, b, there), (a, b, like_a, like_b),
            (a, b, beside[i]), (a, b, beside[i + 2]), (a, b, beside[j]), (a, b, beside[i + 2], beside[j]),
        ]  # fmt: skip
        if context == "both":
            indices += [(a, b, beside[j + 2]), (a, b, beside[j + 2], beside[j + 3])]
        layout = LAYOUTS[context]
        columns = [np.ravel_multi_index(index, shape) for index, shape in zip(indices, layout.shapes, strict=True)]
        return np.stack(columns, axis=1) + layout.starts[:-1]
