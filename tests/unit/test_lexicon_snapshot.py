from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from periodic_table import Lexicon, LexiconMissing, Sense, UnknownSynset, load_lexicon

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def lexicon() -> Lexicon:
    return load_lexicon()


def test_sizes_are_those_of_wordnet_3(lexicon) -> None:
    assert lexicon.sizes() == {"n": 82_115, "v": 13_767, "a": 18_156 - 10_693, "s": 10_693, "r": 3_621}
    assert len(lexicon.lemmas()) == 147_306
    assert len(lexicon.lexnames) == 45
    assert lexicon.lexnames[5] == "noun.animal"
    assert (lexicon.name, lexicon.version) == ("wordnet-3.0-extract", "3.0")


def test_a_dog_is_a_canine_and_a_domestic_animal(lexicon) -> None:
    dog = lexicon.synset("dog.n.01")
    assert dog.hypernyms == ("canine.n.02", "domestic_animal.n.01")
    assert dog.lemmas == ("dog", "domestic_dog", "Canis_familiaris")
    assert (dog.pos, dog.lexname, dog.instance_hypernyms) == ("n", "noun.animal", ())
    assert "puppy.n.01" in lexicon.hyponyms("dog.n.01")


def test_instances_are_told_from_kinds(lexicon) -> None:
    paris = lexicon.synset("paris.n.01")
    assert paris.hypernyms == ()
    assert "national_capital.n.01" in paris.instance_hypernyms
    assert "paris.n.01" in lexicon.instance_hyponyms("national_capital.n.01")
    assert "paris.n.01" not in lexicon.hyponyms("national_capital.n.01")


def test_senses_come_in_wordnets_order_with_their_counts(lexicon) -> None:
    senses = lexicon.senses("dog", "n")
    assert senses[0] == Sense("dog", "n", 1, 42, "dog.n.01", "noun.animal")
    assert [sense.number for sense in senses] == list(range(1, 8))
    assert [(sense.pos, sense.number) for sense in lexicon.senses("dog")][-1] == ("v", 1)
    assert lexicon.senses("be", "v")[0].count == 10_742
    # NLTK's Lemma.count() gives 0 here; WordNet's index.sense has 47.
    assert lexicon.senses("any", "s")[0].count == 47


def test_a_satellite_keeps_its_sense_number_among_all_adjectives(lexicon) -> None:
    # NLTK from 3.9.2 on names satellites by their rank among the satellites of the word.
    senses = lexicon.senses("able", "a")
    assert [(s.number, s.synset, s.count) for s in senses] == [
        (1, "able.a.01", 70),
        (2, "able.s.01", 7),
        (3, "able.s.02", 4),
        (4, "able.s.03", 0),
    ]
    assert lexicon.senses("able", "s") == senses[1:]
    assert lexicon.synset("able.a.02").name == "able.s.01"


@pytest.mark.parametrize("word", ["Hot Dog", "hot_dog", "HOT_DOG"])
def test_case_and_spaces_do_not_matter(lexicon, word) -> None:
    assert [sense.lemma for sense in lexicon.senses(word)] == ["hot_dog"] * 3


def test_sense_order_never_contradicts_the_counts(lexicon) -> None:
    for lemma in lexicon.lemmas()[::10]:
        for pos in "nvar":
            counts = [sense.count for sense in lexicon.senses(lemma, pos)]
            assert counts == sorted(counts, reverse=True), lemma


def test_an_unknown_word_has_no_meaning(lexicon) -> None:
    assert lexicon.senses("colourless_green_idea") == ()
    assert lexicon.senses("") == ()
    assert lexicon.senses("dog", "r") == ()


def test_an_unknown_part_of_speech_is_refused(lexicon) -> None:
    with pytest.raises(ValueError, match="part of speech 'NOUN', expected one of n, v, a, s, r"):
        lexicon.senses("dog", "NOUN")
    with pytest.raises(ValueError, match="part of speech 'x'"):
        lexicon.synsets("x")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("dog.n.99", "near matches: dog.n.01, frump.n.01"),
        ("dog.n.00", "near matches: dog.n.01"),
        ("dog.x.01", "near matches: dog.n.01"),
        ("dog", "near matches: dog.n.01"),
        ("telefone.n.01", "near matches: .*telephone.n.01"),
        ("", "expected a name such as 'dog.n.01'"),
        ("able.s.04", "near matches: able.a.01"),
    ],
)
def test_an_unknown_synset_is_named_with_near_matches(lexicon, name, hint) -> None:
    for ask in (lexicon.synset, lexicon.hyponyms, lexicon.instance_hyponyms, lexicon.subtree):
        with pytest.raises(UnknownSynset, match=hint) as caught:
            ask(name)
        assert isinstance(caught.value, KeyError)


def test_near_matches_are_named_once(lexicon) -> None:
    # "Hannover" and "Hanover" are words of the same synset.
    with pytest.raises(UnknownSynset, match=r"near matches: hannover\.n\.01, hangover\.n\.01.$"):
        lexicon.synset("hannovex.n.01")


@pytest.mark.parametrize("name", [None, 7, b"dog.n.01"])
def test_what_is_not_text_is_refused(lexicon, name) -> None:
    for ask in (lexicon.synset, lexicon.senses, lexicon.hyponyms, lexicon.subtree):
        with pytest.raises(TypeError, match="is not text, expected a word such as 'dog' or a synset"):
            ask(name)


def test_the_mammals(lexicon) -> None:
    edges = lexicon.subtree("mammal.n.01")
    assert len(edges) == len(set(edges)) == 1_182
    assert len({name for edge in edges for name in edge}) == 1_182
    assert edges == sorted(edges)
    assert ("dog.n.01", "canine.n.02") in edges
    # Its parent outside the tree is left out.
    assert ("dog.n.01", "domestic_animal.n.01") not in edges
    assert sum(parent in lexicon.synset(child).instance_hypernyms for child, parent in edges) == 12


def test_all_nouns_hang_on_one_root(lexicon) -> None:
    edges = lexicon.subtree("entity.n.01")
    assert len(edges) == 75_850 + 8_577
    assert len({name for edge in edges for name in edge}) == 82_115


def test_subtree_takes_any_name_of_the_root_and_a_leaf_has_no_edges(lexicon) -> None:
    assert lexicon.subtree("domestic_dog.n.01") == lexicon.subtree("dog.n.01")
    leaf = lexicon.subtree("dog.n.01")[0][0]
    assert lexicon.subtree(leaf) == []


def test_two_ways_to_the_same_subtree(lexicon) -> None:
    for root in ("dog.n.01", "move.v.02", "able.a.01", "city.n.01"):
        assert lexicon.subtree(root) == Lexicon.subtree(lexicon, root)


def test_every_name_leads_to_its_own_synset(lexicon) -> None:
    names = [synset.name for synset in lexicon.synsets()]
    assert len(set(names)) == len(names) == 117_659
    assert all(lexicon.synset(name).name == name for name in names[::17])
    assert sum(1 for _ in lexicon.synsets("a")) == 18_156
    assert {synset.pos for synset in lexicon.synsets("s")} == {"s"}


def test_nothing_of_it_can_be_changed(lexicon) -> None:
    with pytest.raises(FrozenInstanceError):
        lexicon.synset("dog.n.01").name = "cat.n.01"
    with pytest.raises(FrozenInstanceError):
        lexicon.senses("dog")[0].count = 1
    with pytest.raises(ValueError, match="read-only"):
        lexicon._senses._values[0] = 1


def test_threads_that_come_first_share_one_lexicon() -> None:
    code = """
from concurrent.futures import ThreadPoolExecutor
from periodic_table import load_lexicon
with ThreadPoolExecutor(8) as pool:
    print(len({id(lexicon) for lexicon in pool.map(lambda _: load_lexicon(), range(16))}))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True, timeout=60
    )
    assert done.stdout.strip() == "1"


def test_threads_get_the_same_answers(lexicon) -> None:
    words = lexicon.lemmas()[::50]

    def ask(_: int) -> list[tuple[Sense, ...]]:
        return [lexicon.senses(word) for word in words]

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(ask, range(4)))
    assert all(answer == answers[0] for answer in answers)
    assert all(answers[0])


def test_it_loads_in_less_than_three_tenths_of_a_second_without_nltk() -> None:
    code = """
import sys, time
sys.modules["nltk"] = None
import numpy
from periodic_table import load_lexicon
start = time.process_time()
load_lexicon()
print(time.process_time() - start)
"""
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True, timeout=60)
        for _ in range(3)
    ]
    assert min(float(run.stdout) for run in runs) < 0.3


def test_there_is_no_lexicon_of_another_name() -> None:
    with pytest.raises(LexiconMissing, match="no lexicon 'wordnet'; there are 'snapshot'"):
        load_lexicon("wordnet")
