"""What WordNet says beyond words and is-a: antonyms, derivations, parts, frames of verbs, and the terms of its glosses.

Places of synsets are those of the extract that `periodic_table.lexicon.snapshot` reads. The arrays of the file:
    symbols         uint8 text, WordNet's pointer symbols, one a line
    pointer_symbol  uint8[P], index into symbols
    pointers        int32[P, 2], (from, to), places of synsets, sorted; a symmetric relation once, from the lower place
    frames          int32[F, 3], (verb synset, word of it from 1 or 0 for all, frame 1-35), sorted
    terms           uint8 text, lemmas that glosses use, one a line, sorted
    definition_size uint8[S], how many terms a definition has; definition uint16[sum], indices into terms
    example_size    uint8[S], and example uint16[sum]: the same of the examples
"""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from periodic_table.lexicon.storage import Arrays
from periodic_table.shipped import read_model

SCHEMA = "relations.v1"
FOLDER = Path(__file__).parent / "data"
NAME = "wordnet-3.0-relations"
REBUILD = "python -m periodic_table.lexicon.relations_build"

# These hold both ways.
SYMMETRIC = frozenset("!&+=$")
NAMES = {
    "!": "antonym", "&": "similar to", "+": "derivationally related", "=": "attribute", "$": "verb group",
    "\\": "pertains to", "<": "participle of", "^": "see also", "*": "entails", ">": "causes",
    "#m": "member of", "#s": "substance of", "#p": "part of", ";c": "of the topic", ";u": "of the usage",
    ";r": "of the region",
}  # fmt: skip


class Relations:
    """The arrays of the file, symmetric relations in both directions.

    Args:
        arrays: see the top of this file.
    """

    def __init__(self, arrays: Arrays) -> None:
        symbols = _lines(arrays["symbols"])
        kind, ends = arrays["pointer_symbol"].astype(np.int64), arrays["pointers"].astype(np.int64)
        both = np.array([symbol in SYMMETRIC for symbol in symbols])[kind]
        self.kind = np.concatenate([kind, kind[both]])
        """int[P']: index into `symbols`."""
        self.pointers = np.concatenate([ends, ends[both][:, ::-1]])
        """int[P', 2]: (from, to), places of synsets."""
        self.symbols = tuple(symbols)
        self.frames = arrays["frames"].astype(np.int64)
        self.terms = tuple(_lines(arrays["terms"]))
        self.definitions = (_starts(arrays["definition_size"]), arrays["definition"].astype(np.int64))
        """starts int[S + 1] and indices into `terms`"""
        self.examples = (_starts(arrays["example_size"]), arrays["example"].astype(np.int64))


@functools.cache
def load_relations() -> Relations:
    """The shipped file, read and checked once.

    Raises:
        periodic_table.shipped.ModelMissing: it or its manifest is not there.
        periodic_table.shipped.ModelCorrupt: it is not the file that its manifest states.
    """
    return Relations(read_model(NAME, SCHEMA, REBUILD, FOLDER))


def _starts(sizes: NDArray[np.generic]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])


def _lines(text: NDArray[np.generic]) -> list[str]:
    return text.tobytes().decode("utf-8").split("\n")
