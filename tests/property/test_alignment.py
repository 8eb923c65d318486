"""Alignment is what its definition says, and what is known of a word never depends on what follows."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from periodic_table.align import align, prefixes, word_spans

TEXT = st.text(st.sampled_from("ab'tn.5- \n(éX\u0301"), max_size=24)


@st.composite
def spans(draw: st.DrawFn, limit: int = 20, disjoint: bool = False) -> list[tuple[int, int]]:
    cuts = sorted(draw(st.lists(st.integers(0, limit), max_size=12)))
    if disjoint:
        return list(zip(cuts[::2], cuts[1::2], strict=False))
    return [(min(pair), max(pair)) for pair in zip(draw(st.permutations(cuts)), cuts, strict=True)]


@given(spans(disjoint=True), spans())
def test_align_is_the_first_word_with_the_largest_overlap(words: list, pieces: list) -> None:
    expected = []
    for start, end in pieces:
        shared = [len(set(range(start, end)) & set(range(*word))) for word in words]
        expected.append(int(np.argmax(shared)) if max(shared, default=0) > 0 else -1)
    assert align(words, pieces).tolist() == expected


@given(TEXT)
def test_words_and_their_own_spans_match(text: str) -> None:
    words = text.split()
    found = word_spans(text, words)
    assert [text[start:end] for start, end in found] == words
    assert align(found, found).tolist() == list(range(len(words)))


@given(TEXT, st.lists(st.integers(0, 24), max_size=8), TEXT)
def test_what_is_known_is_the_same_in_every_continuation(text: str, cuts: list[int], other: str) -> None:
    ends = sorted({min(cut, len(text)) for cut in cuts} | {0})
    pieces = list(itertools.pairwise(ends))
    read = text[: ends[-1]]
    known = prefixes(read, pieces)
    assert prefixes(text, pieces) == known
    longer = [*pieces, (ends[-1], ends[-1] + len(other))]
    assert prefixes(read + other, longer)[: len(pieces)] == known


@given(TEXT)
def test_what_is_known_ends_where_the_piece_ends(text: str) -> None:
    pieces = [(place, place + 1) for place in range(len(text))]
    for place, known in enumerate(prefixes(text, pieces)):
        assert text[: place + 1].rstrip().endswith(known)
        assert not any(character.isspace() for character in known)
