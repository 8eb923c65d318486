"""A batch of words, and what is looked up for all of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from periodic_table.abstraction import OF_UPOS, load_periods
from periodic_table.resolve import Reading, read
from periodic_table.rows import Rows, weighted
from periodic_table.walk import load_walk


class Words:
    """Some words with their parts of speech; W is how many.

    Args:
        words: in any form.
        upos: universal part of speech of each.

    Raises:
        ValueError: not one tag for each word.
        periodic_table.element.UnknownTag: a tag is not universal.
        TypeError: a word is not text.
    """

    def __init__(self, words: Sequence[str], upos: Sequence[str]) -> None:
        if len(words) != len(upos):
            raise ValueError(f"{len(words)} words and {len(upos)} tags; expected one tag for each word")
        self.forms = tuple(words)
        self.readings: tuple[Reading, ...] = tuple(map(read, words, upos))
        self.entries: NDArray[np.int64] = np.array([reading.entry for reading in self.readings], dtype=np.int64)

    def __len__(self) -> int:
        return len(self.forms)

    @cached_property
    def senses(self) -> Rows:
        """Distribution over senses of each word."""
        return load_walk().senses(self.entries)

    @cached_property
    def spread(self) -> Rows:
        """Neighbourhood of each word in WordNet."""
        return load_walk().spread(self.senses)

    @cached_property
    def abstraction(self) -> NDArray[np.float64]:
        """Score of each word, from 1 to 5: see `periodic_table.abstraction`."""
        own = weighted(self.senses, load_periods())
        default = np.array([OF_UPOS[reading.upos] for reading in self.readings])
        return np.where(self.entries >= 0, own, default)
