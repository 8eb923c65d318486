from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from causality import assert_causal
from hypothesis import given
from hypothesis import strategies as st

from periodic_table.element import UPOS
from periodic_table.tagging import TAGS, NotCausal, Tagger, UnknownTagger, load_tagger, require_causal
from periodic_table.tagging.tagger import X

NAMES = ("type-level", "left-to-right", "full-context")
WORDS = ["the", "can", "run", "he", "to", ".", "Paris", "green", "un", "x1", ",", "is", "walked", "dogs"]
ODD = [
    "",
    " ",
    "\n\t",
    "😀",
    "👩‍👩‍👧",
    "x" * 10_000,
    "привет",
    "日本語",
    "naïve",
    "e\u0301",
    "\ud800",
    "=>",
    "3,5",
    "—",
    "a.b@c",
    "0",
]


def ids_to_tags(tagger: Tagger) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda ids: torch.from_numpy(tagger.probabilities([WORDS[i] for i in ids.tolist()]))


def redraw(ids: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return torch.randint(len(WORDS), ids.shape, generator=generator)


def check_causal(tagger: Tagger) -> None:
    ids = redraw(torch.zeros(60), torch.Generator().manual_seed(1))
    assert_causal(ids_to_tags(tagger), [ids], input_dims=[0], output_dim=0, cuts=[0, 1, 2, 17, 40, 58], redraw=redraw)


@pytest.mark.parametrize("name", NAMES)
def test_tags_of_plain_sentences(name: str) -> None:
    tags = load_tagger(name).tag(["She", "quickly", "walked", "into", "the", "old", "house", "in", "Paris", "."])
    assert tags == ["PRON", "ADV", "VERB", "ADP", "DET", "ADJ", "NOUN", "ADP", "PROPN", "PUNCT"]


def test_context_decides_what_the_form_leaves_open() -> None:
    noun, verb = ["The", "run", "was", "long", "."], ["They", "run", "the", "shop", "."]
    for name in ("left-to-right", "full-context"):
        assert load_tagger(name).tag(noun)[1] == "NOUN"
        assert load_tagger(name).tag(verb)[1] == "VERB"
    form = load_tagger("type-level")
    assert form.tag(noun)[1] == form.tag(verb)[1]
    assert 0.05 < form.probabilities(["run"])[0, TAGS.index("NOUN")] < 0.95


@pytest.mark.parametrize("name", NAMES)
def test_rows_are_distributions_over_the_seventeen_tags(name: str) -> None:
    assert tuple(sorted(UPOS)) == TAGS
    rows = load_tagger(name).probabilities([*ODD, *WORDS])
    assert rows.shape == (len(ODD) + len(WORDS), 17)
    assert (rows >= 0).all()
    np.testing.assert_allclose(rows.sum(axis=1), 1.0)
    assert (rows[:3, X] == 1.0).all(), "blank tokens are X for certain"


@pytest.mark.parametrize("name", NAMES)
def test_signs_never_seen(name: str) -> None:
    assert load_tagger(name).tag(["😀", "👩‍👩‍👧", "⟨⟩", "→"]) == ["SYM", "SYM", "PUNCT", "SYM"]


@pytest.mark.parametrize("name", NAMES)
def test_no_words_no_tags(name: str) -> None:
    assert load_tagger(name).tag([]) == []
    assert load_tagger(name).probabilities([]).shape == (0, 17)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_a_sequence_of_words_is_refused(name: str) -> None:
    tagger = load_tagger(name)
    with pytest.raises(TypeError, match=r"got one text \('the dog'\), expected a sequence of words"):
        tagger.tag("the dog")
    with pytest.raises(TypeError, match="word 1 is None, expected text"):
        tagger.tag(["the", None])  # type: ignore[list-item]
    with pytest.raises(TypeError, match="got a set, which has no order"):
        tagger.tag({"the"})  # type: ignore[arg-type]
    assert tagger.tag(word for word in ("the", "dog")) == ["DET", "NOUN"]  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["type-level", "left-to-right"])
def test_new_words_get_to_the_bit_what_they_get_alone(name: str) -> None:
    def fresh() -> Tagger:
        return load_tagger.__wrapped__(name)

    words = [*WORDS, *ODD, "roadsweeper", "unhelpfully", "Xyzzyford"]
    together, tagger = fresh().probabilities(words), fresh()
    for place in range(len(words)):
        np.testing.assert_array_equal(tagger.probabilities(words[: place + 1])[-1], together[place])


@pytest.mark.parametrize("name", ["type-level", "left-to-right"])
def test_causal_taggers_do_not_see_what_follows(name: str) -> None:
    tagger = load_tagger(name)
    assert tagger.causal
    assert tagger.reach[1] == 0
    require_causal(tagger)
    check_causal(tagger)


def test_the_full_context_tagger_says_that_it_looks_ahead_and_does() -> None:
    tagger = load_tagger("full-context")
    assert not tagger.causal
    with pytest.raises(AssertionError, match="changed when inputs after"):
        check_causal(tagger)
    with pytest.raises(NotCausal, match=r"full-context tagger looks 2 words ahead.*load_tagger\('type-level'\)"):
        require_causal(tagger)


@pytest.mark.parametrize("name", NAMES)
def test_no_tag_depends_on_words_out_of_reach(name: str) -> None:
    tagger = load_tagger(name)
    left, right = tagger.reach
    middle = ["the", "dog", "can", "run", "home"]
    long = tagger.probabilities([*["green"] * 9, *middle, *["is"] * 9])
    short = tagger.probabilities([*["green"] * left, *middle, *["is"] * right])
    np.testing.assert_array_equal(long[9 : 9 + len(middle)], short[left : left + len(middle)])


@given(st.lists(st.sampled_from([*WORDS, *ODD[:6]]), max_size=12), st.randoms(use_true_random=False))
def test_type_level_tags_belong_to_words_and_not_to_places(words: list[str], random) -> None:
    order = list(range(len(words)))
    random.shuffle(order)
    rows = load_tagger("type-level").probabilities(words)
    np.testing.assert_array_equal(load_tagger("type-level").probabilities([words[i] for i in order]), rows[order])


@given(st.lists(st.text(max_size=8), max_size=8), st.sampled_from(NAMES))
def test_any_text_has_tags(words: list[str], name: str) -> None:
    assert set(load_tagger(name).tag(words)) <= set(TAGS)


def test_an_unknown_tagger_is_named() -> None:
    with pytest.raises(UnknownTagger, match="no tagger 'hmm'; there are: type-level, left-to-right, full-context"):
        load_tagger("hmm")
