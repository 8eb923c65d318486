"""Models of the toy world before their training: which sides they have, and what they read.

Axes: `n` sentences, `N` = 11 positions, `V` vocabulary, `E` width.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feasibility.predetermined_embeddings.tables import (
    BOUNDARY,
    CONDITIONS,
    PLACES,
    TIED,
    UNKNOWN,
    VOCABULARY,
    Floats32,
    word_table,
)
from feasibility.toy_world.grammar import World
from feasibility.toy_world.sampling import LONGEST

# Targets that are not scored: what comes after the end.
IGNORED = -100
Reading = tuple[NDArray[np.int16], NDArray[np.int16]]


@dataclass(frozen=True)
class Student:
    """One model of a batch; see `feasibility.predetermined_embeddings.train.Learner`.

    Args:
        condition: of the input, a name in `CONDITIONS`.
        output: of the output: such a name, or "tied".
        world: whose words stand in the places.
        sentences: [n, 10] int64, what it learns from; -1 after the end.
        dev: [D, 10] int64, what chooses the state that is kept; without the silent places.
        silent: [W] bool, places that it is never asked for: they are taken out of the softmax, and where one is the
            next word nothing is scored.
        seed: of its parameters, table, order of sentences and dropout.
    """

    condition: str
    output: str
    world: World
    sentences: NDArray[np.int64]
    dev: NDArray[np.int64]
    silent: NDArray[np.bool_]
    seed: int

    @property
    def words(self) -> int:
        """Entries that are words: the first of the vocabulary."""
        return PLACES

    @property
    def unknown(self) -> int:
        """The entry for unknown words."""
        return UNKNOWN

    @property
    def mute(self) -> NDArray[np.bool_]:
        """[V], what it is never asked for."""
        return np.concatenate([self.silent, np.arange(PLACES, VOCABULARY) == UNKNOWN])

    def reading(self) -> Reading:
        """Inputs and targets [n, N]."""
        return _scored(encode(self.sentences), self.silent)

    def checking(self) -> Reading:
        """The same of the dev sentences, [D, N]."""
        return _scored(encode(self.dev), self.silent)

    def table(self, side: int, dim: int) -> Floats32 | None:
        """[V, E] of the input (0) or the output (1), or None where it is learned from nothing."""
        name = self.condition if side == 0 or self.output == TIED else self.output
        condition = CONDITIONS[name]
        if not condition.table:
            return None
        # Two sides have two subspaces and codes, unless they are one.
        own = 2 * self.seed + (side if self.output != TIED else 0)
        return word_table(condition.table, self.world, dim, own, self.sentences, condition.blocks)


def encode(sentences: NDArray[np.int64]) -> Reading:
    """Sentences of places as inputs, which begin with BOUNDARY, and targets, which end with it; [n, N] int16 each."""
    inputs = np.full((len(sentences), LONGEST + 1), BOUNDARY, np.int16)
    targets = np.full((len(sentences), LONGEST + 1), IGNORED, np.int16)
    inputs[:, 1:] = np.where(sentences >= 0, sentences, BOUNDARY)
    targets[:, :-1] = np.where(sentences >= 0, sentences, IGNORED)
    targets[np.arange(len(sentences)), (sentences >= 0).sum(axis=1)] = BOUNDARY
    return inputs, targets


def _scored(pair: Reading, silent: NDArray[np.bool_]) -> Reading:
    inputs, targets = pair
    never = np.isin(targets, np.flatnonzero(silent))
    return inputs, np.where(never, np.int16(IGNORED), targets)
