"""Sentences as arrays, one after the other, and what was counted in them.

Axes: `S` sentences; `Q` places of all sentences, each with ROOT first and an end last; `U` universal tags.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from dynamics.conllu import Sentence
from dynamics.reactive.codes import FINE, encode, text_code

# Tags beyond these, the rarest, are treated as one; see `dynamics.reactive.arcs.TAGS`.
MOST_TAGS, MOST_FINE = 61, 24
_KINDS = {"VERB": 1, "AUX": 1, "PUNCT": 2}

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Inventory:
    """The tags and labels of a treebank.

    Args:
        upos: universal tags; the number i + 1 stands for upos[i], 0 for all others.
        fine: fine tags; none for a treebank without them.
        labels: "root" first, which only the bonds of ROOT have.
        first: [U + 2] int64, where the fine tags of each number begin in choices.
        choices: int64, the fine tags that words of this number had.
    """

    upos: tuple[str, ...]
    fine: tuple[str, ...]
    labels: tuple[str, ...]
    first: Ints
    choices: Ints

    @cached_property
    def kinds(self) -> Ints:
        """[U + 1] int64: 1 for verbs and auxiliaries, 2 for punctuation, else 0."""
        return np.array([0] + [_KINDS.get(tag, 0) for tag in self.upos], np.int64)

    @cached_property
    def fine_codes(self) -> NDArray[np.uint64]:
        """What stands for each fine tag in the codes of a sentence."""
        return np.array([text_code(tag) for tag in self.fine], np.uint64)

    def give_fine_tags(self, codes: NDArray[np.uint64], xpos: Sequence[str]) -> bool:
        """Write given fine tags into the codes of a sentence; one that is not known leaves what is there.

        Returns:
            Whether every word has been given one.
        """
        known = self._codes_of_fine
        given = [known.get(tag, 0) for tag in xpos]
        if 0 not in given:
            codes[1:-1, FINE] = given
            return True
        for place, code in enumerate(given, 1):
            if code:
                codes[place, FINE] = code
        return False

    @cached_property
    def _codes_of_fine(self) -> dict[str, int]:
        return {tag: text_code(tag) for tag in self.fine}

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {tag: number for number, tag in enumerate(self.upos, 1)}

    def tags(self, upos: Sequence[str]) -> Ints:
        """[P] int64, the numbers of the universal tags, ROOT first."""
        return np.array([0] + [self._numbers.get(tag, 0) for tag in upos], np.int64)


@dataclass(frozen=True)
class Corpus:
    """Sentences one after the other.

    Args:
        starts: [S + 1] int64.
        codes: [Q, 5] uint64.
        tags, kinds: [Q] int64.
        heads, labels, fine: [Q] int64; labels are 0 at ROOT and where unknown, fine tags -1 where there is none.
    """

    starts: Ints
    codes: NDArray[np.uint64]
    tags: Ints
    kinds: Ints
    heads: Ints
    labels: Ints
    fine: Ints


def take_inventory(sentences: Sequence[Sentence]) -> Inventory:
    """Count the tags and labels of a treebank; equal sentences give equal numbers."""
    upos = _by_frequency(Counter(tag for one in sentences for tag in one.upos), MOST_TAGS)
    labels = _by_frequency(
        Counter(label for one in sentences for head, label in zip(one.heads, one.labels, strict=True) if head), 999
    )
    pairs = Counter(
        pair for one in sentences if one.xpos for pair in zip(one.upos, one.xpos, strict=True) if pair[1] != "_"
    )
    fine = _by_frequency(Counter(tag for _, tag in pairs.elements()), len(pairs))
    number = {tag: place for place, tag in enumerate(fine)}
    first, choices = [0, 0], []
    for tag in upos:
        own = Counter({x: count for (u, x), count in pairs.items() if u == tag})
        choices += [number[x] for x in _by_frequency(own, MOST_FINE)]
        first.append(len(choices))
    # "root" is the label of ROOT's bonds by definition, so it cannot also be one of another bond.
    kept = tuple(label for label in labels if label != "root") or ("dep",)
    return Inventory(upos, fine, ("root", *kept), np.array(first, np.int64), np.array(choices, np.int64))


def _by_frequency(counts: Counter[str], most: int) -> tuple[str, ...]:
    return tuple(sorted(counts, key=lambda name: (-counts[name], name))[:most])


def pack(sentences: Sequence[Sentence], inventory: Inventory) -> Corpus:
    """Sentences as arrays; fine tags are not yet in the codes."""
    labels = {label: number for number, label in enumerate(inventory.labels)}
    fine = {tag: number for number, tag in enumerate(inventory.fine)}
    starts, codes, tags, heads, names, xpos = [0], [], [], [], [], []
    for one in sentences:
        numbers = inventory.tags(one.upos)
        codes.append(encode(one.tokens, numbers[1:]))
        tags.append(np.append(numbers, 0))
        heads += [0, *one.heads, 0]
        names += [0, *(labels.get(label, 0) if head else 0 for head, label in zip(one.heads, one.labels, strict=True))]
        names.append(0)
        xpos += [-1, *(fine.get(tag, -1) for tag in one.xpos or ("_",) * len(one.tokens)), -1]
        starts.append(starts[-1] + len(one.tokens) + 2)
    every = np.concatenate(tags)
    return Corpus(
        np.array(starts, np.int64),
        np.concatenate(codes),
        every,
        inventory.kinds[every],
        np.array(heads, np.int64),
        np.array(names, np.int64),
        np.array(xpos, np.int64),
    )
