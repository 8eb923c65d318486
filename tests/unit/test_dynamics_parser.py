"""The parser's face: what goes in, what comes out, what is refused."""

import subprocess
import sys

import numpy as np
import pytest

from dynamics import Parser, attachment, load_forcefield
from dynamics.integrate import Diverged
from dynamics.parser import MalformedSentence
from dynamics.scoring import MalformedTree
from dynamics.system import UnknownType


def test_a_plain_sentence():
    parse = Parser().parse(["The", "dog", "chased", "a", "cat"], ["DET", "NOUN", "VERB", "DET", "NOUN"])
    assert parse.heads.tolist() == [2, 3, 0, 5, 3]
    assert parse.labels == ("det", "nsubj", "root", "det", "obl")
    assert parse.converged
    assert parse.whole
    assert parse.trajectory is None


def test_one_word_is_its_own_root():
    parse = Parser().parse(["Stop"], ["VERB"])
    assert parse.heads.tolist() == [0]
    assert parse.labels == ("root",)


def test_equal_input_equal_output_and_input_untouched():
    parser, words, upos = Parser(), ["She", "reads", "old", "books"], ["PRON", "VERB", "ADJ", "NOUN"]
    first, second = (parser.parse(words, upos, record=True) for _ in range(2))
    assert first.energy == second.energy
    np.testing.assert_array_equal(first.trajectory.positions, second.trajectory.positions)
    assert (words[0], upos[0]) == ("She", "PRON")


def test_the_trajectory_has_one_moment_per_step_and_ends_in_the_parse():
    parse = Parser().parse(["She", "reads", "old", "books"], ["PRON", "VERB", "ADJ", "NOUN"], record=True)
    path = parse.trajectory
    assert path.positions.shape == (parse.steps + 1, 5, 3)
    assert path.energy.shape == path.temperature.shape == (parse.steps + 1,)
    np.testing.assert_allclose(path.populations.sum(axis=2), 1.0, atol=1e-12)
    np.testing.assert_array_equal(path.heads_at(-1), parse.heads)
    assert path.energy[-1] == parse.energy
    assert (path.positions[:, 0] == 0.0).all()


def test_the_steps_are_a_budget():
    parser = Parser(steps=3)
    parse = parser.parse(["She", "reads", "books"], ["PRON", "VERB", "NOUN"])
    assert parse.steps == 3
    assert not parse.converged
    assert Parser(steps=0).parse(["She", "reads"], ["PRON", "VERB"]).steps == 0


def test_operations_grow_with_steps_and_words():
    words, upos = ["She", "reads", "old", "books"], ["PRON", "VERB", "ADJ", "NOUN"]
    few, many = (Parser(steps=steps).parse(words, upos).flops for steps in (5, 10))
    assert few < many
    assert Parser(steps=5).parse(words[:2], upos[:2]).flops < few


@pytest.mark.parametrize(
    ("words", "upos", "error", "message"),
    [
        ([], [], MalformedSentence, "0 tokens"),
        (["a"], ["DET", "NOUN"], MalformedSentence, "1 tokens with 2 parts of speech"),
        (None, None, MalformedSentence, "tokens: expected a list with one str for each word, got None"),
        ("ab", ["DET", "NOUN"], MalformedSentence, "got 'ab'"),
        (["a", 3], ["DET", "NOUN"], MalformedSentence, "got .'a', 3."),
        (["a"], [1], MalformedSentence, "parts of speech: expected a list with one str"),
        (["a", "b"], ["DET", "QUARK"], UnknownType, "word 2 has the part of speech 'QUARK'"),
    ],
)
def test_what_cannot_be_parsed_is_refused(words, upos, error, message):
    with pytest.raises(error, match=message):
        Parser().parse(words, upos)


def test_negative_steps_are_refused():
    with pytest.raises(ValueError, match="steps is -1"):
        Parser(steps=-1)
    with pytest.raises(TypeError, match=r"steps is 2\.5, expected a whole number"):
        Parser(steps=2.5)


def test_a_time_step_that_is_too_long_is_noticed():
    field = load_forcefield().changed(time_step=3.0)
    with pytest.raises(Diverged, match="shorten time_step"):
        Parser(field).parse(["She", "reads", "old", "books"], ["PRON", "VERB", "ADJ", "NOUN"])


def test_attachment_counts_heads_and_labels():
    assert attachment([2, 0, 2], ["a", "root", "c"], [2, 0, 1], ["a", "root", "c"]) == (3, 2, 2)
    assert attachment([2, 0], ["x", "root"], [2, 0], ["a", "root"]) == (2, 2, 1)
    with pytest.raises(MalformedTree, match="2 heads, 1 labels"):
        attachment([2, 0], ["x"], [2, 0], ["a", "root"])


def test_importing_the_package_is_light():
    code = "import dynamics, sys; assert not {'numba', 'scipy', 'matplotlib', 'torch', 'nltk'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
