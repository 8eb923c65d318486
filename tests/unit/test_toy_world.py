"""The toy world: every word has a place, sentences are of the grammar, and what is held out does not occur."""

from __future__ import annotations

import numpy as np
import pytest

from feasibility.toy_world import record
from feasibility.toy_world.counting import counting_excess, trigram_law
from feasibility.toy_world.exact import Law, NotInWorld
from feasibility.toy_world.grammar import OPEN, World, build_world
from feasibility.toy_world.sampling import LONGEST, SHORTEST, NothingLeft, draw

WORLD = build_world()
PLACE = {word: number for number, (word, pos) in enumerate(WORLD.words) if (word, pos) != ("love", "NOUN")}


def rows(*sentences: str) -> tuple[np.ndarray, np.ndarray]:
    """Sentences as [S, 10] places and their lengths."""
    words = [sentence.split() for sentence in sentences]
    table = np.full((len(words), LONGEST), -1)
    for row, sentence in enumerate(words):
        table[row, : len(sentence)] = [PLACE[word] for word in sentence]
    return table, np.array([len(sentence) for sentence in words])


def test_every_word_of_the_table_can_be_said() -> None:
    assert len(WORLD.words) == 100
    assert (WORLD.emission.sum(axis=0) > 0).all()
    assert np.allclose(WORLD.emission.sum(axis=1), 1.0)


def test_the_rules_of_every_symbol_add_up_to_one() -> None:
    total = np.zeros(len(WORLD.symbols))
    np.add.at(total, WORLD.binary[:, 0], WORLD.binary_p)
    np.add.at(total, WORLD.unary[:, 0], WORLD.unary_p)
    assert np.allclose(total[len(WORLD.emission) :], 1.0)
    assert not total[: len(WORLD.emission)].any()


@pytest.mark.parametrize("alignment", [0.0, 0.5])
def test_a_world_deals_words_out_within_their_part_of_speech(alignment: float) -> None:
    world = build_world(alignment)
    assert [pos for _, pos in world.words] == list(world.pos)
    for tag in set(world.pos):
        at_home = (world.own == np.arange(100))[np.array(world.pos) == tag].mean()
        assert at_home == pytest.approx(alignment if tag in OPEN else 1.0, abs=0.02)


def test_alignment_outside_its_range_is_named() -> None:
    with pytest.raises(ValueError, match=r"alignment must lie in \[0, 1\], got 1.5"):
        build_world(1.5)


def test_draws_repeat_and_longer_draws_begin_like_shorter_ones() -> None:
    short, long = draw(WORLD, 20, 3), draw(WORLD, 60, 3)
    assert np.array_equal(short.places, long.places[:20])
    assert not np.array_equal(short.places, draw(WORLD, 20, 4).places)
    assert set(long.lengths) <= set(range(SHORTEST, LONGEST + 1))
    assert np.array_equal((long.places >= 0).sum(axis=1), long.lengths)


def test_only_licensed_pairs_are_bonded() -> None:
    nouns = np.array(WORLD.pos) == "NOUN"
    bonds = draw(WORLD, 3_000, 0).bonds[:, :, nouns]
    assert bonds.sum() > 3_000
    assert not bonds[~WORLD.licensed[:, :, nouns]].any()


def test_what_is_held_out_does_not_occur() -> None:
    words = np.zeros(100, bool)
    words[[PLACE["dog"], PLACE["see"]]] = True
    pairs = np.zeros((2, 100, 100), bool)
    pairs[1, PLACE["make"], PLACE["house"]] = True
    assert draw(WORLD, 20_000, 0).bonds[pairs].all()
    sentences = draw(WORLD, 20_000, 0, words, pairs)
    assert not np.isin(sentences.places, np.flatnonzero(words)).any()
    assert not sentences.bonds[pairs].any()


def test_too_much_held_out_is_an_error() -> None:
    with pytest.raises(NothingLeft, match="of the 100 words or 0 pairs held out; hold out less"):
        draw(WORLD, 5, 0, np.ones(100, bool))


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("the dog be see two cat", "the dog see two cat here"),
        ("two child who sleep walk here", "two child who be sleep walk"),
        ("the child with two book be sleep", "the child with two book sleep here"),
        ("she be tell Mary the story", "she be tell Mary the bread"),
        ("the red house be fall here", "the red idea be seem good"),
        ("it can rain if i sleep", "she can rain if i sleep"),
    ],
    ids=["agreement", "agreement in a relative clause", "agreement across a noun", "object", "modifier", "expletive"],
)
def test_features_decide_what_is_a_sentence(right: str, wrong: str) -> None:
    assert np.isfinite(Law(WORLD).log_probability(*rows(right))).all()
    with pytest.raises(NotInWorld, match="sentence 0 is none of this grammar"):
        Law(WORLD).log_probability(*rows(wrong))


def test_a_prefix_that_begins_no_sentence_is_an_error() -> None:
    with pytest.raises(NotInWorld, match="begins as sentence 1 does"):
        Law(WORLD).next_word(*rows("the dog", "the the"))


def test_the_text_of_a_sentence_depends_on_the_world_alone() -> None:
    places, _ = rows("two dog see the cat")
    assert WORLD.text(places[0, :5]) == "two dog see the cat"
    other: World = build_world(0.0)
    assert other.text(places[0, :5]).split()[0] == "two"
    assert other.text(places[0, :5]) != "two dog see the cat"


def test_the_record_names_the_file_that_decides() -> None:
    assert record().name == "toy-world"
    assert len(record().sha256) == 64


def test_counted_laws_add_up_and_come_nearer_with_more_text() -> None:
    exam = draw(WORLD, 60, 1)
    law = Law(WORLD).next_word(exam.places, exam.lengths)
    excess = []
    for count in (100, 3_000):
        table = trigram_law(draw(WORLD, count, 2).places, 100)
        assert table.min() > 0
        assert np.allclose(table.sum(axis=2), 1.0)
        excess.append(counting_excess(table, exam.places, law).sum() / (exam.lengths + 1).sum())
    assert 0 < excess[1] < excess[0] < 2.0


def test_counted_laws_by_hand() -> None:
    """One sentence, "0 0": the unigrams are 0 (after the edge and after 0) and the edge (after 0)."""
    table = trigram_law(np.array([[0, 0, -1]]), 1)
    one = np.array([(2 - 0.75) / 3, (1 - 0.75) / 3]) + 2 * 0.75 / 3 / 2
    after_edge = np.array([1 - 0.75, 0.0]) + 0.75 * one
    assert table[1, 1] == pytest.approx(np.array([1 - 0.75, 0.0]) + 0.75 * after_edge)
