"""Where a word's numbers come from: the table, or the controls that it has to beat.

A *source* maps words to rows of numbers. All of them are asked the same questions by the same means.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from feasibility.periodic_table.treebank import Treebank

Floats = NDArray[np.float64]
Word = tuple[str, str]

WINDOW = 4


class Source(Protocol):
    """Words as rows of numbers."""

    @property
    def spaces(self) -> tuple[slice, ...]:
        """Groups of axes that are directions of one space, so that the angle between two words has a meaning."""

    def __call__(self, words: Sequence[Word]) -> Floats:
        """The numbers of each (lemma, part of speech): [words, axes]; a row of zeros says that nothing is known."""


@dataclass(frozen=True)
class Numbers:
    """A source made of a function.

    Args:
        rows: the numbers of some words.
        spaces: see `Source`.
    """

    rows: Callable[[Sequence[Word]], Floats]
    spaces: tuple[slice, ...] = ()

    def __call__(self, words: Sequence[Word]) -> Floats:
        """See `Source`."""
        return self.rows(words)


def cosines(source: Source, first: Sequence[Word], second: Sequence[Word]) -> Floats:
    """The angles between two words of each pair: the cosine of each space of the one with each of the other.

    Returns:
        [pairs, spaces^2]; 0 where nothing is known of a word.
    """
    sides = []
    for words in (first, second):
        numbers = source(words)
        groups = [numbers[:, space] for space in source.spaces]
        sides.append([group / np.maximum(np.linalg.norm(group, axis=1, keepdims=True), 1e-12) for group in groups])
    found = [np.einsum("ij,ij->i", one, other) for one in sides[0] for other in sides[1]]
    return np.stack(found, axis=1) if found else np.zeros((len(first), 0))


# The blocks of coordinates that say what a word means, and their weights, chosen on the bonds of the dev part. Left out
# are the part of speech, which all comparisons hold fixed, and how much a word is used.
MEANING: Mapping[str, float] = {
    "supersense": 1.0,
    "kind": 1.0,
    "kin": 1.0,
    "verb": 1.0,
    "definition": 2.0,
    "company": 1.5,
    "form": 1.0,
    "charge": 1.0,
}
# Two of them hold directions of one space.
DIRECTIONS = ("definition", "company")


class Table:
    """The coordinates of the periodic table, all from lexicons; remembered word by word."""

    def __init__(self) -> None:
        from periodic_table import coordinates

        sizes = {name: len(coordinates.axes((name,))) for name in MEANING}
        self._factors = np.concatenate([np.full(sizes[name], weight) for name, weight in MEANING.items()])
        self._block = np.repeat(list(MEANING), list(sizes.values()))
        self.spaces = tuple(_columns(self._block == name) for name in DIRECTIONS)
        self._known: dict[Word, Floats] = {}

    def __call__(self, words: Sequence[Word]) -> Floats:
        """The weighted coordinates of each word: [words, axes]."""
        from periodic_table import coordinates

        new = [word for word in dict.fromkeys(words) if word not in self._known]
        numbers = coordinates.matrix([word for word, _ in new], [tag for _, tag in new], tuple(MEANING))
        self._known.update(zip(new, numbers * self._factors, strict=True))
        return np.array([self._known[word] for word in words]).reshape(len(words), len(self._factors))

    def only(self, *blocks: str) -> Source:
        """Some blocks of it."""
        columns = np.isin(self._block, blocks)
        return Numbers(lambda words: self(words)[:, columns])


def _columns(chosen: NDArray[np.bool_]) -> slice:
    first, last = np.flatnonzero(chosen)[[0, -1]].tolist()
    return slice(first, last + 1)


# The blocks that are made from the senses of a word alone.
OF_SENSES = ("kind", "kin", "definition")


def first_sense() -> Source:
    """The blocks of `OF_SENSES` as if every word had only the sense that WordNet lists first."""
    from periodic_table.blocks import LEXICAL
    from periodic_table.isotopes import load_isotopes
    from periodic_table.rows import Rows
    from periodic_table.words import Words

    blocks = [(block, MEANING[block.name]) for block in LEXICAL if block.name in OF_SENSES]

    def rows(words: Sequence[Word]) -> Floats:
        batch = Words([word for word, _ in words], [tag for _, tag in words])
        isotopes, known = load_isotopes(), batch.entries >= 0
        synset = isotopes.synset[isotopes.start[batch.entries[known]]]
        # In place of the distribution, from which the blocks compute all else.
        batch.__dict__["senses"] = Rows(np.concatenate([[0], np.cumsum(known)]), synset, np.ones(len(synset)))
        return np.hstack([weight * block.fill(batch) for block, weight in blocks])

    return Numbers(rows)


def pos_only() -> Source:
    """The part of speech and nothing else."""

    def rows(words: Sequence[Word]) -> Floats:
        tags = sorted({upos for _, upos in words})
        return np.eye(len(tags))[[tags.index(upos) for _, upos in words]]

    return Numbers(rows)


def frequency(train: Treebank) -> Source:
    """How frequent a word is: in the training text, and in the texts that WordNet's senses were counted in (log)."""
    from periodic_table.element import WORDNET_POS
    from periodic_table.isotopes import load_isotopes

    counts = dict(zip(train.entries, np.bincount(train.entry, minlength=len(train.entries)).tolist(), strict=True))
    isotopes = load_isotopes()

    def tagged(word: Word) -> float:
        pos = WORDNET_POS.get(word[1])
        entry = isotopes.entry(word[0], pos) if pos else -1
        return float(isotopes.tagged[entry]) if entry >= 0 else 0.0

    def rows(words: Sequence[Word]) -> Floats:
        counted: Floats = np.log1p(np.array([[counts.get(word, 0), tagged(word)] for word in words], dtype=float))
        return counted

    return Numbers(rows)


def random(axes: int, seed: int) -> Source:
    """Numbers that mean nothing: independent and normal."""

    def rows(words: Sequence[Word]) -> Floats:
        known = {word: place for place, word in enumerate(sorted(set(words)))}
        return np.random.default_rng(seed).normal(size=(len(known), axes))[[known[word] for word in words]]

    return Numbers(rows, (slice(None),))


def shuffled(source: Source, seed: int) -> Source:
    """The rows of another source dealt out at random among the words of each part of speech."""

    def rows(words: Sequence[Word]) -> Floats:
        distinct = sorted(set(words))
        place = {word: index for index, word in enumerate(distinct)}
        numbers = source(distinct).copy()
        rng = np.random.default_rng(seed)
        for upos in sorted({tag for _, tag in distinct}):
            own = np.array([index for index, (_, tag) in enumerate(distinct) if tag == upos])
            numbers[own] = numbers[rng.permutation(own)]
        dealt: Floats = numbers[[place[word] for word in words]]
        return dealt

    return Numbers(rows, source.spaces)


def cooccurrence(train: Treebank, axes: int, seed: int) -> Source:
    """Word vectors learned from the training text: positive pointwise mutual information, its main axes.

    Counts are of lemmas within 4 words of one another in a sentence, nearer ones weighing more (1 / distance); contexts
    are smoothed by the power 0.75, and rows scaled by the root of the singular values.

    Source: Levy, Goldberg and Dagan (2015).
    """
    from scipy.sparse import coo_matrix, csr_matrix
    from scipy.sparse.linalg import svds

    # Rows of the words that occur; the treebank's list of entries is that of all its parts.
    occurring, place_of = np.unique(train.entry, return_inverse=True)
    size = len(occurring)
    table = csr_matrix((size, size))
    for distance in range(1, WINDOW + 1):
        same = train.sentence[:-distance] == train.sentence[distance:]
        left, right = place_of[:-distance][same], place_of[distance:][same]
        step = coo_matrix((np.full(len(left), 1.0 / distance), (left, right)), shape=(size, size)).tocsr()
        table = table + step + step.T
    table = table.tocoo()
    row = np.bincount(table.row, table.data, minlength=size)
    context = row**0.75 / (row**0.75).sum()
    information = np.log(table.data / (row[table.row] * context[table.col]))
    kept = information > 0
    positive = csr_matrix((information[kept], (table.row[kept], table.col[kept])), shape=(size, size))
    left, strength, _ = svds(positive, axes, rng=np.random.default_rng(seed))
    vectors = np.vstack([left * np.sqrt(strength), np.zeros(axes)])
    place = {train.entries[entry]: index for index, entry in enumerate(occurring.tolist())}
    return Numbers(lambda words: vectors[[place.get(word, size) for word in words]], (slice(None),))
