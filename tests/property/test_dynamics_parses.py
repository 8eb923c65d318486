"""Whatever the charges, a parse is one tree over all words, and every number in it is finite."""

import dataclasses

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from dynamics import Parser, is_tree, load_forcefield

FIELD = load_forcefield()
UPOS = st.lists(st.sampled_from(FIELD.types), min_size=1, max_size=14)


def shuffled(seed: int):
    charges = FIELD.charges.copy()
    np.random.default_rng(seed).shuffle(charges.reshape(-1, charges.shape[3]))
    return dataclasses.replace(FIELD, charges=charges)


@given(upos=UPOS, seed=st.integers(0, 1000), steps=st.sampled_from([0, 1, 7, 60]))
@settings(max_examples=60, deadline=None)
def test_a_parse_is_an_arborescence_with_one_root(upos, seed, steps):
    parse = Parser(shuffled(seed), steps).parse(["w"] * len(upos), upos, record=True)
    assert is_tree(parse.heads)
    assert len(parse.labels) == len(upos)
    assert parse.steps <= steps
    assert np.isfinite(parse.trajectory.positions).all()
    assert np.isfinite(parse.trajectory.energy).all()
    if parse.whole:
        np.testing.assert_array_equal(parse.heads, parse.trajectory.heads_at(-1))


@given(upos=UPOS)
@settings(max_examples=20, deadline=None)
def test_the_words_themselves_do_not_matter(upos):
    one = Parser().parse(["a"] * len(upos), upos)
    other = Parser().parse([f"w{i}" for i in range(len(upos))], upos)
    np.testing.assert_array_equal(one.heads, other.heads)


def test_other_charges_give_other_trees():
    upos = ["DET", "NOUN", "VERB", "DET", "ADJ", "NOUN", "ADP", "DET", "NOUN"]
    trees = {tuple(Parser(shuffled(seed)).parse(upos, upos).heads.tolist()) for seed in range(10)}
    own = tuple(Parser().parse(upos, upos).heads.tolist())
    assert own not in trees
    assert len(trees) >= 8
