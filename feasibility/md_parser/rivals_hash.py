"""Hashed features for the rival parsers of `md_parser`: words as numbers, templates as rows of a table.

Axes: `N` words of all sentences, one after the other; `S` sentences; `P` particles of one sentence, ROOT (0) and its
words. A feature is a template's number and its atoms, mixed into one of 2^22 weights; nothing is looked up in a list.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dynamics.compile import compiled
from dynamics.conllu import Sentence

Ints = NDArray[np.int64]
Weights = NDArray[np.float32]

# Weights of a model: 16 MB of float32.
SIZE = 1 << 22
ROOT, OUTSIDE = 1, 2
# fmt: off
UNIVERSAL = (
    "ADJ", "ADP", "ADV", "AUX", "CCONJ", "DET", "INTJ", "NOUN", "NUM", "PART", "PRON", "PROPN", "PUNCT", "SCONJ", "SYM",
    "VERB", "X",
)
# fmt: on
_PRIME = 0x1E35A7BD9E3779B1


class Bank(NamedTuple):
    """Sentences as numbers.

    Args:
        word: [N], checksums of the forms in lower case.
        ending: [N], checksums of their last three letters.
        upos: [N], checksums.
        xpos: [N], checksums; those of upos where the treebank has none.
        bit: [N], number of the universal part of speech; 17 for any other.
        head: [N], counted from 1 within the sentence; 0 is ROOT.
        label: [N], indices into labels; -1 for one that is not there.
        start: [S + 1], where sentences begin.
        labels: relations without subtypes.
    """

    word: Ints
    ending: Ints
    upos: Ints
    xpos: Ints
    bit: Ints
    head: Ints
    label: Ints
    start: Ints
    labels: tuple[str, ...]


def encode(sentences: Iterable[Sentence], labels: tuple[str, ...] = ()) -> Bank:
    """Turn sentences into numbers.

    Args:
        sentences: with gold trees.
        labels: relations that are known; taken from the sentences if there are none.
    """
    known = list(sentences)
    relations = [relation.split(":")[0] for sentence in known for relation in sentence.labels]
    labels = labels or tuple(sorted(set(relations)))
    index = {relation: number for number, relation in enumerate(labels)}
    xpos = [fine if fine != "_" else tag for s in known for tag, fine in zip(s.upos, s.xpos or s.upos, strict=True)]
    bits = {tag: number for number, tag in enumerate(UNIVERSAL)}
    return Bank(
        word=_checksums(token.lower() for sentence in known for token in sentence.tokens),
        ending=_checksums(token.lower()[-3:] for sentence in known for token in sentence.tokens),
        upos=_checksums(tag for sentence in known for tag in sentence.upos),
        xpos=_checksums(xpos),
        bit=np.array([bits.get(tag, len(bits)) for sentence in known for tag in sentence.upos], np.int64),
        head=np.array([head for sentence in known for head in sentence.heads], np.int64),
        label=np.array([index.get(relation, -1) for relation in relations], np.int64),
        start=np.cumsum([0, *(len(sentence.tokens) for sentence in known)]),
        labels=labels,
    )


def _checksums(texts: Iterable[str]) -> Ints:
    """Numbers above those that are set apart for ROOT and for places outside the sentence."""
    return np.array([zlib.crc32(text.encode()) + 3 for text in texts], np.int64)


@compiled
def mix(state: int, value: int) -> int:
    """Stir one more number into a hash; wraps around in 64 bits."""
    state = (state ^ value) * _PRIME
    return state ^ (state >> 29)


@compiled
def framed(values: Ints) -> Ints:
    """[P + 2]: the atoms of a sentence with ROOT at 1 and a place outside at either end; a word d stands at d + 1."""
    out = np.full(values.size + 3, OUTSIDE, np.int64)
    out[1] = ROOT
    out[2:-1] = values
    return out


@compiled
def template_hashes(atoms: Ints, templates: Ints, context: int, out: Ints, count: int) -> int:
    """Write one hash a template into `out` from place `count` on, and return the next free place.

    Args:
        atoms: [A].
        templates: [T, 4], numbers of atoms; -1 where a template has fewer.
        context: what is joined to every template, such as direction and distance.
        out: written to.
        count: how many it holds already.
    """
    for number in range(templates.shape[0]):
        state = mix(context, number + 1)
        for atom in templates[number]:
            if atom >= 0:
                state = mix(state, atoms[atom])
        out[count + number] = state
    return count + len(templates)


def templates_of(names: str, rows: str) -> Ints:
    """A table of templates [T, 4] from text: names of the atoms, and templates parted by commas."""
    place = {name: number for number, name in enumerate(names.split())}
    table = [[place[name] for name in row.split()] for row in rows.split(",")]
    return np.array([row + [-1] * (4 - len(row)) for row in table], np.int64)


def averaged(weights: Weights, drift: NDArray[np.float64], updates: int) -> Weights:
    """The mean of the weights over all updates: w - sum of (time * change) / updates.

    Source: Collins 2002; Daumé 2006 for the way of computing it.
    """
    return (weights - drift / max(1, updates)).astype(np.float32)
