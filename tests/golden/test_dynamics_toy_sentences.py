"""Twenty toy sentences that must go on being parsed as they are: all 20 words, every rule, one to three attachments."""

import pytest

from dynamics import Parser, load_forcefield
from feasibility.toy_grammar.charges import rule_field
from feasibility.toy_grammar.rules import load_grammar

SENTENCES = [
    ("Ben likes the dog", "Name Vt Det N", [2, 0, 4, 2]),
    ("the river often sleeps", "Det N Adv Vi", [2, 4, 4, 0]),
    ("the young garden quietly sleeps", "Det Adj N Adv Vi", [3, 3, 5, 5, 0]),
    ("the child quietly likes Ben", "Det N Adv Vt Name", [2, 4, 4, 0, 4]),
    ("a small river with Ben sings", "Det Adj N P Name Vi", [3, 3, 6, 3, 4, 0]),
    ("the child quietly sees a river", "Det N Adv Vt Det N", [2, 4, 4, 0, 6, 4]),
    ("the garden often often often sings", "Det N Adv Adv Adv Vi", [2, 6, 6, 6, 6, 0]),
    ("the small telescope finds the small dog", "Det Adj N Vt Det Adj N", [3, 3, 4, 0, 7, 7, 4]),
    ("the river quietly sings in a child", "Det N Adv Vi P Det N", [2, 4, 4, 0, 4, 7, 5]),
    ("a young river often sees the dog", "Det Adj N Adv Vt Det N", [3, 3, 5, 5, 0, 7, 5]),
    ("the garden often finds Ada with Ada", "Det N Adv Vt Name P Name", [2, 4, 4, 0, 4, 4, 6]),
    ("Ben often sings in a young child", "Name Adv Vi P Det Adj N", [3, 3, 0, 3, 7, 7, 4]),
    ("the dog often often often sees the river", "Det N Adv Adv Adv Vt Det N", [2, 6, 6, 6, 6, 0, 8, 6]),
    ("a dog in the river likes the child", "Det N P Det N Vt Det N", [2, 6, 2, 5, 3, 0, 8, 6]),
    ("Ada in a river sleeps in a child", "Name P Det N Vi P Det N", [5, 1, 4, 2, 0, 5, 8, 6]),
    ("a telescope with a garden often likes a child", "Det N P Det N Adv Vt Det N", [2, 7, 2, 5, 3, 7, 0, 9, 7]),
    ("Ben sings in a child in a young dog", "Name Vi P Det N P Det Adj N", [2, 0, 2, 5, 3, 5, 9, 9, 6]),
    (
        "a river with a small child finds the small telescope",
        "Det N P Det Adj N Vt Det Adj N",
        [2, 7, 2, 6, 6, 3, 0, 10, 10, 7],
    ),
    (
        "a young river likes the garden in a small river",
        "Det Adj N Vt Det N P Det Adj N",
        [3, 3, 4, 0, 6, 4, 6, 10, 10, 7],
    ),
    (
        "a telescope in Ada with Ada sleeps in the dog",
        "Det N P Name P Name Vi P Det N",
        [2, 7, 2, 3, 2, 5, 0, 7, 10, 8],
    ),
]


@pytest.fixture(scope="module")
def parser() -> Parser:
    return Parser(rule_field(load_grammar(), load_forcefield().constants, 1, 20))


@pytest.mark.parametrize(("words", "tags", "heads"), SENTENCES, ids=[words for words, _, _ in SENTENCES])
def test_heads(parser, words, tags, heads):
    parse = parser.parse(words.split(), tags.split())
    assert parse.heads.tolist() == heads
    assert parse.converged
    assert parse.whole


def test_the_sentences_use_every_word():
    used = {word for words, _, _ in SENTENCES for word in words.split()}
    assert used == {word for entry in load_grammar().lexicon.values() for word in entry.words}
