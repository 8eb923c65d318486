"""The reactive mode's face: what goes in, what comes out, what is refused."""

import dataclasses

import numpy as np
import pytest

from dynamics import MalformedSentence, Parser, eisner, is_tree
from dynamics.reactive.couplings import Couplings
from dynamics.reactive.parser import ReactiveParser

WORDS = ["The", "quick", "dog", "that", "she", "bought", "chased", "two", "cats", "."]
UPOS = ["DET", "ADJ", "NOUN", "PRON", "PRON", "VERB", "VERB", "NUM", "NOUN", "PUNCT"]
HEADS = [3, 3, 7, 6, 6, 3, 0, 9, 7, 7]


@pytest.fixture(scope="module")
def parser() -> ReactiveParser:
    return Parser.load()


def test_the_shipped_parameters_parse_english(parser):
    parse = parser.parse(WORDS, UPOS)
    assert parse.heads.tolist() == HEADS
    assert parse.labels == ("det", "amod", "nsubj", "obj", "nsubj", "acl", "root", "nummod", "obj", "punct")
    assert parse.converged
    assert 0 < parse.steps < 100
    assert parse.flops > 0.0
    assert parse.trajectory is None


def test_words_matter_and_not_tags_alone(parser):
    upos = ["PRON", "VERB", "DET", "NOUN", "ADP", "DET", "NOUN"]
    of = parser.parse(["She", "ate", "the", "top", "of", "the", "cake"], upos)
    on = parser.parse(["She", "put", "the", "book", "on", "the", "table"], upos)
    assert (of.heads[6], of.labels[6]) == (4, "nmod")
    assert (on.heads[6], on.labels[6]) == (2, "obl")


def test_one_word_is_its_own_root(parser):
    parse = parser.parse(["Stop"], ["VERB"])
    assert (parse.heads.tolist(), parse.labels) == ([0], ("root",))


def test_unknown_tags_words_and_letters_are_parsed_into_a_tree(parser):
    parse = parser.parse(["", "\ud800", "新しい", "x" * 999], ["QUARK", "", "NOUN", "_"])
    assert is_tree(parse.heads)
    assert len(parse.labels) == 4


def test_five_hundred_words_are_a_tree(parser):
    parse = parser.parse(WORDS * 50, UPOS * 50)
    assert is_tree(parse.heads)
    assert len(parse.labels) == 500


def test_equal_input_equal_output_and_input_untouched(parser):
    words, upos = list(WORDS), list(UPOS)
    first, second = (parser.parse(words, upos, record=True) for _ in range(2))
    assert first.energy == second.energy
    np.testing.assert_array_equal(first.trajectory.populations, second.trajectory.populations)
    assert (words, upos) == (WORDS, UPOS)


def test_the_trajectory_ends_in_the_parse(parser):
    parse = parser.parse(WORDS, UPOS, record=True)
    path = parse.trajectory
    assert path.positions.shape == (parse.steps + 1, 11, 3)
    assert path.energy.shape == path.temperature.shape == (parse.steps + 1,)
    np.testing.assert_allclose(path.populations.sum(axis=2), 1.0, atol=1e-9)
    np.testing.assert_array_equal(path.heads_at(-1), parse.heads)
    assert path.energy[-1] == parse.energy == parser.parse(WORDS, UPOS).energy
    assert path.energy[-1] < path.energy[0]
    assert (path.positions[:, 0] == 0.0).all()


def test_words_come_to_hang_one_level_below_their_heads(parser):
    patient = ReactiveParser(parser.model, steps=60, tolerance=0.0)
    parse = patient.parse(WORDS, UPOS, record=True)
    height = parse.trajectory.positions[-1, :, 2]
    np.testing.assert_allclose(height[parse.heads] - height[1:], 1.0, atol=0.4)


def test_the_steps_are_a_budget(parser):
    assert ReactiveParser(parser.model, steps=0).parse(WORDS, UPOS).steps == 0
    parse = ReactiveParser(parser.model, steps=2, tolerance=0.0).parse(WORDS, UPOS)
    assert (parse.steps, parse.converged) == (2, False)


def test_static_scores_are_probabilities_and_finite(parser):
    scores = parser.charges(WORDS, UPOS)
    np.testing.assert_allclose(np.exp(scores[:, 1:]).sum(axis=0), 1.0, atol=1e-9)
    for each in (scores, parser.votes(WORDS, UPOS), parser.bonds(WORDS, UPOS)):
        assert np.isfinite(each).all()
        assert is_tree(eisner(each))
    np.testing.assert_array_equal(eisner(parser.bonds(WORDS, UPOS)), parser.parse(WORDS, UPOS).heads)


def test_labels_of_a_given_tree(parser):
    assert parser.label(WORDS, UPOS, HEADS)[0] == "det"
    assert parser.label(WORDS, UPOS, HEADS)[6] == "root"


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(Couplings)])
def test_every_coupling_can_be_switched_off(parser, name):
    off = ReactiveParser(parser.model, couplings=Couplings(**{name: False}))
    # Sentences that leave open what crosses, and which verb is the root.
    sentences = [
        (
            ["She", "saw", "a", "man", "on", "a", "hill", "in", "May", "with", "hats"],
            ["PRON", "VERB", "DET", "NOUN", "ADP", "DET", "NOUN", "ADP", "PROPN", "ADP", "NOUN"],
        ),
        (["Come", "here", "go", "home", "eat", "fish"], ["VERB", "ADV", "VERB", "NOUN", "VERB", "NOUN"]),
    ]
    assert any(off.parse(*one).energy != parser.parse(*one).energy for one in sentences)


def test_springs_act_back_on_the_bonds(parser):
    stiff = ReactiveParser(parser.model, stiffness=1.0)
    assert stiff.parse(WORDS, UPOS).energy != parser.parse(WORDS, UPOS).energy


@pytest.mark.parametrize(
    ("words", "upos", "xpos", "message"),
    [
        ([], [], None, "0 tokens"),
        (["a"], ["DET", "NOUN"], None, "1 tokens with 2 parts of speech"),
        (["a"], ["DET"], [], "1 tokens with 0 fine tags"),
    ],
)
def test_what_cannot_be_parsed_is_refused(parser, words, upos, xpos, message):
    with pytest.raises(MalformedSentence, match=message):
        parser.parse(words, upos, xpos=xpos)


@pytest.mark.parametrize("heads", [[5], [1], [-1], [0, 0]])
def test_heads_that_are_none_are_refused(parser, heads):
    with pytest.raises(MalformedSentence, match="heads"):
        parser.label(["a"], ["DET"], heads)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"damping": 0.0}, "damping is 0.0"), ({"steps": -1}, "steps is -1"), ({"tolerance": -1.0}, "tolerance is -1")],
)
def test_options_out_of_range_are_refused(parser, options, message):
    with pytest.raises(ValueError, match=message):
        ReactiveParser(parser.model, **options)
