from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from causality import assert_causal

from periodic_table.bonding import Rules, UnknownBond, UnknownRules, licensing, load_rules, original
from periodic_table.bonding import rules as base
from periodic_table.bonding.counted import CountedRules, load_evidence
from periodic_table.bonding.graded import GradedRules
from periodic_table.bonding.original import OriginalRules, has_and_asks, load_facts
from periodic_table.bonding.rules import near
from periodic_table.element import UnknownTag
from periodic_table.shipped import ModelCorrupt, ModelMissing
from periodic_table.tagging import TAGS, load_tagger
from periodic_table.treebank import Token
from periodic_table.word_classes import classes
from sparse_attn import ClassRules

WORDS = ["She", "saw", "Mary", "in", "the", "garden", "."]
UPOS = ["PRON", "VERB", "PROPN", "ADP", "DET", "NOUN", "PUNCT"]
ALL = [
    OriginalRules("full"),
    OriginalRules("none"),
    CountedRules(17),
    CountedRules(256),
    GradedRules("left"),
    GradedRules("both"),
    GradedRules("left", tags="type-level"),
]


def tag(name: str) -> int:
    return TAGS.index(name)


# The original -------------------------------------------------------------------------------------------------------


def test_the_table_of_tags_is_the_one_that_was_published() -> None:
    allow = OriginalRules("pos_only").tables().allow
    assert allow.sum() == 101
    assert round(allow.mean(), 3) == 0.349
    np.testing.assert_array_equal(allow, allow.T)
    assert allow.diagonal().all()
    assert allow[tag("PUNCT")].all()
    for lonely in ("PART", "INTJ", "SYM", "X"):
        assert allow[tag(lonely)].sum() == 2, "itself and PUNCT"
    blocked = "PART VERB,AUX PRON,ADP VERB,SCONJ NOUN,ADV NOUN,DET ADJ,DET VERB,DET ADP,NUM PROPN,CCONJ PRON"
    for pair in blocked.split(","):
        first, second = pair.split()
        assert not allow[tag(first), tag(second)], pair
    assert len(np.unique(allow, axis=0)) == 17, "no two tags see the same"


def test_features_and_requirements_are_those_of_the_original() -> None:
    facts = load_facts()
    assert len(facts.features) == 15
    assert len(facts.of_synset) == 45
    assert len(facts.pronouns) == 49
    assert len(facts.verbs) == 468
    assert has_and_asks("teachers", "NOUN")[0] == {"animate", "human", "concrete"}
    assert has_and_asks("idea", "NOUN")[0] == {"abstract", "cognition"}
    assert has_and_asks("Mary", "PROPN")[0] == has_and_asks("qwzrt", "NOUN")[0] == {"concrete"}
    assert has_and_asks("happy", "ADJ") == (frozenset(), frozenset())
    assert has_and_asks("told", "VERB") == (frozenset(), {"human"})
    assert has_and_asks("They", "PRON") == ({"animate"}, {"animate"})


def test_a_pronoun_sees_only_nouns_that_have_what_it_asks_for() -> None:
    words, tags = ["she", "teacher", "house", "it"], ["PRON", "NOUN", "NOUN", "PRON"]
    full, tags_only = OriginalRules("full").bonds(words, tags), OriginalRules("pos_only").bonds(words, tags)
    assert full.allow[0].tolist() == [True, True, False, True]
    assert full.allow[3].all(), "'it' asks for nothing"
    assert full.allow[2, 0], "the noun asks for nothing, so it sees the pronoun"
    assert tags_only.allow.all()
    assert (tags_only.bias == 0).all()


def test_the_bias_is_the_share_of_what_is_asked_for() -> None:
    bonds = OriginalRules("features_only").bonds(["she", "saw", "dog", "rock"], ["PRON", "VERB", "NOUN", "NOUN"])
    assert bonds.allow.all()
    np.testing.assert_allclose(bonds.bias[1], [1, 0, 1, 0], atol=1e-5)
    np.testing.assert_allclose(bonds.bias[0], [1, 0, 0.5, 0], atol=1e-5)


@pytest.mark.parametrize("rules", [OriginalRules, CountedRules, GradedRules])
def test_soft_blocking_takes_ten_nats_and_lets_everything_through(rules: type) -> None:
    hard, soft = rules().bonds(WORDS, UPOS), rules(block="soft").bonds(WORDS, UPOS)
    assert not hard.allow.all()
    assert soft.allow.all()
    np.testing.assert_allclose(hard.bias - soft.bias, np.where(hard.allow, 0, 10), atol=1e-5)


def test_the_original_explains_itself() -> None:
    bonds = OriginalRules().bonds(WORDS, UPOS)
    assert bonds.explain(0, 2) == (
        "'She' (PRON) does not see 'Mary' (PROPN): "
        "the pronoun 'She' asks for animate and human, and 'Mary' is concrete."
    )
    assert bonds.explain(1, 0) == (
        "'saw' (VERB) sees 'She' (PRON): the tags VERB and PRON are compatible; "
        "'saw' asks for animate, which gives +1.00."
    )
    assert bonds.explain(3, 1) == "'in' (ADP) does not see 'saw' (VERB): the tags ADP and VERB are not compatible."
    assert bonds.explain(1, 1) == "'saw' (VERB) sees 'saw' (VERB): every word sees itself."


def test_tables_of_what_is_not_a_matter_of_tags_are_refused() -> None:
    assert OriginalRules("none").tables().allow.all()
    for mode in ("full", "features_only"):
        with pytest.raises(UnknownRules, match=f"mode '{mode}' looks at words, not only at tags"):
            OriginalRules(mode).tables()


@pytest.mark.parametrize(
    ("text", "error"), [(None, ModelMissing), ("x = [", ModelCorrupt), ('[compatible]\nNOUN = ["NN"]', ModelCorrupt)]
)
def test_a_bad_file_of_facts_is_named(text, error, tmp_path, monkeypatch) -> None:
    if text is not None:
        (tmp_path / "facts.toml").write_text(text)
    monkeypatch.setattr(original, "FACTS", tmp_path / "facts.toml")
    with pytest.raises(error, match=r"facts.toml is not.*reinstall"):
        load_facts.__wrapped__()


# Counted and graded -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [17, 64, 256])
def test_tables_are_what_the_sparse_core_takes(size: int) -> None:
    rules = CountedRules(size)
    tables = rules.tables()
    taken = ClassRules(torch.from_numpy(tables.allow), bias=torch.from_numpy(tables.bias), window=8)
    assert taken.classes == size == len(tables.names)
    ids = classes(WORDS, UPOS, size)
    bonds = rules.bonds(WORDS, UPOS)
    later, earlier = np.tril_indices(len(WORDS), -1)
    np.testing.assert_array_equal(bonds.allow[later, earlier], tables.allow[ids[later], ids[earlier]])
    np.testing.assert_array_equal(bonds.bias[later, earlier], tables.bias[ids[later], ids[earlier]])


def test_counts_know_order_and_strength() -> None:
    score = load_evidence().score(17)
    assert score[tag("NOUN"), tag("DET")] > 0.5 > 0 > score[tag("DET"), tag("NOUN")], "a noun looks back at its article"
    assert score[tag("VERB"), tag("PRON")] > 0 > score[tag("DET"), tag("DET")]
    arcs, expected = load_evidence().totals(17, 17)
    assert arcs.sum() == 192_033, "all arcs of the training part that do not come from the root"
    assert expected.sum() == pytest.approx(arcs.sum(), rel=1e-6)


def test_thresholds_open_more_the_more_arcs_are_to_be_kept() -> None:
    shares = [CountedRules(64, keep).tables().allow.mean() for keep in (0.9, 0.95, 0.97, 0.98, 0.99, 0.995)]
    assert shares == sorted(shares)
    assert len(set(shares)) == len(shares)


def test_relations_between_two_classes() -> None:
    odds = CountedRules(17).relation_odds(tag("NOUN"), tag("DET"))
    assert max(odds, key=lambda relation: odds[relation]) == "det right"
    assert odds["det right"] > 2
    assert min(odds.values()) < 0


@pytest.mark.parametrize("rules", [CountedRules, GradedRules])
def test_the_window_is_open_whatever_stands_in_it(rules: type) -> None:
    open_, closed = rules(window=3).bonds(WORDS, UPOS), rules(window=0).bonds(WORDS, UPOS)
    np.testing.assert_array_equal(open_.allow, closed.allow | near(len(WORDS), 3))
    i, j = np.argwhere(open_.allow & ~closed.allow)[0].tolist()
    assert open_.explain(i, j).endswith("it is less than 3 words away.")


def test_too_little_evidence_forbids_nothing() -> None:
    closed, open_ = CountedRules(256), CountedRules(256, escape=1.0)
    evidence = load_evidence().totals(256, 256)[1]
    np.testing.assert_array_equal(open_.tables().allow, closed.tables().allow | (evidence < 1.0))
    later, earlier = np.argwhere(open_.tables().allow & ~closed.tables().allow)[0].tolist()
    assert open_.explain(later, earlier).endswith("but there is too little evidence to forbid it")


def test_counted_rules_explain_themselves() -> None:
    bonds = CountedRules(64).bonds(WORDS, UPOS)
    assert bonds.explain(5, 4).startswith("'garden' (NOUN) sees 'the' (DET): DET definite before NOUN")
    assert "most often by det with the head on the right" in bonds.explain(5, 4)
    assert bonds.allow[5, 4] == bonds.allow[4, 5], "the earlier word sees what sees it"
    i, j = np.argwhere(~bonds.allow)[0].tolist()
    assert "does not see" in bonds.explain(i, j)
    assert "; open from 0." in bonds.explain(i, j)


def test_graded_rules_explain_themselves() -> None:
    text = GradedRules("both").bonds(WORDS, UPOS).explain(5, 4)
    assert text.startswith("'garden' (NOUN) sees 'the' (DET): their classes +")
    for part in (
        "what is between",
        "their neighbours",
        "what follows",
        "nats against any two words 1 apart, open from -",
    ):
        assert part in text


@pytest.mark.parametrize("rules", [CountedRules, GradedRules])
def test_without_tags_rules_that_were_made_for_that_decide(rules: type) -> None:
    words = ["the", "run", "was", "long"]
    bonds = rules().bonds(words)
    np.testing.assert_array_equal(bonds.bias, rules(tags="type-level").bonds(words, bonds.upos).bias)
    assert not np.array_equal(bonds.bias, rules().bonds(words, bonds.upos).bias)


def test_graded_rules_see_what_stands_between() -> None:
    # "the" belongs to the noun right after it, not to the one behind a verb.
    words, tags = ["the", "dog", "saw", "a", "cat"], ["DET", "NOUN", "VERB", "DET", "NOUN"]
    bonds = GradedRules("left").bonds(words, tags)
    assert bonds.bias[1, 0] > 0 > bonds.bias[4, 0]
    assert not bonds.allow[4, 0]


TOKENS = [("the", "DET"), ("dog", "NOUN"), ("saw", "VERB"), (",", "PUNCT"), ("she", "PRON"), ("quickly", "ADV")]


def lower(rules: Rules):
    def rows(ids: torch.Tensor) -> torch.Tensor:
        words, tags = zip(*(TOKENS[number] for number in ids.tolist()), strict=True)
        bonds = rules.bonds(words, tags)
        return torch.from_numpy(np.tril(bonds.allow * 100 + bonds.bias))

    return rows


def redraw(ids: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    return torch.randint(len(TOKENS), ids.shape, generator=generator)


def check_causal(rules: Rules) -> None:
    ids = redraw(torch.zeros(30), torch.Generator().manual_seed(2))
    assert_causal(lower(rules), [ids], input_dims=[0], output_dim=0, cuts=[0, 1, 2, 9, 20, 28], redraw=redraw)


@pytest.mark.parametrize(
    "rules", [rule for rule in ALL if rule.causal and rule.name != "original none"], ids=lambda r: r.name
)
def test_what_a_word_sees_of_earlier_words_does_not_depend_on_later_ones(rules: Rules) -> None:
    check_causal(rules)


def test_rules_that_look_ahead_say_so() -> None:
    rules = GradedRules("both")
    assert not rules.causal
    with pytest.raises(AssertionError, match="changed when inputs after"):
        check_causal(rules)


# Bad input ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rules", ALL, ids=lambda r: r.name)
def test_any_words_have_bonds(rules: Rules) -> None:
    odd = ["", "😀", "x" * 10_000, "привет", "\ud800", "dog"]
    bonds = rules.bonds(odd)
    assert bonds.allow.shape == bonds.bias.shape == (6, 6)
    assert bonds.allow.diagonal().all()
    assert np.isfinite(bonds.bias).all()
    assert rules.bonds([]).allow.shape == (0, 0)
    assert rules.bonds(["dog"]).allow.tolist() == [[True]]
    with pytest.raises(UnknownBond, match="no word 6: the text has words 0 to 5"):
        bonds.explain(6, 0)
    with pytest.raises(UnknownBond, match="no word -1"):
        bonds.explain(0, -1)
    with pytest.raises(UnknownTag, match="'NN'"):
        rules.bonds(["dog"], ["NN"])
    with pytest.raises(ValueError, match="2 words and 1 tags"):
        rules.bonds(["the", "dog"], ["DET"])
    with pytest.raises(TypeError, match="one text"):
        rules.bonds("the dog")


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("hmm", {}, "no rules 'hmm'; there are: original, counted, graded"),
        ("original", {"mode": "all"}, "no mode 'all'; there are: full, pos_only, features_only, none"),
        ("original", {"block": "mild"}, "no way of blocking 'mild'; there are 'hard' and 'soft'"),
        ("counted", {"size": 18}, "no counts for size=18; there are: 17, 64, 256"),
        ("counted", {"keep": 0.5}, r"no threshold for keep=0.5; there are: 0.9, 0.95"),
        ("counted", {"block": "mild"}, "no way of blocking 'mild'"),
        ("counted", {"tags": "silver"}, "no rules counted with tags='silver'; there are 'gold' and 'type-level'"),
        ("graded", {"context": "right"}, "no context 'right'; there are: left, both"),
        ("graded", {"keep": 1.0}, r"no threshold for keep=1.0; there are: 0.9, 0.95"),
        ("graded", {"block": "mild"}, "no way of blocking 'mild'"),
        ("graded", {"tags": "silver"}, "no rules counted with tags='silver'"),
        ("graded", {"window": -1}, "window is -1, expected a whole number of words >= 0"),
        ("counted", {"window": 1.5}, "window is 1.5"),
        ("counted", {"escape": "few"}, "escape is 'few', expected a number of arcs >= 0"),
    ],
)
def test_rules_that_there_are_not_are_named(name: str, options: dict, message: str) -> None:
    with pytest.raises(UnknownRules, match=message):
        load_rules(name, **options)


def test_rules_explain_pairs_of_classes_where_they_have_a_table() -> None:
    noun, verb, conjunction = map(tag, ("NOUN", "VERB", "SCONJ"))
    original = load_rules("original", mode="pos_only")
    assert original.explain(noun, verb) == "the tags NOUN and VERB are compatible"
    assert original.explain(noun, conjunction) == "the tags NOUN and SCONJ are not compatible"
    soft = load_rules("original", mode="pos_only", block="soft")
    assert soft.explain(noun, conjunction).endswith("are not compatible, which costs 10 nats")
    for rules in (original, load_rules("counted", size=17)):
        with pytest.raises(UnknownBond, match="no class 17: there are classes 0 to 16"):
            rules.explain(0, 17)
        with pytest.raises(UnknownBond, match="no class -1"):
            rules.explain(-1, 0)
    for rules, method in itertools.product([load_rules("graded"), load_rules("original")], ["tables", "explain"]):
        with pytest.raises(UnknownRules, match=r"looks? at"):
            rules.tables() if method == "tables" else rules.explain(0, 1)


def test_counts_over_other_classes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "fingerprint", lambda: np.zeros(32, dtype=np.uint8))
    with pytest.raises(ModelCorrupt, match=r"made with another tree of classes than the shipped one; run: python -m"):
        base.read_bonds("bonds-counted-gold")


# Licensing ----------------------------------------------------------------------------------------------------------


def sentence(*rows: tuple[str, str, int]) -> list[Token]:
    return [Token(form, form, upos, head, "dep") for form, upos, head in rows]


TREEBANK = [
    sentence(("the", "DET", 2), ("dog", "NOUN", 3), ("saw", "VERB", 0), ("her", "PRON", 3)),
    sentence(("she", "PRON", 2), ("ran", "VERB", 0), ("to", "PART", 4), ("go", "VERB", 2)),
    sentence(("yes", "INTJ", 0)),
]


def test_licensing_counts_arcs_and_random_pairs_at_their_distances() -> None:
    everything = licensing(OriginalRules("none"), TREEBANK)
    assert (everything.licensed, everything.rejected, everything.rejected_unbonded, everything.arcs) == (
        1.0,
        0.0,
        0.0,
        6,
    )
    found = licensing(OriginalRules("pos_only"), TREEBANK, seed=5)
    assert found.licensed == pytest.approx(5 / 6), "only 'to go' is blocked"
    assert found.by_sentence[:, 0].tolist() == [3, 3, 0]
    assert found.by_sentence[:, 1].tolist() == [3, 2, 0]
    assert found.by_sentence[:, 2].sum() == round(6 * found.rejected)
    assert licensing(OriginalRules("pos_only"), TREEBANK, seed=5).rejected == found.rejected


def test_the_random_pairs_are_as_far_apart_as_the_arcs() -> None:
    many = TREEBANK[:2] * 2000
    # Distance 1: 6 pairs, 5 of them arcs, 2 blocked (to-go, ran-to); distance 2: 4 pairs, 1 arc, 2 blocked.
    found = licensing(OriginalRules("pos_only"), many)
    assert found.rejected == pytest.approx((5 * 2 / 6 + 1 * 2 / 4) / 6, abs=0.02)
    assert found.rejected_unbonded == pytest.approx((5 * 1 + 1 * 2 / 3) / 6, abs=0.02)
    assert found.ceiling == pytest.approx((5 * 1 / 6 + 1 * 3 / 4) / 6, abs=0.02)


def test_licensing_with_the_tags_of_a_tagger() -> None:
    found = licensing(OriginalRules("pos_only"), TREEBANK, tagger=load_tagger("left-to-right"))
    assert found.arcs == 6


@pytest.mark.parametrize("treebank", [[], TREEBANK[2:]])
def test_licensing_without_arcs_is_refused(treebank: list) -> None:
    with pytest.raises(ValueError, match="expected a treebank"):
        licensing(OriginalRules("none"), treebank)
