"""Words and the pieces that a subword tokeniser cuts a text into: which piece belongs to which word.

Spans are (start, end) offsets into the text, as tokenisers give them. They may overlap (two pieces that share the bytes
of one character) and may be empty (a lone space, a special token).

There are two questions, and the second must not be answered with the first:
- `align`: to which word does each piece belong? For analysis, and for models that see the whole text anyway.
- `prefixes`: what is known of its word when a piece is read? For causal models. A piece may not be given the class of
  its word, because "un" then tells "unhappy" from "unless". Nor may the last piece be given it and the others none,
  because that a piece is the last depends on the piece that follows. So each piece is given what its word is *so far*.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from periodic_table.tagging.looks import LONGEST
from periodic_table.tagging.tagger import check_tokens
from periodic_table.word_classes import classes

Span = tuple[int, int]


class AlignmentError(ValueError):
    """Words, or spans, that do not fit the text."""


def word_spans(text: str, words: Iterable[str]) -> list[Span]:
    """Where the words of a text stand in it, one after the other.

    Args:
        text: that was cut into words.
        words: in order. Only white space may be left out; an empty word stands where the last one ended.

    Raises:
        AlignmentError: a word is not there; the message says which, and what stands in its place.
    """
    spans, place = [], 0
    for number, word in enumerate(check_tokens(words)):
        start = place
        while start < len(text) and text[start].isspace() and not text.startswith(word, start):
            start += 1
        if not text.startswith(word, start):
            raise AlignmentError(
                f"word {number}, {word!r}, is not where it should be: there stands {text[start : start + 20]!r}"
            )
        place = start + len(word)
        spans.append((start, place))
    return spans


def align(words: Sequence[Span], pieces: Sequence[Span]) -> NDArray[np.int64]:
    """The word that each piece shares the most characters with; the first one where two share as many.

    Args:
        words: spans of words, in order, not overlapping.
        pieces: spans of pieces, in any order; they may overlap and be empty.

    Returns:
        int64[len(pieces)], -1 where a piece shares no character with any word. With `ids[align(...)]` a piece inherits
        from its word: not for causal models (see above).

    Raises:
        AlignmentError: a span that ends before it starts, or words out of order.

    Cost: O(words + pieces log words), more where a piece covers many words.
    """
    starts, ends = _checked(words, "word"), _checked(pieces, "piece")
    if (starts[1:, 0] < starts[:-1, 1]).any():
        number = int(np.argmax(starts[1:, 0] < starts[:-1, 1]))
        raise AlignmentError(
            f"words {number} and {number + 1} overlap or are out of order: {words[number]}, {words[number + 1]}"
        )
    first = np.searchsorted(starts[:, 1], ends[:, 0], side="right")
    out = np.full(len(ends), -1, dtype=np.int64)
    for number, (start, end) in enumerate(ends.tolist()):
        most = 0
        for word in range(int(first[number]), len(starts)):
            if starts[word, 0] >= end:
                break
            shared = min(end, int(starts[word, 1])) - max(start, int(starts[word, 0]))
            if shared > most:
                most, out[number] = shared, word
    return out


def _checked(spans: Sequence[Span], what: str) -> NDArray[np.int64]:
    array = np.array(spans)
    if not len(array):
        return np.zeros((0, 2), dtype=np.int64)
    if array.ndim != 2 or array.shape[1] != 2 or array.dtype.kind not in "iu":
        raise AlignmentError(f"{what} spans must be whole numbers (start, end), got {spans[:3]!r}")
    array = array.astype(np.int64)
    wrong = np.flatnonzero((array[:, 1] < array[:, 0]) | (array[:, 0] < 0))
    if len(wrong):
        raise AlignmentError(f"{what} {wrong[0]} has the span {spans[wrong[0]]}, expected 0 <= start <= end")
    return array


def prefixes(text: str, pieces: Sequence[Span]) -> list[str]:
    """What is known of its word when each piece is read: the word's characters up to the end of the piece.

    Words begin after white space, and where letters and digits meet other characters; "n't", "'s" and the like are
    words of their own, as in Universal Dependencies, and "3.5" is one, but only once the character after the apostrophe
    or the point has been read. Nothing to the right of a piece is looked at: a character whose last bytes are in the
    next piece is not known yet.

    Args:
        text: the whole text or any beginning of it.
        pieces: spans in order.

    Returns:
        for each piece, the last word so far; "" for a piece without a character of its own.

    Raises:
        AlignmentError: a span that ends before it starts, or behind the text, or that starts before the one before it.

    Cost: O(len(text) + len(pieces) * longest word).
    """
    spans = _checked(pieces, "piece")
    if len(spans) and (spans[:, 1].max() > len(text) or (np.diff(spans[:, 0]) < 0).any()):
        raise AlignmentError(f"spans must be in order and within the {len(text)} characters of the text")
    out, start, read = [], 0, 0
    for number, (begin, end) in enumerate(spans.tolist()):
        after = spans[number + 1, 0] if number + 1 < len(spans) else end
        # Bytes of one character in two pieces: the first does not hold it yet. That is so whatever the next piece is.
        known = max(begin, min(end, int(after)))
        for place in range(read, known):
            start = _word_start(text, start, place)
        read = max(read, known)
        out.append(text[start:known].strip() if known > begin else "")
    return out


def _word_start(text: str, start: int, place: int) -> int:
    """Where the word that the character at `place` belongs to begins, given where the one before it did."""
    character, before = text[place], text[place - 1] if place else " "
    if character.isspace() or before.isspace():
        return place
    if place >= 2 and before in "'’" and character.isalpha() and text[place - 2].isalpha():
        # The letter shows that the apostrophe begins a clitic ("'s"), which takes the n of "n't" with it.
        return place - 2 if text[place - 2] in "nN" and character in "tT" else place - 1
    if place >= 2 and before in ".,:" and character.isdigit() and text[place - 2].isdigit():
        return _number_start(text, place)
    if _is_letter(character) and _is_letter(before):
        return start
    # "..." is one word, ")." are two.
    return start if character == before else place


def _is_letter(character: str) -> bool:
    # Marks stand over the letter before them.
    return character.isalnum() or unicodedata.category(character)[0] == "M"


def _number_start(text: str, place: int) -> int:
    least = max(0, place - LONGEST)
    while place > least and (text[place - 1].isalnum() or text[place - 1] in ".,:"):
        place -= 1
    return place


def piece_classes(text: str, pieces: Sequence[Span], size: int = 64) -> NDArray[np.int64]:
    """The class of each piece, from its word so far and that word's form alone: safe for causal models.

    Args:
        text, pieces: as in `prefixes`.
        size: as in `periodic_table.word_classes.classes`.

    Returns:
        int64[len(pieces)]. A piece without a character of its own has the class of an empty word.

    Raises:
        As `prefixes` and `periodic_table.word_classes.classes`.
    """
    return classes(prefixes(text, pieces), size=size)
