"""The toy grammar: its file, its samples, its charges and valences."""

import math
from importlib.resources import files

import numpy as np
import pytest

from dynamics import is_tree, load_forcefield
from dynamics.forcefield import FORBIDDEN
from feasibility.toy_grammar.charges import counted_field, distance_field, permuted, rule_field
from feasibility.toy_grammar.rules import MalformedGrammar, load_grammar, parse_grammar
from feasibility.toy_grammar.sentences import inside_lengths, label, sample
from feasibility.toy_grammar.valence import valences

TOY = files("feasibility.toy_grammar").joinpath("toy.toml").read_text(encoding="utf-8")
GRAMMAR = load_grammar()
CONSTANTS = load_forcefield().constants

# a^n b, where every a hangs on the next word: no sentence of one word, one of every greater length.
CHAIN = """
format = "toy_grammar.v1"
start = "S"
rules = [
  { left = "S", right = ["A", "S"], head = 2, weight = 1 },
  { left = "S", right = ["A", "B"], head = 2, weight = 3 },
]
[lexicon]
A = { upos = "ADV", words = ["a"] }
B = { upos = "VERB", words = ["b"] }
[labels]
"mod" = [[["B"], ["A"], "left"]]
"""


def test_the_toy_has_ten_rules_and_twenty_words():
    assert len(GRAMMAR.rules) == 10
    assert sum(len(entry.words) for entry in GRAMMAR.lexicon.values()) == 20


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('start = "S"', 'start = "S', "not valid TOML"),
        ("toy_grammar.v1", "v7", "format is 'v7', expected 'toy_grammar.v1'"),
        ('start = "S"', 'start = "Q"', "start is 'Q'"),
        ('["P", "NP"]', '["P", "XP"]', r"rule 10 \(PP -> P XP\) uses XP"),
        (
            "head = 3, weight = 2",
            "head = 4, weight = 2",
            "rule 3: head is 4, expected the place of the head child, 1 to 3",
        ),
        ("head = 3, weight = 2", "weight = 2", r"expected \{ left, right, head, weight \}"),
        ("head = 3, weight = 2", "head = 3, weight = 0", "rule 3: weight is 0, expected a positive number"),
        ("head = 3, weight = 2", "head = 3, weight = -1", "weight is -1"),
        ("head = 3, weight = 2", "head = 3, weight = nan", "weight is nan"),
        ("head = 3, weight = 2", "head = 3, weight = 1e308", "weight is 1e\\+308"),
        ("head = 3, weight = 2", "head = 3, weight = 1" + 400 * "0", "expected a positive number of at most"),
        ("head = 3, weight = 2", "head = true, weight = 2", "rule 3: head is True"),
        ('start = "S"', 'start = ["S"]', r"start is \['S'\]"),
        ('upos = "DET"', 'upos = ["DET"]', r"upos of tag 'Det' is \['DET'\]"),
        ('[["N"], ["Det"], "left"]', '[["N"], [["Det"]], "left"]', "Det"),
        ('["Vi"]', "[]", "expected one symbol left and a list of at least one right"),
        ('left = "NP", right = ["Name"]', 'left = "N", right = ["Name"]', "rewrites 'N', which is a tag"),
        ('words = ["in", "with"]', "words = []", r"words of tag 'P' are \[\]"),
        ('words = ["in", "with"]', 'words = ["in", "in"]', "lists a word twice"),
        ('upos = "ADP"', 'upos = "PREP"', "upos of tag 'P' is 'PREP'"),
        ('right = ["P", "NP"]', 'right = ["P", "PP"]', "PP can never end in words"),
        (
            'left = "S",  right = ["NP", "VP"]',
            'left = "S",  right = ["NP", "Vi"]',
            "Adv, VP, Vt cannot be reached from S",
        ),
        ('"det"      = [[["N"], ["Det"], "left"]]', "", "bonds Det to N on its left, which has no label"),
        ('"det"      = [[["N"], ["Det"], "left"]]', '"det" = [["N", "Det", "left"]]', "label 'det' has"),
        ('["Det"], "left"', '["Dot"], "left"', "uses Dot, which the lexicon lacks"),
        ('["Adj"], "left"', '["Adj", "Det"], "left"', "has two labels"),
        ("rules = [", "rules = 3\nother = [", "rules are missing or empty"),
    ],
)
def test_a_malformed_grammar_is_named_with_the_remedy(old, new, message):
    assert old in TOY
    with pytest.raises(MalformedGrammar, match=message):
        parse_grammar(TOY.replace(old, new, 1), "mine.toml")


def test_rules_that_turn_in_a_circle_are_refused():
    circle = CHAIN.replace("rules = [", 'rules = [{ left = "S", right = ["T"], head = 1, weight = 1 },\n'
                           '{ left = "T", right = ["S"], head = 1, weight = 1 },')  # fmt: skip
    with pytest.raises(MalformedGrammar, match="go in a circle"):
        parse_grammar(circle, "circle.toml")


def test_an_empty_lexicon_is_refused():
    text = CHAIN[: CHAIN.index("[lexicon]")] + "[lexicon]\n[labels]\n"
    with pytest.raises(MalformedGrammar, match=r"\[lexicon\] is missing or empty"):
        parse_grammar(text, "empty.toml")


def test_bytes_that_are_not_text_are_refused(tmp_path):
    path = tmp_path / "grammar.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(MalformedGrammar, match="expected UTF-8 text"):
        load_grammar(path)


def test_lengths_without_a_derivation_are_found_exactly():
    grammar = parse_grammar(CHAIN, "chain.toml")
    with pytest.raises(MalformedGrammar, match=r"no sentence of 1 to 1 words \(shortest possible lengths: 2, 3, 4\)"):
        sample(grammar, 5, 1, 1, 0)
    with pytest.raises(MalformedGrammar, match="expected 1 <= shortest <= longest"):
        sample(grammar, 5, 6, 5, 0)
    finite = parse_grammar(
        CHAIN.replace('["A", "S"]', '["A", "A", "B"]').replace("head = 2", "head = 3", 1), "finite.toml"
    )
    with pytest.raises(MalformedGrammar, match="no sentence of 5 to 10 words"):
        sample(finite, 5, 5, 10, 0)


def test_length_probabilities_of_a_chain():
    grammar = parse_grammar(CHAIN, "chain.toml")
    lengths = inside_lengths(grammar, 6)[grammar.symbols.index("S")]
    np.testing.assert_allclose(lengths, [0, 0, 3 / 4, 3 / 16, 3 / 64, 3 / 256, 3 / 1024])


def test_samples_keep_to_lengths_seeds_and_the_lexicon():
    first, again, other = (sample(GRAMMAR, 200, 5, 10, seed) for seed in (1, 1, 2))
    assert [s.words for s in first] == [s.words for s in again]
    assert [s.words for s in first] != [s.words for s in other]
    assert {len(s.words) for s in first} == set(range(5, 11))
    for sentence in first:
        assert is_tree(sentence.heads)
        assert sentence.labels == label(GRAMMAR, sentence.tags, sentence.heads)
        assert "dep" not in sentence.labels
        assert all(w in GRAMMAR.lexicon[t].words for w, t in zip(sentence.words, sentence.tags, strict=True))


def test_lengths_are_drawn_as_often_as_the_grammar_says():
    lengths = inside_lengths(GRAMMAR, 10)[GRAMMAR.symbols.index("S")][5:]
    drawn = np.bincount([len(s.words) for s in sample(GRAMMAR, 3000, 5, 10, 3)], minlength=11)[5:] / 3000
    np.testing.assert_allclose(drawn, lengths / lengths.sum(), atol=4 * math.sqrt(0.25 / 3000))


def test_valences_follow_from_the_rules():
    found = valences(GRAMMAR)
    assert found[("N", "det")] == (1, 1)
    assert found[("N", "mod")] == (0, 1)
    assert found[("Vt", "comp:obj")] == (1, 1)
    assert found[("Vi", "subj")] == (1, 1)
    assert found[("N", "udep")] == (0, math.inf)
    assert found[("Vt", "mod")] == (0, math.inf)


def test_charges_need_no_sentence_and_agree_with_counting():
    read = rule_field(GRAMMAR, CONSTANTS, 5, 10)
    counted = counted_field(GRAMMAR, CONSTANTS, sample(GRAMMAR, 3000, 5, 10, 11))
    likely = read.charges > -3
    assert np.abs(read.charges - counted.charges)[likely].max() < 0.2
    impossible = read.charges == FORBIDDEN
    assert (counted.charges[impossible] == FORBIDDEN).all()


def test_charges_with_distance_know_it():
    field = distance_field(GRAMMAR, CONSTANTS, 1, 12)
    n, det, p = (GRAMMAR.tags.index(tag) for tag in ("N", "Det", "P"))
    near, far = field.charges[n + 1, det, 0, [0, 3]]
    assert near > 3 > FORBIDDEN == far
    assert field.charges[n + 1, p, 1, 0] > field.charges[n + 1, p, 1, 2]


def test_permuted_charges_are_the_same_numbers_elsewhere():
    field = rule_field(GRAMMAR, CONSTANTS, 1, 20)
    mixed = permuted(field, 0)
    np.testing.assert_array_equal(np.sort(field.charges, axis=None), np.sort(mixed.charges, axis=None))
    assert (field.charges != mixed.charges).any()
    np.testing.assert_array_equal(mixed.charges, permuted(field, 0).charges)
    assert (mixed.charges != permuted(field, 1).charges).any()
