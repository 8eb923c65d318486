"""The spatial mode on a treebank: charges counted in its training part, by the two parts of speech and the side alone.

Nothing in these charges knows how far two words are apart; distance is left to space. That is why static decoders of
the same charges, and Eisner's algorithm with one tuned term for the distance, stand beside it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dynamics import ForceField, load_forcefield
from dynamics.conllu import Sentence
from dynamics.forcefield import FORBIDDEN
from dynamics.system import pair_charges, type_indices

# Chosen on sentences of the training part that were held out from the counts.
CONSTANTS = {"backbone": 8.0, "pull": 0.5, "cold": 0.5}
# What Eisner's algorithm may choose from: how much a bond loses for each nat of its length.
DISTANCE_TERMS = (0.0, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)


def counted_field(sentences: Sequence[Sentence], constants: dict[str, float] | None = None) -> ForceField:
    """A force field whose charges are counts.

    q(head type, dependent type, side) = ln((bonds + 1/2) / (pairs + 1)), not below -7

    of all pairs of words of the two types on that side in one sentence, how many are bonds.

    Args:
        sentences: with gold trees.
        constants: of the forces, in place of the shipped ones.

    Returns:
        A field without valences, but for ROOT, which takes one child.
    """
    types = tuple(sorted({tag for sentence in sentences for tag in sentence.upos}))
    row = {tag: number for number, tag in enumerate(types)}
    T = len(types)
    bonds, pairs = np.zeros((T + 1, T, 2)), np.zeros((T + 1, T, 2))
    labels: Counter[tuple[int, int, int, str]] = Counter()
    for sentence in sentences:
        tags = [row[tag] for tag in sentence.upos]
        _count_pairs(np.array(tags), pairs)
        for place, (tag, head, label) in enumerate(zip(tags, sentence.heads, sentence.labels, strict=True), 1):
            at = (tags[head - 1] + 1 if head else 0, tag, int(place > head))
            bonds[at] += 1
            labels[(*at, label.split(":")[0])] += 1
    names = tuple(sorted({label for *_, label in labels} | {"root"}))
    label_of = np.full((T + 1, T, 2), -1, np.int64)
    # The most frequent label of each kind of bond; most_common is sorted, so the first to come stays.
    for (head, tag, side, label), _ in labels.most_common():
        if label_of[head, tag, side] < 0:
            label_of[head, tag, side] = names.index(label)
    label_of[0] = names.index("root")
    charges = np.maximum(np.log((bonds + 0.5) / (pairs + 1.0)), FORBIDDEN)
    least, most = np.zeros((T + 1, len(names))), np.full((T + 1, len(names)), np.inf)
    least[0, names.index("root")] = most[0, names.index("root")] = 1.0
    field = ForceField(types, charges[..., None], names, label_of, least, most, load_forcefield().constants)
    return field.changed(**(CONSTANTS if constants is None else constants))


def _count_pairs(tags: NDArray[np.int64], pairs: NDArray[np.float64]) -> None:
    """Add one sentence's pairs of words to their numbers [T + 1, T, 2]; ROOT pairs with every word."""
    head, dependent = np.nonzero(~np.eye(tags.size, dtype=bool))
    np.add.at(pairs, (tags[head] + 1, tags[dependent], (dependent > head).astype(int)), 1.0)
    np.add.at(pairs, (np.zeros_like(tags), tags, np.ones_like(tags)), 1.0)


def known_tags(field: ForceField, upos: Sequence[str]) -> tuple[str, ...]:
    """Tags as the field knows them; one that was never counted becomes X, or the last type where there is no X."""
    other = "X" if "X" in field.types else field.types[-1]
    return tuple(tag if tag in field.types else other for tag in upos)


def static_scores(field: ForceField, upos: Sequence[str], distance_term: float = 0.0) -> NDArray[np.float64]:
    """[P, P] float64 in nat, score[h, d]: charges, less a term that grows with the logarithm of the distance.

    Args:
        field: T types.
        upos: [N], types of the field.
        distance_term: nat per nat of distance; with 0 the nearer of two equal heads wins by a hair.
    """
    scores = pair_charges(field, type_indices(field, tuple(upos)))
    place = np.arange(len(scores))
    apart = np.abs(place[:, None] - place).astype(float)
    apart[0] = 1.0
    np.fill_diagonal(apart, 1.0)
    lessened: NDArray[np.float64] = scores - distance_term * np.log(apart) - 1e-6 * apart
    return lessened
