"""Valence: which bonds a word is expected to take part in, and how often.

    expected(slot) = (count + KAPPA * prior) / (occurrences + KAPPA)

Counts are of UD English EWT, train part (Silveira et al. 2014, CC BY-SA 4.0). The prior is what words of the same part
of speech, the same supersenses and, of verbs, the same WordNet sentence frames do there: a linear map, fitted to the
training part; for words without senses it is the mean of the part of speech.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from periodic_table.element import OPEN, UPOS
from periodic_table.isotopes import Isotopes, load_isotopes
from periodic_table.lexicon.storage import Arrays
from periodic_table.shipped import read_model
from periodic_table.slots import SLOTS

SCHEMA = "valence.v1"
NAME = "valence-ewt-train"
REBUILD = "python -m periodic_table.build"

# How many occurrences the prior is worth: of 2, 4, 8, 12 and 20 the best on the development part.
KAPPA = 12.0
# Parts of speech that have a prior by supersense.
BACKED = tuple(tag for tag in UPOS if tag in OPEN - {"INTJ"})
# Values of the linear map are shipped as multiples of this.
UNIT = 1e-4


class Valence:
    """Slot counts of a treebank and the priors made from them.

    Args:
        arrays: entries (text, "lemma TAB tag" a line), occurrences, slots_size, slots and slots_count (sparse rows),
            prior int32[tags + backed tags * features, slots] in units of UNIT.
    """

    def __init__(self, arrays: Arrays) -> None:
        self.entries = tuple(tuple(line.split("\t")) for line in lines(arrays["entries"]))
        self.row = {entry: place for place, entry in enumerate(self.entries)}
        self.occurrences = arrays["occurrences"].astype(np.float64)
        """float[entries]"""
        self.slots = np.zeros((len(self.entries), len(SLOTS)), np.float32)
        """float[entries, slots]: how often each entry had each slot."""
        rows = np.repeat(np.arange(len(self.entries)), arrays["slots_size"].astype(np.int64))
        self.slots[rows, arrays["slots"]] = arrays["slots_count"]
        prior = arrays["prior"].astype(np.float64) * UNIT
        self.mean = prior[: len(UPOS)]
        """float[17, slots]: the prior of a word without senses."""
        self._maps = prior[len(UPOS) :].reshape(len(BACKED), -1, len(SLOTS))

    def count(self, lemma: str, upos: str) -> float:
        """How often a base form occurs in the treebank."""
        row = self.row.get((lemma, upos))
        return 0.0 if row is None else float(self.occurrences[row])

    def expected(self, lemmas: Sequence[str], upos: Sequence[str], entries: NDArray[np.int64]) -> NDArray[np.float64]:
        """Expected number of bonds of W words in each slot, [W, slots].

        Args:
            lemmas: base forms.
            upos: their parts of speech.
            entries: rows in `Isotopes` of the same part of speech; -1 for none.
        """
        prior = self._prior(upos, entries)
        rows = np.array([self.row.get(key, -1) for key in zip(lemmas, upos, strict=True)], dtype=np.int64)
        seen = rows >= 0
        number = np.where(seen, self.occurrences[rows], 0.0)
        counts = np.where(seen[:, None], self.slots[rows], 0.0)
        expected: NDArray[np.float64] = (counts + KAPPA * prior) / (number + KAPPA)[:, None]
        return expected

    def _prior(self, upos: Sequence[str], entries: NDArray[np.int64]) -> NDArray[np.float64]:
        tags = np.array([UPOS.index(tag) for tag in upos], dtype=np.int64)
        prior: NDArray[np.float64] = self.mean[tags]
        for place, tag in enumerate(BACKED):
            mine = np.flatnonzero((tags == UPOS.index(tag)) & (entries >= 0))
            if len(mine):
                prior[mine] = np.maximum(0.0, features(entries[mine]) @ self._maps[place])
        return prior


def features(entries: NDArray[np.int64]) -> NDArray[np.float64]:
    """What the prior is linear in: a constant 1, the supersenses, the sentence frames; [len(entries), 81]."""
    from periodic_table.verbs import frame_features

    isotopes: Isotopes = load_isotopes()
    one = np.ones((len(entries), 1))
    return np.hstack([one, isotopes.supersenses(entries), frame_features(entries)])


@functools.cache
def load_valence() -> Valence:
    """The shipped counts.

    Raises:
        periodic_table.shipped.ModelMissing, ModelCorrupt: the file is not there, or is not the released one.
    """
    return Valence(read_model(NAME, SCHEMA, REBUILD))


def lines(text: NDArray[np.generic]) -> list[str]:
    """Text that is stored as bytes, by lines."""
    return text.tobytes().decode("utf-8").split("\n")
