"""How well rules tell the bonds of a treebank from other pairs at the same distance.

A pair of words is *licensed* where the later word sees the earlier one. Good rules license almost every pair of head
and dependent, and reject as many as they can of the pairs that are as far apart but were drawn at random.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from periodic_table.bonding.rules import Rules
from periodic_table.tagging.tagger import Tagger
from periodic_table.treebank import Token


@dataclass(frozen=True, eq=False)
class Licensing:
    """What was measured.

    Args:
        licensed: share of the treebank's arcs (without those to the root) that the rules license.
        rejected: share of random pairs at the arcs' distances that they do not. A random pair may by chance be an arc:
            no rules can reject more than `ceiling` and license every arc.
        rejected_unbonded: the same over random pairs that are no arcs.
        ceiling: share of the random pairs that are no arcs.
        arcs: how many arcs, and as many random pairs of either kind.
        by_sentence: int64[S, 4], for each sentence its arcs, how many of these are licensed, and for the random pairs
            drawn for them how many of either kind are rejected: to resample sentences for an interval.
    """

    licensed: float
    rejected: float
    rejected_unbonded: float
    ceiling: float
    arcs: int
    by_sentence: NDArray[np.int64]


def licensing(
    rules: Rules, sentences: Sequence[Sequence[Token]], seed: int = 0, tagger: Tagger | None = None
) -> Licensing:
    """Measure rules on a treebank.

    Args:
        rules: to be measured.
        sentences: lists of words with `form`, `upos` and `head` (from 1, 0 for the root).
        seed: of the random pairs. For each arc two are drawn at its distance, from all pairs of all sentences at that
            distance, and from those that are no arcs; where there is none of these, from all.
        tagger: whose tags the rules get; without one, those of the treebank.

    Raises:
        ValueError: the sentences have no arc.

    Cost: O(sum of N^2 over the sentences); 3 s for 2,000 sentences.
    """
    distance, bonded, sees, sentence = _pairs(rules, sentences, tagger)
    if not bonded.any():
        raise ValueError(f"{len(sentences)} sentences without an arc between two words; expected a treebank")
    rng = np.random.default_rng(seed)
    of_arc = distance[bonded]
    drawn = _drawn(of_arc, distance, np.ones_like(bonded), rng)
    free = _drawn(of_arc, distance, ~bonded, rng)
    free = np.where(free >= 0, free, drawn)
    columns = np.stack([np.ones_like(of_arc), sees[bonded], ~sees[drawn], ~sees[free]], axis=1).astype(np.int64)
    by_sentence = np.zeros((len(sentences), 4), dtype=np.int64)
    np.add.at(by_sentence, sentence[bonded], columns)
    _, licensed, rejected, unbonded = columns.mean(axis=0).tolist()
    return Licensing(licensed, rejected, unbonded, float((~bonded[drawn]).mean()), len(of_arc), by_sentence)


def _pairs(
    rules: Rules, sentences: Sequence[Sequence[Token]], tagger: Tagger | None
) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_], NDArray[np.int64]]:
    """Of all pairs i < j: their distance, whether they are an arc, whether j sees i, and the sentence."""
    parts = []
    for number, tokens in enumerate(sentences):
        words = [token.form for token in tokens]
        tags = [token.upos for token in tokens] if tagger is None else tagger.tag(words)
        allow = rules.bonds(words, tags).allow
        head = np.array([token.head for token in tokens], dtype=np.int64) - 1
        i, j = np.triu_indices(len(tokens), 1)
        parts.append((j - i, (head[j] == i) | (head[i] == j), allow[j, i], np.full(len(i), number)))
    if not parts:
        raise ValueError("no sentences; expected a treebank")
    distance, bonded, sees, sentence = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return distance, bonded, sees, sentence


def _drawn(
    wanted: NDArray[np.int64], distance: NDArray[np.int64], of: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.int64]:
    """For each wanted distance the index of a pair at that distance, drawn from `of`; -1 where there is none."""
    pool = np.flatnonzero(of)
    pool = pool[np.argsort(distance[pool], kind="stable")]
    first = np.searchsorted(distance[pool], wanted, side="left")
    last = np.searchsorted(distance[pool], wanted, side="right")
    place = first + rng.integers(0, np.maximum(last - first, 1))
    return np.where(last > first, pool[np.minimum(place, len(pool) - 1)], -1)
