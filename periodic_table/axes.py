"""Coordinates: a word as a vector, every axis of which has a name, a range and a unit.

    coordinates("dog", "NOUN")                              # all axes
    coordinates("dog", "NOUN", blocks=("supersense",))      # some blocks
    coordinates("dog", "NOUN", blocks="lexicon")            # what lexicons, grammar and spelling decide
    coordinates.matrix(["dog", "give"], ["NOUN", "VERB"])   # many words at once, much faster
    coordinates.AXES                                        # what each axis is
    coordinates.BLOCKS                                      # the blocks and where they come from

docs/coordinates.md says why these.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from periodic_table.blocks import LEXICAL, Axis, Block
from periodic_table.counted import COUNTED
from periodic_table.element import check_upos
from periodic_table.resolve import check_word
from periodic_table.tagging.tagger import check_one_tag_each, check_tokens
from periodic_table.words import Words

_BLOCKS: tuple[Block, ...] = (*LEXICAL, *COUNTED)
# More words at once take more memory and no less time.
_BATCH = 2_000


class UnknownBlock(ValueError):
    """A block of coordinates that there is not."""


class Coordinates:
    """The space of words; `coordinates` is its one instance."""

    def __call__(self, word: str, upos: str, blocks: str | Sequence[str] | None = None) -> NDArray[np.float64]:
        """The coordinates of a word.

        Args:
            word: in any form; a word that no lexicon has lies where its part of speech and its spelling put it.
            upos: its universal part of speech.
            blocks: names of blocks, in the order wanted; "lexicon" or "counted" for all of that source; None for all.

        Returns:
            float64, of the same length for every word.

        Raises:
            periodic_table.element.UnknownTag: the tag is not universal.
            UnknownBlock: there is no such block; the message lists them.
            TypeError: the word is not text.

        Cost: 2 ms for a word that is new; 0.5 s more for the first word of a process.
        """
        return _one(check_word(word), check_upos(upos), _chosen(blocks)).copy()

    def matrix(
        self, words: Iterable[str], upos: Iterable[str] | str, blocks: str | Sequence[str] | None = None
    ) -> NDArray[np.float64]:
        """The coordinates of many words, one a row.

        Args:
            words: W words.
            upos: the part of speech of each, or one for all.
            blocks: see `coordinates`.

        Returns:
            float64[W, axes], the same rows that `coordinates` gives one by one.

        Raises:
            ValueError: not one tag for each word.
            TypeError: the words are one text or have no order, or one of them is not text; and see `coordinates`.

        Cost: 0.3 s for 1,000 words.
        """
        words = check_tokens(words)
        tags = [check_upos(upos)] * len(words) if isinstance(upos, str) else check_one_tag_each(words, upos)
        chosen = _chosen(blocks)
        out = np.empty((len(words), sum(len(block.axes()) for block in chosen)))
        for at in range(0, len(words), _BATCH):
            part = Words(words[at : at + _BATCH], tags[at : at + _BATCH])
            out[at : at + _BATCH] = np.hstack([block.fill(part) for block in chosen])
        return out

    @property
    def AXES(self) -> tuple[Axis, ...]:
        """All axes in order."""
        return self.axes()

    def axes(self, blocks: str | Sequence[str] | None = None) -> tuple[Axis, ...]:
        """The axes of some blocks, in the order of the vector's entries.

        Raises:
            UnknownBlock: there is no such block.
        """
        return tuple(axis for block in _chosen(blocks) for axis in block.axes())

    @property
    def BLOCKS(self) -> dict[str, str]:
        """Name of each block, in order, with its source: "lexicon" or "counted"."""
        return {block.name: block.source for block in _BLOCKS}


coordinates = Coordinates()


def _chosen(blocks: str | Sequence[str] | None) -> tuple[Block, ...]:
    if blocks is None:
        return _BLOCKS
    by_name = {block.name: block for block in _BLOCKS}
    if isinstance(blocks, str):
        of_source = tuple(block for block in _BLOCKS if block.source == blocks)
        if of_source:
            return of_source
        blocks = (blocks,)
    wrong = [name for name in blocks if name not in by_name]
    if wrong or not blocks:
        raise UnknownBlock(
            f"no block {wrong or blocks!r}; there are {', '.join(by_name)}, and 'lexicon' and 'counted' for all of one "
            "source"
        )
    return tuple(by_name[name] for name in blocks)


@functools.lru_cache(maxsize=4_096)
def _one(word: str, upos: str, blocks: tuple[Block, ...]) -> NDArray[np.float64]:
    words = Words([word], [upos])
    return np.concatenate([block.fill(words)[0] for block in blocks])
