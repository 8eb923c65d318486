"""The company that words keep in WordNet's own definitions and examples, and what definitions are made of.

Each term of the glosses has a vector: the strongest directions of its co-occurrence, within three words, with the
others (positive pointwise mutual information, `periodic_table.company_build`). The text is the lexicon's own, 1.6
million words, and nothing else. A *definition* is the mean of its terms' vectors, in which rare terms weigh more.
"""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from periodic_table.lexicon.relations import Relations, load_relations
from periodic_table.lexicon.storage import Arrays
from periodic_table.rows import Rows, weighted
from periodic_table.shipped import read_model

SCHEMA = "company.v1"
NAME = "table-company"
REBUILD = "python -m periodic_table.build"
# What an example says of a meaning, against what its definition says.
EXAMPLE = 0.5


class Company:
    """Vectors of terms and of definitions.

    Args:
        arrays: "vectors" int8[terms, K], rows of one direction each, any length.
        relations: the terms, and which definition has which.
    """

    def __init__(self, arrays: Arrays, relations: Relations) -> None:
        vectors = arrays["vectors"].astype(np.float32)
        self.vectors = vectors / np.maximum(1e-9, np.linalg.norm(vectors, axis=1, keepdims=True))
        """float32[terms, K], of length 1; zeros for a term that keeps no company."""
        self.term = {term: place for place, term in enumerate(relations.terms)}
        self._glosses = ((relations.definitions, 1.0), (relations.examples, EXAMPLE))
        used = np.concatenate([terms for (_, terms), _ in self._glosses])
        self.frequency = np.bincount(used, minlength=len(relations.terms))
        """int[terms]: occurrences in all glosses."""
        # Filled as meanings are asked for.
        self._definitions = np.zeros((len(relations.definitions[0]) - 1, self.size), np.float32)
        self._defined = np.zeros(len(self._definitions), dtype=bool)
        self._rarity = np.log(len(relations.definitions[0]) / np.maximum(1, self.frequency)).astype(np.float32)

    @property
    def size(self) -> int:
        """K, the number of directions."""
        return int(self.vectors.shape[1])

    def of_word(self, lemma: str) -> NDArray[np.float32]:
        """The vector of a word, [K]; zeros where the glosses do not use it."""
        place = self.term.get(lemma)
        return np.zeros(self.size, np.float32) if place is None else self.vectors[place]

    def of_rows(self, rows: Rows) -> NDArray[np.float64]:
        """The vectors of some neighbourhoods: the weighted sums of their definitions, [R, K].

        Cost: 50 us a row, and 5 us for each meaning that is new to this object.
        """
        wanted = np.unique(rows.column)
        new = wanted[~self._defined[wanted]]
        self._definitions[new] = self._define(new)
        self._defined[new] = True
        return weighted(rows, self._definitions)

    def _define(self, synsets: NDArray[np.int64]) -> NDArray[np.float32]:
        """The vectors of some definitions, of length at most 1."""
        out = np.zeros((len(synsets), self.size), np.float32)
        squares = np.zeros(len(synsets), np.float32)
        for (start, terms), share in self._glosses:
            size = start[synsets + 1] - start[synsets]
            # The first term of all, then the second of those that have two, and so on.
            for at in range(int(size.max(initial=0))):
                row = np.flatnonzero(size > at)
                term = terms[start[synsets[row]] + at]
                weight = share * self._rarity[term]
                out[row] += weight[:, None] * self.vectors[term]
                squares[row] += weight**2
        out /= np.sqrt(np.maximum(1e-9, squares))[:, None]
        return out


@functools.cache
def load_company() -> Company:
    """The shipped vectors.

    Raises:
        periodic_table.shipped.ModelMissing, ModelCorrupt: a file is not there, or is not the released one.
    """
    return Company(read_model(NAME, SCHEMA, REBUILD), load_relations())
