"""Which words bond: attested (head, relation, dependent) triples, and triples that are like them in all but the bond.

A test positive is a pair that the training text does not have in that relation. Its negatives replace the dependent by
one of another pair of the same text and relation, of the same part of speech, and as frequent in that relation's
training pairs to half an octave; a word that the training text lacks is replaced by another such. So neither frequency
nor part of speech tells the two apart. The replacement is never attested with that head anywhere. Two other kinds of
negative show what such matching is worth: "corpus" matches the frequency in the whole training text instead, "uniform"
nothing but the part of speech.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from feasibility.periodic_table.treebank import Treebank

Word = tuple[str, str]
Match = Literal["slot", "corpus", "uniform"]
Ints = NDArray[np.int64]

CONTENT = ("NOUN", "VERB", "ADJ", "ADV")
# The four that the literature on selectional preferences measures, and further bonds between words of content.
JUDGED = ("nsubj", "obj", "amod", "obl")
FURTHER = ("nmod", "compound", "conj", "advmod", "xcomp")


@dataclass(frozen=True)
class Vocabulary:
    """The words of content of some treebanks.

    Args:
        words: (lemma, part of speech), W of them.
        tag: int[W], place of the part of speech in CONTENT.
        count: int[W], occurrences in the training text.
        tokens: for each text by name its occurrences of these words, int[tokens].
        place: the index of each word.
    """

    words: tuple[Word, ...]
    tag: Ints
    count: Ints
    tokens: dict[str, Ints]
    place: dict[Word, int]

    def bins(self, frequency: NDArray[np.float64]) -> Ints:
        """A number for each part of speech and half octave of a frequency."""
        octave: Ints = np.floor(2 * np.log2(frequency + 1)).astype(np.int64)
        return self.tag * 1000 + octave


@dataclass(frozen=True)
class Slot:
    """One relation, to learn from one text and to test on another.

    Args:
        relation: its label.
        train: int[n, 2], (head, dependent) of every occurrence in the training text.
        positives: int[m, 2], pairs of the tested text that the training text does not have; each once.
        negatives: int[q, 2], pairs that are attested nowhere.
        owner: int[q], the positive that each negative was made from.
    """

    relation: str
    train: Ints
    positives: Ints
    negatives: Ints
    owner: Ints


def vocabulary(texts: dict[str, Treebank]) -> Vocabulary:
    """All words of content; the text "train" gives the frequencies."""
    seen = {name: _content_entries(text) for name, text in texts.items()}
    words = tuple(sorted({word for entries in seen.values() for word in entries}))
    place = {word: index for index, word in enumerate(words)}
    tokens = {name: np.array([place[word] for word in entries], dtype=np.int64) for name, entries in seen.items()}
    count = np.bincount(tokens["train"], minlength=len(words))
    return Vocabulary(words, np.array([CONTENT.index(tag) for _, tag in words]), count, tokens, place)


def _content_entries(text: Treebank) -> list[Word]:
    return [text.entries[entry] for entry in text.entry.tolist() if text.entries[entry][1] in CONTENT]


def pairs(text: Treebank, relation: str, words: Vocabulary) -> Ints:
    """Every (head, dependent) of a relation between two words of content, in the order of the text: int[n, 2]."""
    if relation not in text.relations:
        return np.zeros((0, 2), dtype=np.int64)
    here = np.flatnonzero((text.relation == text.relations.index(relation)) & (text.head >= 0))
    ends = np.stack([text.entry[text.head[here]], text.entry[here]], axis=1)
    entries, row = np.unique(ends, return_inverse=True)
    known = np.array([words.place.get(text.entries[entry], -1) for entry in entries.tolist()], dtype=np.int64)
    found: Ints = known[row].reshape(ends.shape)
    return found[(found >= 0).all(axis=1)]


def slots(
    texts: dict[str, Treebank],
    words: Vocabulary,
    tested: str,
    relations: Sequence[str],
    *,
    match: Match = "slot",
    each: int = 5,
    seed: int = 0,
) -> list[Slot]:
    """What there is to learn and to test, relation by relation.

    Args:
        texts: treebanks by name; "train" is learned from, and pairs of any of them are no negatives.
        words: of these texts.
        tested: name of the text with the positives.
        relations: labels.
        match: how the negatives are like the positives, see the top of this file.
        each: negatives of one positive, fewer where there are not so many.
        seed: of the negatives.
    """
    out = []
    for number, relation in enumerate(relations):
        found = {name: pairs(text, relation, words) for name, text in texts.items()}
        train = {(h, d) for h, d in found["train"].tolist()}
        attested = {(h, d) for rows in found.values() for h, d in rows.tolist()}
        positives = sorted({(h, d) for h, d in found[tested].tolist()} - train)
        pool = _pool(words, tested, found, match)
        rng = np.random.default_rng([seed, number])
        negatives, owner = [], []
        for place, (head, dependent) in enumerate(positives):
            fit = pool[dependent]
            drawn = dict.fromkeys(rng.choice(fit, size=8 * each).tolist() if len(fit) else ())
            good = [other for other in drawn if (head, other) not in attested][:each]
            negatives += [(head, other) for other in good]
            owner += [place] * len(good)
        out.append(Slot(relation, found["train"], _rows(positives), _rows(negatives), np.array(owner, dtype=np.int64)))
    return out


def _rows(items: list[tuple[int, int]]) -> Ints:
    return np.array(items, dtype=np.int64).reshape(len(items), 2)


def _pool(words: Vocabulary, tested: str, found: dict[str, Ints], match: Match) -> list[Ints]:
    """For each word the words that may replace it."""
    if match == "uniform":
        key, tokens = words.tag, np.arange(len(words.words))
    elif match == "slot":
        in_slot = np.bincount(found["train"][:, 1], minlength=len(words.words)).astype(float)
        # A word that the training text lacks altogether is replaced by another such.
        key, tokens = 2 * words.bins(in_slot) + (words.count == 0), found[tested][:, 1]
    else:
        key, tokens = words.bins(words.count.astype(float)), words.tokens[tested]
    groups = {int(value): tokens[key[tokens] == value] for value in np.unique(key[tokens])}
    nothing = np.zeros(0, dtype=np.int64)
    return [groups.get(int(value), nothing) for value in key]


def train_negatives(slot: Slot, words: Vocabulary, each: int, seed: int) -> Ints:
    """Dependents that replace those of the training pairs, as frequent in the slot as these: int[each, n].

    They are drawn from the slot's own training pairs, whether attested with the head or not.
    """
    key, tokens = words.bins(frequency_in_slot(slot, words)), slot.train[:, 1]
    rng = np.random.default_rng(seed)
    out = np.empty((each, len(tokens)), dtype=np.int64)
    for value in np.unique(key[tokens]):
        here = np.flatnonzero(key[tokens] == value)
        out[:, here] = rng.choice(tokens[here], size=(each, len(here)))
    return out


def frequency_in_slot(slot: Slot, words: Vocabulary) -> NDArray[np.float64]:
    """How often each word is a dependent of the relation in the training text: float[W]."""
    return np.bincount(slot.train[:, 1], minlength=len(words.words)).astype(float)
