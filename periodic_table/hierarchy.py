"""Above and below a meaning: its depth in WordNet's is-a hierarchy, how much lies under it, what it is a kind of."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from periodic_table.lexicon.storage import Arrays, read_arrays
from periodic_table.shipped import read_lines

KINDS = Path(__file__).parent / "data" / "table-kinds.txt"


class Hierarchy:
    """The is-a edges of a lexicon, instances included.

    Args:
        arrays: as `periodic_table.lexicon.snapshot` documents them.

    Cost: 0.1 s for WordNet.
    """

    def __init__(self, arrays: Arrays) -> None:
        edges = np.concatenate([arrays["hypernyms"], arrays["instance_hypernyms"]]).astype(np.int64)
        self.size = len(arrays["synset_pos"])
        self.depth = _depth(edges, self.size)
        """int[S]: steps on the longest way up to a root; 0 for a root, and for adjectives and adverbs."""
        self.instance = np.zeros(self.size, dtype=bool)
        """bool[S]: whether it is a single case ("paris.n.01"), not a kind."""
        self.instance[arrays["instance_hypernyms"][:, 0]] = True
        # Parents before children, so that one pass hands everything down.
        self._edges = edges[np.argsort(self.depth[edges[:, 0]], kind="stable")]
        levels = self.depth[self._edges[:, 0]]
        self._levels = np.searchsorted(levels, np.arange(1, levels.max() + 2))

    def under(self, roots: Sequence[int] | NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which synsets lie at or under each root, bool[S, len(roots)].

        Cost: 1 ms for each root.
        """
        wanted = np.asarray(roots, dtype=np.int64)
        out = np.zeros((self.size, len(wanted)), dtype=bool)
        out[wanted, np.arange(len(wanted))] = True
        for low, high in zip(self._levels[:-1], self._levels[1:], strict=True):
            child, parent = self._edges[low:high].T
            # Several parents of one child: fancy |= would keep only the last.
            np.logical_or.at(out, child, out[parent])
        return out

    def below(self, weight: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sum of a weight over a synset and all that lies under it, float[S]; what has two parents counts in both."""
        out = weight.astype(np.float64).copy()
        for low, high in zip(self._levels[-2::-1], self._levels[:0:-1], strict=True):
            child, parent = self._edges[low:high].T
            np.add.at(out, parent, out[child])
        return out


@functools.cache
def load_hierarchy() -> Hierarchy:
    """The hierarchy of the shipped WordNet.

    Raises:
        LexiconMissing, LexiconCorrupt: see `periodic_table.lexicon.storage.read_arrays`.
    """
    return Hierarchy(read_arrays()[1])


@functools.cache
def load_kinds() -> tuple[str, ...]:
    """Names of the synsets that are axes of their own, nouns first.

    Raises:
        ModelMissing, ModelCorrupt: the file is not there, or was cut.
    """
    return tuple(read_lines(KINDS, "python -m periodic_table.build"))


def _depth(edges: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    depth = np.zeros(size, dtype=np.int64)
    for _ in range(size):
        deeper = depth.copy()
        np.maximum.at(deeper, edges[:, 0], depth[edges[:, 1]] + 1)
        if (deeper == depth).all():
            break
        depth = deeper
    return depth
