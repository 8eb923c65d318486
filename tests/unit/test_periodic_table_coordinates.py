from __future__ import annotations

import numpy as np
import pytest

from periodic_table import UnknownTag, affinity, coordinates, similarity
from periodic_table.axes import UnknownBlock
from periodic_table.element import UPOS
from periodic_table.likeness import affinities

ODD = [("", "X"), ("\U0001f600", "SYM"), ("a" * 10_000, "NOUN"), ("мир", "NOUN"), ("Xyzzy", "PROPN"), (",", "PUNCT")]


def test_all_words_have_vectors_of_one_length() -> None:
    axes = coordinates.AXES
    for word, upos in [("dog", "NOUN"), ("give", "VERB"), ("red", "ADJ"), ("the", "DET"), *ODD]:
        vector = coordinates(word, upos)
        assert vector.shape == (len(axes),)
        assert vector.dtype == np.float64
        assert np.isfinite(vector).all()


def test_every_axis_has_a_name_of_its_own_and_values_stay_in_its_range() -> None:
    axes = coordinates.AXES
    assert len({(axis.block, axis.name) for axis in axes}) == len(axes)
    assert all(axis.unit for axis in axes)
    words = [("dog", "NOUN"), ("entity", "NOUN"), ("set", "VERB"), ("good", "ADJ"), ("Paris", "PROPN"), *ODD]
    rows = coordinates.matrix([word for word, _ in words], [upos for _, upos in words])
    low, high = (np.array([getattr(axis, end) for axis in axes]) for end in ("low", "high"))
    outside = ((rows < low - 1e-9) | (rows > high + 1e-9)).any(axis=0)
    assert [axes[place] for place in np.flatnonzero(outside)] == []


def test_many_at_once_are_the_same_as_one_by_one() -> None:
    words = ["dog", "dogs", "gave", "roadsweeper", "", "dog"]
    upos = ["NOUN", "NOUN", "VERB", "NOUN", "X", "NOUN"]
    rows = coordinates.matrix(words, upos)
    np.testing.assert_allclose(rows, [coordinates(*pair) for pair in zip(words, upos, strict=True)], atol=1e-6)
    np.testing.assert_array_equal(rows[0], rows[5])
    assert coordinates.matrix([], []).shape == (0, len(coordinates.AXES))
    assert coordinates.matrix(["dog", "cat"], "NOUN").shape[0] == 2


def test_blocks_come_alone_or_by_source() -> None:
    sources = coordinates.BLOCKS
    assert set(sources.values()) == {"lexicon", "counted"}
    assert [name for name, source in sources.items() if source == "counted"] == ["valence", "frequency"]
    whole = coordinates("dog", "NOUN")
    parts = np.concatenate([coordinates("dog", "NOUN", "lexicon"), coordinates("dog", "NOUN", "counted")])
    np.testing.assert_array_equal(whole, parts)
    assert coordinates("dog", "NOUN", ("supersense",)).sum() == pytest.approx(1)
    assert coordinates("dog", "NOUN", "block").tolist() == [float(tag == "NOUN") for tag in UPOS]
    assert [axis.name for axis in coordinates.axes("block")] == list(UPOS)


def test_the_lexicon_s_blocks_do_not_know_the_treebank(monkeypatch: pytest.MonkeyPatch) -> None:
    from periodic_table import valence

    def forbidden() -> None:
        raise AssertionError("the treebank was asked")

    words = ["grandfather", "hibernate", "scarlet"]
    upos = ["NOUN", "VERB", "ADJ"]
    before = coordinates.matrix(words, upos, "lexicon")
    monkeypatch.setattr(valence, "load_valence", forbidden)
    monkeypatch.setattr("periodic_table.counted.load_valence", forbidden)
    np.testing.assert_array_equal(coordinates.matrix(words, upos, "lexicon"), before)
    with pytest.raises(AssertionError, match="the treebank was asked"):
        coordinates.matrix(words, upos, "counted")


def test_what_the_axes_say() -> None:
    names = {(axis.block, axis.name): place for place, axis in enumerate(coordinates.AXES)}
    dog, idea, give, red = (
        coordinates(*word) for word in (("dog", "NOUN"), ("idea", "NOUN"), ("give", "VERB"), ("red", "ADJ"))
    )
    assert dog[names["kind", "animal.n.01"]] > 0.9 > 0.1 > idea[names["kind", "animal.n.01"]]
    assert dog[names["period", "abstraction"]] < 2 < 4 < idea[names["period", "abstraction"]]
    assert give[names["verb", "SB --s SB STH"]] > 0.3
    assert give[names["verb", "role Recipient"]] > 0.5
    assert give[names["valence", ">obj"]] > dog[names["valence", ">obj"]]
    # WordNet has one file for adjectives; the nouns that they come from say what they are about.
    assert red[names["kin", "noun.attribute"]] > 0.1


def test_errors_say_what_there_is() -> None:
    with pytest.raises(UnknownBlock, match=r"no block \['colour'\]; there are block, period, isotopes"):
        coordinates("dog", "NOUN", ("colour",))
    with pytest.raises(UnknownBlock, match=r"no block \(\)"):
        coordinates("dog", "NOUN", ())
    with pytest.raises(UnknownTag, match="'noun' is not a universal part of speech"):
        coordinates("dog", "noun")
    with pytest.raises(TypeError, match="3 is not text"):
        coordinates(3, "NOUN")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="2 words and 1 tags"):
        coordinates.matrix(["a", "b"], ["NOUN"])


def test_a_vector_may_be_changed_without_harm() -> None:
    coordinates("dog", "NOUN")[:] = 0
    assert coordinates("dog", "NOUN").any()


def test_similar_words_are_similar() -> None:
    assert similarity("dog", "wolf", "NOUN") > similarity("dog", "cat", "NOUN") > similarity("dog", "idea", "NOUN")
    assert similarity("car", "automobile", "NOUN") > 0.9
    assert similarity("hot", "cold", "ADJ") < -0.1 < 0.1 < similarity("happy", "glad", "ADJ")
    assert similarity("buy", "purchase", "VERB") > similarity("buy", "sleep", "VERB")


def test_similarity_is_symmetric_and_one_for_a_word_and_itself() -> None:
    assert similarity("dog", "cat", "NOUN") == similarity("cat", "dog", "NOUN")
    assert similarity("dog", "dogs", "NOUN") == 1.0
    assert similarity("the", "THE", "DET") == 1.0
    assert similarity("the", "of", "DET") == 0.0
    assert similarity("dog", "qwxyz", "NOUN") == 0.0
    for word, upos in ODD:
        assert similarity(word, word, upos) == 1.0
    with pytest.raises(UnknownTag):
        similarity("dog", "cat", "N")


def test_good_is_charged_against_bad() -> None:
    charge = {word: coordinates(word, "ADJ", "charge")[0] for word in ("good", "bad", "excellent", "awful", "wooden")}
    assert charge["good"] > 0.1 > abs(charge["wooden"])
    assert charge["bad"] < -0.1
    assert charge["excellent"] > charge["awful"]


def test_words_that_stand_together_have_affinity() -> None:
    assert affinity("eat", "VERB", "bread", "NOUN") > affinity("eat", "VERB", "idea", "NOUN")
    assert affinity("hot", "ADJ", "water", "NOUN") > affinity("hot", "ADJ", "agreement", "NOUN")
    assert affinity("eat", "VERB", "bread", "NOUN") == pytest.approx(affinity("bread", "NOUN", "eat", "VERB"))
    assert affinity("eat", "VERB", "qwxyz", "NOUN") == 0.0
    many = affinities(["eat", "drink"], "VERB", ["bread", "water"], "NOUN")
    np.testing.assert_allclose(many[0], affinity("eat", "VERB", "bread", "NOUN"), atol=1e-6)
    with pytest.raises(ValueError, match="1 first words and 2 second ones"):
        affinities(["eat"], "VERB", ["bread", "water"], "NOUN")
