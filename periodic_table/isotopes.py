"""Senses as a distribution: how likely each meaning of a word is, and never just the first.

    p_i = (count_i + K * i^-S / sum_j j^-S) / (sum_j count_j + K)

over the senses i = 1, 2, ... of a word in one part of speech: WordNet's counts of sense-tagged text, smoothed towards
the order in which its lexicographers list the senses. 131,703 of the 155,287 pairs of word and part of speech have no
count at all; there the order alone speaks.

Arrays hold one row for each pair of word and part of speech ("entry"): W entries, E senses, S synsets.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from periodic_table.element import Isotope
from periodic_table.lexicon.protocol import POS, UnknownSynset, normal
from periodic_table.lexicon.storage import Arrays, read_arrays
from periodic_table.rows import Rows, weighted

# Weight of the order, in counts, and how steeply it falls. Leave-one-out likelihood of the counts asks for at least
# these values, but the order was made from the same counts, so it must ask for too much.
K, S = 4.0, 1.5

# Satellites are adjectives here.
_FILE = {"n": 0, "v": 1, "a": 2, "r": 3}


class Isotopes:
    """The sense distributions of all words of a lexicon, ready as arrays.

    Args:
        arrays: a packed lexicon, as `periodic_table.lexicon.snapshot` documents it.

    Cost: 0.15 s for WordNet.
    """

    def __init__(self, arrays: Arrays) -> None:
        self.lexnames = tuple(_text(arrays["lexnames"]).split("\n"))
        self.forms = _text(arrays["forms"]).split("\n")
        lemmas = dict.fromkeys(_text(arrays["forms"]).lower().split("\n"))
        self.synset_lexname = arrays["synset_lexname"].astype(np.int64)
        self.synset_pos = arrays["synset_pos"]
        self._number = arrays["synset_number"]
        self._first = np.concatenate([[0], np.cumsum(arrays["synset_size"], dtype=np.int64)])
        self.synset_forms = arrays["synset_forms"]
        self.synset = arrays["sense_synset"].astype(np.int64)
        size = arrays["lemma_size"].astype(np.int64)
        file = np.array([_FILE["a" if code == "s" else code] for code in POS])[self.synset_pos[self.synset]]
        key = np.repeat(np.arange(len(size)), size) * len(_FILE) + file
        begins = np.flatnonzero(np.concatenate([[True], key[1:] != key[:-1]]))
        self.start = np.concatenate([begins, [len(key)]])
        """int[W + 1]: senses of entry w are start[w] .. start[w + 1]."""
        self.of_sense = np.repeat(np.arange(len(begins)), np.diff(self.start))
        """int[E]: the entry of each sense."""
        self.tagged = np.bincount(self.of_sense, arrays["sense_count"])
        """float[W]: occurrences of each entry in sense-tagged text."""
        self.probability = _smoothed(arrays["sense_count"], self.start, self.of_sense)
        """float[E]"""
        # key -> entry, as a table over all (lemma, part of speech) pairs: -1 where there is none.
        table = np.full(len(lemmas) * len(_FILE), -1, dtype=np.int64)
        table[key[begins]] = np.arange(len(begins))
        self._entry = table.tolist()
        self._lemma = {lemma: place * len(_FILE) for place, lemma in enumerate(lemmas)}
        self._lemmas = list(lemmas)
        self._key: list[int] = key[begins].tolist()
        self._file = key[begins] % len(_FILE)
        self._names: dict[int, str] = {}

    def __contains__(self, lemma: str) -> bool:
        return lemma in self._lemma

    def entry(self, lemma: str, pos: str) -> int:
        """Row of a word in a part of speech (n, v, a or r); -1 where WordNet has none."""
        place = self._place(lemma)
        return -1 if place is None else self._entry[place + _FILE[pos]]

    def _place(self, lemma: str) -> int | None:
        # Most questions are of words in lower case, and most of these of words that there are not.
        place = self._lemma.get(lemma)
        if place is None and not (isinstance(lemma, str) and lemma.islower() and " " not in lemma):
            place = self._lemma.get(normal(lemma))
        return place

    def are_verbs(self, entries: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of some entries are verbs; -1 is none."""
        verbs: NDArray[np.bool_] = (entries >= 0) & (self._file[entries] == _FILE["v"])
        return verbs

    def lemma(self, entry: int) -> str:
        """The base form of an entry."""
        return self._lemmas[self._key[entry] // len(_FILE)]

    def shares(self, lemma: str) -> list[float]:
        """How the uses of a base form spread over noun, verb, adjective and adverb; zeros where it has none.

        share = (tagged + senses) / sum of the same over the parts of speech
        """
        place = self._place(lemma)
        if place is None:
            return [0.0] * len(_FILE)
        entries = self._entry[place : place + len(_FILE)]
        uses = [float(self.tagged[e] + self.start[e + 1] - self.start[e]) if e >= 0 else 0.0 for e in entries]
        total = sum(uses)
        return [use / total for use in uses]

    def of(self, entry: int) -> tuple[Isotope, ...]:
        """The senses of an entry, the likeliest first."""
        if entry < 0:
            return ()
        first, end = self.start[entry : entry + 2].tolist()
        synsets = self.synset[first:end]
        isotopes = [
            Isotope(self.name(synset), self.lexnames[file], probability)
            for synset, file, probability in zip(
                synsets.tolist(),
                self.synset_lexname[synsets].tolist(),
                self.probability[first:end].tolist(),
                strict=True,
            )
        ]
        if len(isotopes) > 1:
            isotopes.sort(key=lambda isotope: -isotope.probability)
        return tuple(isotopes)

    def name(self, synset: int) -> str:
        """Name of a synset, such as "dog.n.01"."""
        name = self._names.get(synset)
        if name is None:
            first = self.forms[self.synset_forms[self._first[synset]]].lower()
            name = self._names[synset] = f"{first}.{POS[self.synset_pos[synset]]}.{self._number[synset]:02d}"
        return name

    def place(self, name: str) -> int:
        """The place of a synset.

        Raises:
            periodic_table.lexicon.protocol.UnknownSynset: there is none of that name.
        """
        lemma, pos, _ = name.rsplit(".", 2)
        entry = self.entry(lemma, "a" if pos == "s" else pos)
        found = self.synset[self.start[entry] : self.start[entry + 1]].tolist() if entry >= 0 else []
        for synset in found:
            if self.name(synset) == name:
                return int(synset)
        raise UnknownSynset(f"no synset {name!r}; the word has {[self.name(synset) for synset in found]}")

    def supersenses(self, entries: Sequence[int] | NDArray[np.int64]) -> NDArray[np.float64]:
        """How likely each lexicographer file is, given each entry.

        Returns:
            [len(entries), 45], rows that add up to 1, or to 0 where the entry is -1.
        """
        rows, senses = self.places(entries)
        files = len(self.lexnames)
        key = rows * files + self.synset_lexname[self.synset[senses]]
        share = np.bincount(key, self.probability[senses], len(entries) * files)
        return share.reshape(-1, files).astype(np.float64)

    def spread(
        self, entries: Sequence[int] | NDArray[np.int64], of_synset: NDArray[np.floating]
    ) -> NDArray[np.float64]:
        """The mean of a synset's features over the senses of each entry; zeros where the entry is -1.

        Args:
            entries: rows, -1 for none.
            of_synset: [S, features].
        """
        rows, senses = self.places(entries)
        return weighted(
            Rows(
                np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(entries)))]),
                self.synset[senses],
                self.probability[senses],
            ),
            of_synset,
        )

    def places(self, entries: Sequence[int] | NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Which senses the entries have: (row in `entries`, place of the sense), in order."""
        wanted = np.asarray(entries, dtype=np.int64)
        size = np.where(wanted >= 0, self.start[wanted + 1] - self.start[wanted], 0)
        rows = np.repeat(np.arange(len(wanted)), size)
        offset = np.arange(len(rows)) - np.repeat(np.cumsum(size) - size, size)
        return rows, self.start[wanted][rows] + offset


@functools.cache
def load_isotopes() -> Isotopes:
    """The sense distributions of the shipped WordNet.

    Raises:
        LexiconMissing, LexiconCorrupt: see `periodic_table.lexicon.storage.read_arrays`.
    """
    return Isotopes(read_arrays()[1])


def _smoothed(count: NDArray[np.generic], start: NDArray[np.int64], of_sense: NDArray[np.int64]) -> NDArray[np.float64]:
    seen = count.astype(np.float64)
    order = (np.arange(len(seen)) - start[of_sense] + 1.0) ** -S
    total, weight = np.bincount(of_sense, seen), np.bincount(of_sense, order)
    smoothed: NDArray[np.float64] = (seen + K * order / weight[of_sense]) / (total + K)[of_sense]
    return smoothed


def _text(array: NDArray[np.generic]) -> str:
    return array.tobytes().decode("utf-8")
