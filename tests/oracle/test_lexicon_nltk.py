"""The shipped lexicon against NLTK itself, synset by synset and sense by sense."""

from __future__ import annotations

import gc
import os
import re
from collections.abc import Iterator

import pytest

from periodic_table import load_lexicon
from periodic_table.lexicon.build import check_sizes, pack
from periodic_table.lexicon.nltk_reader import NltkLexicon
from periodic_table.lexicon.storage import SHIPPED, pack_arrays

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def nltk_lexicon() -> Iterator[NltkLexicon]:
    if not os.environ.get("ASA_DATA"):
        pytest.skip("ASA_DATA is not set: this test compares with data that the project does not ship")
    pytest.importorskip("nltk")
    # NLTK keeps a million small objects: looking for garbage among them takes a third of the time.
    gc.disable()
    yield NltkLexicon()
    gc.enable()


def names(synsets) -> tuple[str, ...]:
    return tuple(sorted(synset.name() for synset in synsets))


def test_all_synsets_are_nltks(nltk_lexicon) -> None:
    ours = load_lexicon().synsets()
    compared = 0
    for pos in "nvar":
        for theirs in nltk_lexicon.reader.all_synsets(pos):
            synset = next(ours)
            assert synset.name == theirs.name()
            assert (synset.pos, synset.lexname) == (theirs.pos(), theirs.lexname()), synset.name
            assert synset.lemmas == tuple(theirs.lemma_names()), synset.name
            assert synset.hypernyms == names(theirs.hypernyms()), synset.name
            assert synset.instance_hypernyms == names(theirs.instance_hypernyms()), synset.name
            compared += 1
    assert compared == 117_659
    assert next(ours, None) is None


def test_all_sense_numbers_and_counts_are_those_of_wordnets_own_index(nltk_lexicon) -> None:
    # Rows: lemma%type:file:id:head:head_id, offset, sense number, count.
    types = {"1": "n", "2": "v", "3": "a", "4": "r", "5": "s"}
    with nltk_lexicon.reader.open("index.sense") as file:
        rows = [line.split() for line in file]
    theirs = {
        (key.partition("%")[0], types[key.partition("%")[2][0]], int(number), int(count))
        for key, _, number, count in rows
    }
    lexicon = load_lexicon()
    assert list(lexicon.lemmas()) == sorted(set(nltk_lexicon.reader.all_lemma_names()))
    ours = {(s.lemma, s.pos, s.number, s.count) for lemma in lexicon.lemmas() for s in lexicon.senses(lemma)}
    assert ours == theirs
    assert len(ours) == 206_941
    assert sum(count for *_, count in ours) == 249_492


def test_all_senses_are_nltks_in_its_order_and_counts_but_for_83_that_it_misses(nltk_lexicon) -> None:
    # NLTK looks for the count of "any%5:00:00:some:00"; the file that it reads has "any%5:00:00:some(a):00".
    lexicon, reader = load_lexicon(), nltk_lexicon.reader
    with reader.open("cntlist.rev") as file:
        filed = {key: int(count) for key, _, count in map(str.split, file)}
    marked = {re.sub(r"\([a-z]+\)", "", key): count for key, count in filed.items() if "(" in key}
    compared = missed = 0
    for pos in "nvar":
        for lemma in reader.all_lemma_names(pos):
            theirs: dict[str, list[str]] = {}
            for form in reader.lemmas(lemma, pos):
                theirs.setdefault(form.synset().name(), []).append(form.key())
            ours = lexicon.senses(lemma, pos)
            assert [sense.synset for sense in ours] == list(theirs), lemma
            for sense, keys in zip(ours, theirs.values(), strict=True):
                if sense.count != max(filed.get(key, 0) for key in keys):
                    assert sense.count == marked[keys[0]], keys
                    missed += 1
            compared += len(ours)
    assert (compared, missed) == (206_941, 83)


@pytest.mark.parametrize("lemma", ["dog", "be", "able", "a", "ddc", "bank", "left", "well"])
def test_counts_are_lemma_count(nltk_lexicon, lemma) -> None:
    for sense in load_lexicon().senses(lemma):
        forms = nltk_lexicon.reader.synset(sense.synset).lemmas()
        assert sense.count == max(form.count() for form in forms if form.name().lower() == lemma)


def test_hyponyms_are_nltks(nltk_lexicon) -> None:
    lexicon = load_lexicon()
    for name in ("dog.n.01", "city.n.01", "move.v.02", "entity.n.01", "person.n.01"):
        theirs = nltk_lexicon.reader.synset(name)
        assert lexicon.hyponyms(name) == names(theirs.hyponyms()) == nltk_lexicon.hyponyms(name)
        assert lexicon.instance_hyponyms(name) == names(theirs.instance_hyponyms())


def test_the_mammals_are_nltks_closure(nltk_lexicon) -> None:
    root = nltk_lexicon.reader.synset("mammal.n.01")
    below = {root, *root.closure(lambda synset: synset.hyponyms() + synset.instance_hyponyms())}
    theirs = {
        (child.name(), parent.name())
        for child in below
        for parent in child.hypernyms() + child.instance_hypernyms()
        if parent in below
    }
    assert load_lexicon().subtree("mammal.n.01") == sorted(theirs) == nltk_lexicon.subtree("mammal.n.01")


def test_a_new_build_gives_the_shipped_bytes(nltk_lexicon) -> None:
    arrays = pack(nltk_lexicon)
    check_sizes(arrays)
    assert pack_arrays(arrays) == SHIPPED.read_bytes()
    assert nltk_lexicon.reader.license() == (SHIPPED.parent / "WORDNET_LICENSE").read_text()
