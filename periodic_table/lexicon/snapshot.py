"""The shipped lexicon: WordNet's words, meanings and is-a edges as plain arrays, ready in a tenth of a second.

Nothing changes after the constructor has run, so one object serves all threads.

The arrays of the file, N synsets in the order of WordNet's data files (n, v, a with s, r):
    lexnames            uint8 text, one lexicographer file a line
    forms               uint8 text, one written form a line, sorted by (lower case, form); lemmas are the lower case
    synset_pos          uint8[N], index into POS
    synset_lexname      uint8[N], index into lexnames
    synset_number       uint8[N], the number in the synset's name
    synset_size         uint8[N], how many forms it has
    synset_forms        int32[sum synset_size], indices into forms
    lemma_size          uint8[lemmas], how many senses a lemma has
    sense_synset        int32[sum lemma_size], by lemma, then n, v, a with s, r, then sense number
    sense_count         uint16[sum lemma_size], occurrences in sense-tagged text
    hypernyms           int32[edges, 2], (child, parent), sorted
    instance_hypernyms  int32[edges, 2], (child, parent), sorted
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from periodic_table.lexicon.protocol import (
    POS,
    Lexicon,
    Pos,
    Sense,
    Synset,
    check_pos,
    covers,
    normal,
    unknown_synset,
)
from periodic_table.lexicon.storage import SHIPPED, Arrays, Manifest, read_arrays

_NAME = re.compile(r"(?P<lemma>.+)\.(?P<pos>[nvasr])\.(?P<number>\d+)")


def read_snapshot(path: Path = SHIPPED) -> Snapshot:
    """Read and check a snapshot file.

    Raises:
        LexiconMissing, LexiconCorrupt: see `periodic_table.lexicon.storage.read_arrays`.
    """
    return Snapshot(*read_arrays(path))


class Snapshot(Lexicon):
    """A lexicon over the arrays listed at the top of this file.

    Args:
        manifest: name, version and checksum of the file.
        arrays: the content.
    """

    def __init__(self, manifest: Manifest, arrays: Arrays) -> None:
        self.name, self.version, self.sha256 = manifest.name, manifest.version, manifest.sha256
        self.lexnames = tuple(_lines(arrays["lexnames"]))
        self._forms = _lines(arrays["forms"])
        self._lemmas = tuple(dict.fromkeys(form.lower() for form in self._forms))
        self._place = {lemma: place for place, lemma in enumerate(self._lemmas)}
        # As bytes: an item of an array costs ten times as much.
        self._pos = arrays["synset_pos"].tobytes()
        self._lexname, self._number = arrays["synset_lexname"].tobytes(), arrays["synset_number"].tobytes()
        self._synset_forms = _Rows.of_sizes(arrays["synset_size"], arrays["synset_forms"])
        self._senses = _Rows.of_sizes(arrays["lemma_size"], arrays["sense_synset"])
        self._counts = _Rows.of_sizes(arrays["lemma_size"], arrays["sense_count"])
        up, up_instance = arrays["hypernyms"], arrays["instance_hypernyms"]
        self._up, self._down = _Rows.of_edges(up, len(self._pos)), _Rows.of_edges(up[:, ::-1], len(self._pos))
        self._up_instance = _Rows.of_edges(up_instance, len(self._pos))
        self._down_instance = _Rows.of_edges(up_instance[:, ::-1], len(self._pos))

    def lemmas(self) -> Sequence[str]:
        """All words in lower case, sorted, each once."""
        return self._lemmas

    def synsets(self, pos: Pos | None = None) -> Iterator[Synset]:
        """All synsets, or those of one part of speech, in the order of WordNet's files."""
        check_pos(pos)
        return (self._record(index) for index in range(len(self._pos)) if covers(pos, POS[self._pos[index]]))

    def sizes(self) -> dict[Pos, int]:
        """How many synsets each part of speech has."""
        return dict(zip(POS, (self._pos.count(code) for code in range(len(POS))), strict=True))

    def senses(self, lemma: str, pos: Pos | None = None) -> tuple[Sense, ...]:
        """The meanings of a word in the order of their sense numbers; an unknown word has none.

        Raises:
            ValueError: `pos` is not a part of speech.
        """
        check_pos(pos)
        lemma = normal(lemma)
        place = self._place.get(lemma)
        if place is None:
            return ()
        seen: Counter[Pos] = Counter()
        senses = []
        for index, count in zip(self._senses[place], self._counts[place], strict=True):
            own = POS[self._pos[index]]
            category: Pos = "a" if own == "s" else own
            seen[category] += 1
            if covers(pos, own):
                lexname = self.lexnames[self._lexname[index]]
                senses.append(Sense(lemma, own, seen[category], count, self._named(index), lexname))
        return tuple(senses)

    def synset(self, name: str) -> Synset:
        """The synset of a name: its own, or any of its words with the number of that word's sense.

        Raises:
            UnknownSynset: there is none; the message lists near matches.
        """
        return self._record(self._index(name))

    def hyponyms(self, name: str) -> tuple[str, ...]:
        """Names of the synsets that are a kind of this one, sorted; one step down."""
        return self._names(self._down[self._index(name)])

    def instance_hyponyms(self, name: str) -> tuple[str, ...]:
        """Names of the synsets that are single cases of this one, sorted; one step down."""
        return self._names(self._down_instance[self._index(name)])

    def subtree(self, root: str) -> list[tuple[str, str]]:
        """Everything below a synset, as sorted (child, parent) pairs: see `Lexicon.subtree`.

        Raises:
            UnknownSynset: see `synset`.
        """
        inside = {self._index(root)}
        frontier = list(inside)
        while frontier:
            index = frontier.pop()
            below = {*self._down[index], *self._down_instance[index]} - inside
            inside |= below
            frontier.extend(below)
        names = {index: self._named(index) for index in inside}
        parents = ((child, parent) for child in inside for parent in {*self._up[child], *self._up_instance[child]})
        return sorted((names[child], names[parent]) for child, parent in parents if parent in inside)

    def _index(self, name: str) -> int:
        match = _NAME.fullmatch(normal(name))
        place = self._place.get(match["lemma"]) if match else None
        if match is None or place is None:
            raise unknown_synset(self, name)
        # As in NLTK: "s" counts the satellites alone, "a" counts adjectives and satellites together.
        found = [index for index in self._senses[place] if covers(match["pos"], POS[self._pos[index]])]
        number = int(match["number"])
        if not 1 <= number <= len(found):
            raise unknown_synset(self, name)
        return found[number - 1]

    def _record(self, index: int) -> Synset:
        return Synset(
            name=self._named(index),
            pos=POS[self._pos[index]],
            lexname=self.lexnames[self._lexname[index]],
            lemmas=tuple(self._forms[form] for form in self._synset_forms[index]),
            hypernyms=self._names(self._up[index]),
            instance_hypernyms=self._names(self._up_instance[index]),
        )

    def _named(self, index: int) -> str:
        lemma = self._forms[self._synset_forms.first(index)].lower()
        return f"{lemma}.{POS[self._pos[index]]}.{self._number[index]:02d}"

    def _names(self, indices: list[int]) -> tuple[str, ...]:
        return tuple(sorted(self._named(index) for index in indices))


class _Rows:
    """Rows of unequal length in one array: row i is values[start[i]:start[i + 1]]."""

    def __init__(self, start: NDArray[np.int64], values: NDArray[Any]) -> None:
        self._start, self._values = start, values

    @classmethod
    def of_sizes(cls, sizes: NDArray[Any], values: NDArray[Any]) -> _Rows:
        return cls(np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]), values)

    @classmethod
    def of_edges(cls, edges: NDArray[Any], rows: int) -> _Rows:
        order = np.argsort(edges[:, 0], kind="stable")
        return cls.of_sizes(np.bincount(edges[:, 0], minlength=rows), edges[order, 1])

    def __getitem__(self, row: int) -> list[int]:
        values: list[int] = self._values[self._start[row] : self._start[row + 1]].tolist()
        return values

    def first(self, row: int) -> int:
        return int(self._values[self._start[row]])


def _lines(text: NDArray[Any]) -> list[str]:
    return text.tobytes().decode("utf-8").split("\n")
