"""What every tagger answers, and which of them may be used where the future must stay unknown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from periodic_table.element import UPOS

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


def check_tokens(tokens: Sequence[str]) -> Sequence[str]:
    """A sequence of words, or an error.

    Raises:
        TypeError: one text instead of a sequence of words, or a word that is not text.
    """
    if isinstance(tokens, str | bytes):
        raise TypeError(f"got one text ({tokens[:20]!r}), expected a sequence of words such as ['the', 'dog']")
    for place, token in enumerate(tokens):
        if not isinstance(token, str):
            raise TypeError(f"word {place} is {token!r}, expected text")
    return tokens
