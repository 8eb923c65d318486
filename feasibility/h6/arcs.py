"""How many of the arcs of a treebank the original's mask lets through, and how many a random mask of its kind would.

The original's mask is said to be linguistic; a dependency arc is the link between two words that linguists drew. N
words of a block of sentences.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from feasibility.h6.masks import fit_row_distance
from feasibility.h6.statistics import lift
from feasibility.h6.text import allowed_types, type_of
from feasibility.harness import Metric
from feasibility.intervals import ratio_interval
from feasibility.periodic_table.treebank import Split, read_split

# Sentences are put together up to about so many words, because many small fits take longer than a few large ones.
_BLOCK = 256


@dataclass(frozen=True)
class Arcs:
    """What the mask makes of the arcs of a treebank.

    Args:
        recall: percent of the arcs that it lets through.
        matched: percent that a random mask with as many keys for each word and each distance lets through.
        lift: of the first over the second, percent of what the second leaves out.
    """

    recall: Metric
    matched: Metric
    lift: float


def measure_arcs(split: Split, sentences: int, seed: int) -> Arcs:
    """Gold arcs of UD English EWT with gold tags, seen from the later of the two words.

    Args:
        split: part of the treebank.
        sentences: the first so many of it.
        seed: of the intervals, which are over blocks of sentences.

    Raises:
        feasibility.datasets.DatasetCorrupt: the shipped treebank is damaged.

    Cost: about a second for 1,000 sentences.
    """
    bank = read_split(split).first(sentences)
    known: dict[tuple[str, frozenset[str]], int] = {}
    types = np.array(
        [known.setdefault(type_of(*pair), len(known)) for pair in zip(bank.form, bank.upos(), strict=True)]
    )
    table = allowed_types(list(known))
    rows = []
    # A block ends with the sentence in which it has words enough.
    starts = np.searchsorted(bank.sentence, np.arange(bank.sentence[-1] + 2))
    begin = 0
    for end in starts[1:]:
        if end - begin >= _BLOCK or end == len(bank):
            rows.append(_block(types[begin:end], bank.head[begin:end] - begin, bank.sentence[begin:end], table))
            begin = int(end)
    passed, expected, arcs = np.array(rows).T
    gained = lift(arcs.sum(), passed.sum(), expected.sum())
    return Arcs(ratio_interval(passed, arcs, "%", seed), ratio_interval(expected, arcs, "%", seed), float(gained))


def _block(
    types: NDArray[np.int64], head: NDArray[np.int64], sentence: NDArray[np.int64], table: NDArray[np.bool_]
) -> tuple[float, float, float]:
    """Arcs that the mask lets through, that its control does on average, and all."""
    population = np.tril(sentence[:, None] == sentence, -1)
    inside = table[np.ix_(types, types)] & population
    control = fit_row_distance(torch.from_numpy(inside), torch.from_numpy(population)).double().numpy()
    word = np.flatnonzero(head >= 0)
    later, earlier = np.maximum(word, head[word]), np.minimum(word, head[word])
    return float(inside[later, earlier].sum()), float(control[later, earlier].sum()), float(len(word))
