"""Force fields for a grammar: charges read off the rules, or counted in sentences; labels; valences.

Axes: `T` tags, `L` labels, `R` distance classes. Row 0 of a table over heads is ROOT.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from dynamics.forcefield import FORBIDDEN, SIDES, Constants, ForceField
from feasibility.toy_grammar.affinity import Expected, expected
from feasibility.toy_grammar.rules import Grammar
from feasibility.toy_grammar.sentences import Sentence
from feasibility.toy_grammar.valence import valences


def rule_field(grammar: Grammar, constants: Constants, shortest: int, longest: int) -> ForceField:
    """A force field from the grammar file alone: no sentence is looked at, and no distance is in the charges.

    charge[h, d, side] = ln P(the head of a d has tag h and stands on that side), given the length range

    Args:
        grammar: checked.
        constants: of the forces.
        shortest: length of sentences, inclusive.
        longest: length of sentences, inclusive.

    Raises:
        MalformedGrammar: the grammar derives no sentence of such a length.

    Source: ours.
    """
    counts = expected(grammar, shortest, longest)
    middle = counts.bonds.shape[2] // 2
    by_side = np.stack([counts.bonds[:, :, :middle].sum(axis=2), counts.bonds[:, :, middle + 1 :].sum(axis=2)], axis=2)
    return _field(grammar, constants, _log(by_side, counts.words[None, :, None])[..., None], counts)


def distance_field(grammar: Grammar, constants: Constants, shortest: int, longest: int) -> ForceField:
    """A force field from the grammar file alone whose charges know the distance, as space does.

    charge[h, d, side, k] = ln of the odds that a d and an h so placed, k words apart, are bonded

    Args:
        grammar: checked.
        constants: of the forces.
        shortest: length of sentences, inclusive.
        longest: length of sentences, inclusive.

    Raises:
        MalformedGrammar: the grammar derives no sentence of such a length.

    Source: ours.
    """
    counts = expected(grammar, shortest, longest)
    middle = counts.bonds.shape[2] // 2
    odds = _log(counts.bonds, counts.pairs - counts.bonds)
    # Columns run from far left to far right; a field lists each side from near to far.
    charges = np.stack([odds[:, :, middle - 1 :: -1], odds[:, :, middle + 1 :]], axis=2)
    return _field(grammar, constants, charges, counts)


def counted_field(grammar: Grammar, constants: Constants, sentences: Iterable[Sentence]) -> ForceField:
    """The charges of `rule_field`, estimated by counting in sentences with gold trees instead.

    Args:
        grammar: checked; gives tags, labels and valences.
        constants: of the forces.
        sentences: drawn from the grammar.
    """
    T = len(grammar.tags)
    bonds, roots, words = np.zeros((T, T, 3)), np.zeros(T), np.zeros(T)
    for sentence in sentences:
        tags = [grammar.tags.index(tag) for tag in sentence.tags]
        for place, (tag, head) in enumerate(zip(tags, sentence.heads.tolist(), strict=True), 1):
            words[tag] += 1
            if head == 0:
                roots[tag] += 1
            else:
                bonds[tags[head - 1], tag, 0 if place < head else 2] += 1
    counts = Expected(bonds, bonds, roots, words)
    return _field(grammar, constants, _log(bonds[:, :, ::2], words[None, :, None])[..., None], counts)


def permuted(field: ForceField, seed: int) -> ForceField:
    """The same field with its tags' properties dealt out at random: what is left of a parser without the grammar.

    Charges and labels move together over the pairs of tags and sides, valences over the heads and labels; ROOT's
    charges move over the tags.

    Args:
        field: T types.
        seed: of the shuffle.
    """
    rng = np.random.default_rng(seed)
    charges, label_of = field.charges.copy(), field.label_of.copy()
    least, most = field.least.copy(), field.most.copy()
    deal = rng.permutation(label_of[1:].size)
    charges[1:] = field.charges[1:].reshape(-1, field.charges.shape[3])[deal].reshape(field.charges[1:].shape)
    label_of[1:] = field.label_of[1:].ravel()[deal].reshape(label_of[1:].shape)
    charges[0] = field.charges[0, rng.permutation(len(field.types))]
    deal = rng.permutation(least[1:].size)
    least[1:], most[1:] = (table[1:].ravel()[deal].reshape(table[1:].shape) for table in (field.least, field.most))
    return dataclasses.replace(field, charges=charges, label_of=label_of, least=least, most=most)


def _log(parts: NDArray[np.float64], wholes: NDArray[np.float64]) -> NDArray[np.float64]:
    """ln(parts / wholes), held between the charge of a forbidden bond and its opposite."""
    # A difference of two equal expectations may come out a little below 0.
    parts, wholes = np.maximum(parts, 0.0), np.maximum(wholes, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        logarithm = np.log(parts / wholes)
    return np.nan_to_num(logarithm, nan=FORBIDDEN, posinf=-FORBIDDEN, neginf=FORBIDDEN).clip(FORBIDDEN, -FORBIDDEN)


def _field(grammar: Grammar, constants: Constants, charges: NDArray[np.float64], counts: Expected) -> ForceField:
    """Add ROOT, labels and valences to charges between words.

    Args:
        charges: [T, T, 2, R] float64.
        counts: for the charges of ROOT.
    """
    T, tags = len(grammar.tags), grammar.tags
    labels = ("root", *sorted(set(grammar.labels.values())))
    root = np.broadcast_to(_log(counts.roots, counts.words)[:, None, None], charges.shape[1:])
    label_of = np.full((T + 1, T, 2), -1, np.int64)
    label_of[0] = labels.index("root")
    for (head, dependent, side), label in grammar.labels.items():
        label_of[tags.index(head) + 1, tags.index(dependent), SIDES.index(side)] = labels.index(label)
    least, most = np.zeros((T + 1, len(labels))), np.full((T + 1, len(labels)), math.inf)
    least[0, 0] = most[0, 0] = 1.0
    for (tag, label), (low, high) in valences(grammar).items():
        least[tags.index(tag) + 1, labels.index(label)] = low
        most[tags.index(tag) + 1, labels.index(label)] = high
    return ForceField(tags, np.concatenate([root[None], charges]), labels, label_of, least, most, constants)
