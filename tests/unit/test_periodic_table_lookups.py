from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from periodic_table.abstraction import OF_SUPERSENSE, level
from periodic_table.form import NAMES, spelled
from periodic_table.hierarchy import load_hierarchy, load_kinds
from periodic_table.isotopes import K, load_isotopes
from periodic_table.lexicon.protocol import UnknownSynset
from periodic_table.morphology import cell, lemma, morphy
from periodic_table.resolve import read
from periodic_table.rows import Rows, signed_root, weighted
from periodic_table.shipped import ModelCorrupt, ModelMissing, read_lines
from periodic_table.slots import SLOTS, TYPED, relation
from periodic_table.walk import DECAY, STEPS, load_walk


@pytest.mark.parametrize(
    ("form", "upos", "base"),
    [
        ("Dogs", "NOUN", "dog"), ("children", "NOUN", "child"), ("bones", "NOUN", "bone"), ("news", "NOUN", "news"),
        ("glass", "NOUN", "glass"), ("blogosphere", "NOUN", "blogosphere"), ("selfies", "NOUN", "selfy"),
        ("gave", "VERB", "give"), ("running", "VERB", "run"), ("took", "VERB", "take"), ("worse", "ADJ", "bad"),
        ("greater", "ADJ", "great"), ("later", "ADV", "later"), ("was", "AUX", "be"), ("'ll", "AUX", "will"),
        ("n’t", "PART", "not"), ("me", "PRON", "i"), ("London", "PROPN", "London"), ("!!!", "PUNCT", "!"),
        ("....", "PUNCT", "..."), ("", "NOUN", ""), ("ss", "NOUN", "ss"),
    ],
)  # fmt: skip
def test_base_forms(form: str, upos: str, base: str) -> None:
    assert lemma(form, upos) == base


def test_morphy_knows_words_only() -> None:
    isotopes = load_isotopes()
    assert morphy("geese", "n", isotopes) == "goose"
    assert morphy("xyzzies", "n", isotopes) is None


def test_numbers_in_digits_are_counted_together() -> None:
    assert cell("1,234", "NUM") == cell("3.5", "NUM") == "0"
    assert cell("two", "NUM") == "two"
    assert cell("2nd", "ADJ") == "2nd"


@pytest.mark.parametrize(
    ("word", "upos", "source", "same"),
    [
        ("tweetable", "ADJ", "tweet", False), ("awesomely", "ADV", "awesome", False),
        ("roadsweeper", "NOUN", "sweeper", True), ("non-member", "NOUN", "member", True),
        ("awkwardnesses", "NOUN", "awkwardness", True),
    ],
)  # fmt: skip
def test_words_made_from_others(word: str, upos: str, source: str, same: bool) -> None:
    reading = read(word, upos)
    assert load_isotopes().lemma(reading.entry) == source
    assert reading.same == same


def test_what_nothing_speaks_for() -> None:
    for word, upos in (("qwxyz", "NOUN"), ("", "NOUN"), ("the", "DET"), ("Xyzzy", "PROPN"), ("a" * 10_000, "VERB")):
        assert (read(word, upos).entry, read(word, upos).exact) == (-1, False)


def test_probabilities_are_counts_smoothed_by_the_order() -> None:
    isotopes = load_isotopes()
    entry = isotopes.entry("dog", "n")
    low, high = isotopes.start[entry : entry + 2]
    order = np.arange(1, high - low + 1.0) ** -1.5
    counts = np.array([42, 0, 0, 0, 0, 0, 0]) + 0.0
    np.testing.assert_allclose(isotopes.probability[low:high], (counts + K * order / order.sum()) / (42 + K))
    totals = np.bincount(isotopes.of_sense, isotopes.probability)
    np.testing.assert_allclose(totals, 1)
    assert isotopes.entry("Domestic dog", "n") == isotopes.entry("domestic_dog", "n") >= 0
    assert isotopes.entry("dog", "a") == -1


def test_synsets_have_names_and_places() -> None:
    isotopes = load_isotopes()
    for name in ("dog.n.01", "able.s.01", "give.v.03", "quickly.r.01", "paris.n.01"):
        assert isotopes.name(isotopes.place(name)) == name
    with pytest.raises(UnknownSynset, match=r"no synset 'dog.n.99'; the word has"):
        isotopes.place("dog.n.99")


def test_the_hierarchy_hands_down_and_up() -> None:
    tree, isotopes = load_hierarchy(), load_isotopes()
    entity, animal, dog, paris = map(isotopes.place, ("entity.n.01", "animal.n.01", "dog.n.01", "paris.n.01"))
    under = tree.under([entity, animal])
    assert under[dog].tolist() == [True, True]
    assert under[paris].tolist() == [True, False]
    assert tree.depth[entity] == 0 < tree.depth[animal] < tree.depth[dog]
    below = tree.below(np.ones(tree.size))
    assert below[dog] < below[animal] < below[entity]
    assert tree.instance[paris]
    assert not tree.instance[dog]
    assert len(load_kinds()) == len(set(load_kinds())) == 260


def test_neighbourhoods_end_where_the_steps_do() -> None:
    walk, isotopes = load_walk(), load_isotopes()
    rows = walk.spread(walk.senses([isotopes.entry("dog", "n"), -1, isotopes.entry("hot", "a")]))
    assert rows.start[1] == rows.start[2]
    assert np.abs(rows.value[: rows.start[1]]).sum() <= sum(DECAY**step for step in range(STEPS + 1)) + 1e-9
    weight = dict(zip(rows.column.tolist(), rows.value.tolist(), strict=True))
    assert weight[isotopes.place("canine.n.02")] > 0 > weight[isotopes.place("cold.a.01")]


def test_weighted_sums_of_sparse_rows() -> None:
    rows = Rows(np.array([0, 2, 2, 3]), np.array([0, 2, 1]), np.array([0.5, 2.0, -1.0]))
    feature = np.array([[1.0, 0.0], [0.0, 1.0], [3.0, 3.0]])
    np.testing.assert_array_equal(weighted(rows, feature), [[6.5, 6.0], [0.0, 0.0], [0.0, -1.0]])
    np.testing.assert_array_equal(weighted(rows, feature[:, 0]), [6.5, 0.0, 0.0])
    np.testing.assert_array_equal(signed_root(np.array([-4.0, 0.0, 9.0])), [-2.0, 0.0, 3.0])


def test_periods_are_whole_numbers_from_1_to_5() -> None:
    assert [level(score) for score in (0.2, 1.49, 1.5, 4.5, 7.0)] == [1, 1, 2, 5, 5]
    missing = {name for name in load_isotopes().lexnames if name[0] in "nv"} - OF_SUPERSENSE.keys()
    assert missing == {"noun.Tops"}


def test_spelling_tells_morphemes() -> None:
    features = dict(zip(NAMES, spelled("Unhappiness", "unhappiness").tolist(), strict=True))
    assert (features["-ness"], features["un-"], features["-ity"], features["upper case"]) == (1, 1, 0, 1)
    assert features["log length"] == pytest.approx(np.log(11))
    assert spelled("", "").tolist() == [0.0] * len(NAMES)


def test_relations_count_under_the_table_s() -> None:
    assert relation("nmod:poss") == "nmod:poss"
    assert relation("obl:unmarked") == "obl"
    assert relation("goeswith") is None
    assert ("obj", "head") in [SLOTS[place] for place in TYPED]
    assert ("punct", "head") not in [SLOTS[place] for place in TYPED]


def test_a_text_file_that_was_cut_is_named(tmp_path: Path) -> None:
    path = tmp_path / "kinds.txt"
    with pytest.raises(ModelMissing, match=r"kinds\.txt is not there; build it with: make it"):
        read_lines(path, "make it")
    path.write_text("# kinds\nanimal.n.01\nbo", encoding="utf-8")
    with pytest.raises(ModelCorrupt, match=r"ends in the middle of a line: it was cut; build it anew with: make it"):
        read_lines(path, "make it")
    path.write_text("# kinds\nanimal.n.01\n", encoding="utf-8")
    assert read_lines(path, "make it") == ["animal.n.01"]
