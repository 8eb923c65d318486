"""Where a few steps through WordNet lead from a word: its neighbourhood among all meanings.

    w = sum_k DECAY^k  s A^k,   k = 0 .. STEPS

s is the word's distribution over senses; A holds the relations between synsets, each row divided by the sum of its
absolute weights. An antonym counts negatively: it is the same thing with the opposite sign. Shares below LEAST are
dropped on the way.

Source: ours; random walks over WordNet as in Hughes and Ramage (2007), Agirre et al. (2009), with signed antonyms.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from periodic_table.isotopes import Isotopes, load_isotopes
from periodic_table.lexicon.relations import Relations, load_relations
from periodic_table.lexicon.storage import Arrays, read_arrays
from periodic_table.rows import Rows

DECAY, STEPS, LEAST = 0.6, 4, 1e-3

# What the meaning is, or is nearly the same as, 1; what it has to do with, 0.3. "@" is-a, "~" its inverse; the other
# symbols are those of `periodic_table.lexicon.relations.NAMES`. Tuned in these coarse steps on the even half of
# SimLex-999 (docs/coordinates.md), where all settings tried lay within 0.02 of one another but for the sign of "!".
WEIGHT: Mapping[str, float] = {
    "@": 1.0, "&": 1.0, "\\": 1.0, "+": 1.0, "$": 1.0, "<": 1.0,
    "~": 0.3, "=": 0.3, "^": 0.3, "*": 0.3, ">": 0.3, "#m": 0.3, "#s": 0.3, "#p": 0.3, ";c": 0.3,
    "!": -1.0,
}  # fmt: skip


class Walk:
    """The relations of a lexicon as steps.

    Args:
        isotopes: its words and senses.
        arrays: its is-a edges, as `periodic_table.lexicon.snapshot` documents them.
        relations: its other relations.

    Cost: 0.1 s for WordNet.
    """

    def __init__(self, isotopes: Isotopes, arrays: Arrays, relations: Relations) -> None:
        self.isotopes = isotopes
        self.synsets = len(arrays["synset_pos"])
        up = np.concatenate([arrays["hypernyms"], arrays["instance_hypernyms"]]).astype(np.int64)
        other = np.array([WEIGHT.get(symbol, 0.0) for symbol in relations.symbols])[relations.kind]
        ends = np.concatenate([up, up[:, ::-1], relations.pointers])
        weight = np.concatenate([np.full(len(up), WEIGHT["@"]), np.full(len(up), WEIGHT["~"]), other])
        ends, weight = ends[weight != 0], weight[weight != 0]
        total = np.bincount(ends[:, 0], np.abs(weight), self.synsets)
        order = np.argsort(ends[:, 0], kind="stable")
        self._step = Rows(
            np.concatenate([[0], np.cumsum(np.bincount(ends[:, 0], minlength=self.synsets))]),
            ends[order, 1],
            (weight / total[ends[:, 0]])[order],
        )

    def senses(self, entries: Sequence[int] | NDArray[np.int64]) -> Rows:
        """The distribution over senses of each entry of `Isotopes`; an empty row for -1."""
        row, place = self.isotopes.places(entries)
        return self._collect(row, self.isotopes.synset[place], self.isotopes.probability[place], len(entries), 0.0)

    def spread(self, senses: Rows) -> Rows:
        """The neighbourhood of each row of synsets, as the formula at the top has it.

        Cost: about 0.3 ms a row.
        """
        rows = len(senses.start) - 1
        now, parts, scale = senses, [(senses.row(), senses.column, senses.value)], 1.0
        for _ in range(STEPS):
            scale *= DECAY
            now = self._onward(now)
            parts.append((now.row(), now.column, scale * now.value))
        row, column, value = (np.concatenate(part) for part in zip(*parts, strict=True))
        return self._collect(row, column, value, rows, 0.0)

    def _onward(self, rows: Rows) -> Rows:
        step = self._step
        size = step.start[rows.column + 1] - step.start[rows.column]
        place = np.repeat(step.start[rows.column] - np.cumsum(size) + size, size) + np.arange(size.sum())
        value = np.repeat(rows.value, size) * step.value[place]
        return self._collect(np.repeat(rows.row(), size), step.column[place], value, len(rows.start) - 1, LEAST)

    def _collect(
        self,
        row: NDArray[np.int64],
        column: NDArray[np.int64],
        value: NDArray[np.float64],
        rows: int,
        least: float,
    ) -> Rows:
        key = row * self.synsets + column
        order = np.argsort(key, kind="stable")
        key = key[order]
        first = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]])) if len(key) else np.zeros(0, np.int64)
        summed = np.add.reduceat(value[order], first) if len(key) else value
        kept = np.abs(summed) >= least
        key, summed = key[first][kept], summed[kept]
        start = np.searchsorted(key, np.arange(rows + 1) * self.synsets)
        return Rows(start, key % self.synsets, summed)


@functools.cache
def load_walk() -> Walk:
    """The walk over the shipped WordNet.

    Raises:
        LexiconMissing, LexiconCorrupt: see `periodic_table.lexicon.storage.read_arrays`.
        periodic_table.shipped.ModelMissing, ModelCorrupt: see `periodic_table.lexicon.relations.load_relations`.
    """
    return Walk(load_isotopes(), read_arrays()[1], load_relations())
