"""Where a word's numbers come from: the table, or the controls that it has to beat.

A *source* maps words to rows of numbers. All of them are asked the same questions by the same means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from feasibility.periodic_table_treebank import Treebank

Floats = NDArray[np.float64]
Word = tuple[str, str]

WINDOW = 4


class Source(Protocol):
    """Words as rows of numbers."""

    def __call__(self, words: Sequence[Word]) -> Floats:
        """The numbers of each (lemma, part of speech): [words, axes]; a row of zeros says that nothing is known."""


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


class Table:
    """The coordinates of the periodic table, all from lexicons; remembered for lists of words that were asked for."""

    def __init__(self) -> None:
        from periodic_table import coordinates

        sizes = {name: len(coordinates.axes((name,))) for name in MEANING}
        self._factors = np.concatenate([np.full(sizes[name], weight) for name, weight in MEANING.items()])
        self._block = np.repeat(list(MEANING), list(sizes.values()))
        self._known: dict[tuple[Word, ...], Floats] = {}

    def __call__(self, words: Sequence[Word]) -> Floats:
        """The weighted coordinates of each word: [words, axes]."""
        from periodic_table import coordinates

        key = tuple(words)
        if key not in self._known:
            names, tags = [word for word, _ in key], [tag for _, tag in key]
            self._known[key] = coordinates.matrix(names, tags, tuple(MEANING)) * self._factors
        return self._known[key]

    def only(self, *blocks: str) -> Source:
        """Some blocks of it."""
        columns = np.isin(self._block, blocks)
        return lambda words: self(words)[:, columns]


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

    return rows


def pos_only() -> Source:
    """The part of speech and nothing else."""

    def rows(words: Sequence[Word]) -> Floats:
        tags = sorted({upos for _, upos in words})
        return np.eye(len(tags))[[tags.index(upos) for _, upos in words]]

    return rows


def frequency(train: Treebank) -> Source:
    """How frequent a word is: in the training text, and in the texts that WordNet's senses were counted in (log)."""
    from periodic_table.element import WORDNET_POS
    from periodic_table.lexicon import load_lexicon

    counts = dict(zip(train.entries, np.bincount(train.entry, minlength=len(train.entries)).tolist(), strict=True))
    lexicon = load_lexicon()

    def tagged(word: Word) -> int:
        pos = WORDNET_POS.get(word[1])
        return sum(sense.count for sense in lexicon.senses(word[0], pos)) if pos else 0

    return lambda words: np.log1p(np.array([[counts.get(word, 0), tagged(word)] for word in words], dtype=float))


def random(axes: int, seed: int) -> Source:
    """Numbers that mean nothing: independent and normal."""

    def rows(words: Sequence[Word]) -> Floats:
        known = {word: place for place, word in enumerate(sorted(set(words)))}
        return np.random.default_rng(seed).normal(size=(len(known), axes))[[known[word] for word in words]]

    return rows


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

    return rows


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
    return lambda words: vectors[[place.get(word, size) for word in words]]
