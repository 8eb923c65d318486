"""What every tagger answers, and which of them may be used where the future must stay unknown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from periodic_table.element import UPOS, check_upos

TAGS: tuple[str, ...] = tuple(sorted(UPOS))
"""The 17 universal parts of speech in alphabetical order: the columns of every table of this package."""

PUNCT, SYM, X = (TAGS.index(tag) for tag in ("PUNCT", "SYM", "X"))


class NotCausal(ValueError):
    """A tagger that looks at later words, where only earlier ones may be known."""


class Tagger(Protocol):
    """From words to parts of speech.

    Args:
        name: "type-level", "left-to-right" or "full-context".
        causal: whether the tag of a word depends on it and on earlier words alone. Whoever builds a mask or a class for
            a language model must check it (`require_causal`).
        reach: how many words to the left and to the right the tag of a word depends on.
    """

    name: str
    causal: bool
    reach: tuple[int, int]

    def probabilities(self, tokens: Sequence[str]) -> NDArray[np.float64]:
        """How likely each part of speech is for each word.

        Args:
            tokens: the words of a sentence or of running text, in order.

        Returns:
            [N, 17] rows that add up to 1, columns as in `TAGS`. An empty or blank token is X for certain.

        Raises:
            TypeError: `tokens` is one text instead of a sequence, or one of them is not text.
        """

    def tag(self, tokens: Sequence[str]) -> list[str]:
        """The likeliest part of speech of each word; arguments and errors as in `probabilities`."""
        return [TAGS[tag] for tag in self.probabilities(tokens).argmax(axis=1).tolist()]


def require_causal(tagger: Tagger) -> None:
    """Refuse a tagger that looks ahead.

    Raises:
        NotCausal: says which, how far it looks, and what to use instead.
    """
    if not tagger.causal:
        raise NotCausal(
            f"the {tagger.name} tagger looks {tagger.reach[1]} words ahead, so what is built on it leaks the future; "
            "use load_tagger('type-level') or load_tagger('left-to-right')"
        )


def check_tokens(tokens: Iterable[str]) -> list[str]:
    """The words of any iterable in order, or an error.

    Raises:
        TypeError: one text instead of words, a collection without an order, or a word that is not text.
    """
    if isinstance(tokens, np.ndarray):
        # Text as Python has it, not as numpy has it.
        tokens = tokens.tolist()
    if isinstance(tokens, str | bytes):
        raise TypeError(f"got one text ({tokens[:20]!r}), expected a sequence of words such as ['the', 'dog']")
    if isinstance(tokens, Mapping | Set):
        raise TypeError(
            f"got a {type(tokens).__name__}, which has no order, expected a sequence of words; of a vocabulary "
            "{entry: id} pass sorted(vocab, key=vocab.get)"
        )
    if not isinstance(tokens, Iterable):
        raise TypeError(f"got {tokens!r}, expected a sequence of words such as ['the', 'dog']")
    words = list(tokens)
    for place, token in enumerate(words):
        if not isinstance(token, str):
            raise TypeError(f"word {place} is {token!r}, expected text")
    return words


def check_one_tag_each(words: Sequence[str], upos: Iterable[str]) -> list[str]:
    """One universal part of speech for each word, or an error.

    Raises:
        TypeError: one text instead of tags.
        ValueError: another number of tags than of words.
        periodic_table.element.UnknownTag: a tag is not one of the 17.
    """
    if isinstance(upos, str | bytes) or not isinstance(upos, Iterable):
        raise TypeError(f"got {upos!r} for tags, expected a sequence of them such as ['DET', 'NOUN']")
    tags = list(upos)
    if len(tags) != len(words):
        raise ValueError(f"{len(words)} words and {len(tags)} tags; expected one tag for each word")
    return [check_upos(tag) for tag in tags]
