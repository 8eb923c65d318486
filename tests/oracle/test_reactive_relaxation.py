"""The reactive kernels against plain definitions: crossings by counting, fields and slopes by finite differences."""

import itertools

import numpy as np
import pytest
from reactive_cases import small_model, small_treebank

from dynamics.reactive.bonds import (
    add_crossings,
    add_root,
    bond_orders,
    coupled_field,
    free_energy,
    populations,
    relax,
)
from dynamics.reactive.couplings import SIBLINGS, UPBONDS, bare_fields, list_pairs, pair_places, strengths
from dynamics.reactive.states import States
from dynamics.reactive.unroll import unrolled_gradient

SITES = 6


def random_states(seed, words=7, per_word=4):
    rng = np.random.default_rng(seed)
    word = np.repeat(np.arange(1, words + 1), per_word)
    head = np.array([rng.choice([h for h in range(words + 1) if h != d]) for d in word])
    site = np.where(head == 0, 0, rng.integers(1, SITES, word.size))
    first = np.arange(0, word.size + 1, per_word)
    return States(first, word, head, site, rng.normal(size=word.size), rng.normal(size=word.size)), rng


def coupled(states, rng):
    pairs, _ = list_pairs(states, True, True)
    return pairs, rng.normal(size=len(pairs))


@pytest.mark.parametrize("words", [1, 2, 7, 20])
def test_crossings_are_those_that_one_counts(words):
    states, rng = random_states(words, words)
    shares = rng.random(states.word.size)
    out = np.zeros(states.word.size)
    add_crossings(states, *bond_orders(states), shares, 2.0, out)
    spans = [(min(h, d), max(h, d)) for h, d in zip(states.head, states.word, strict=True)]
    expected = [
        2.0 * sum(share for (c, d), share in zip(spans, shares, strict=True) if a < c < b < d or c < a < d < b)
        for a, b in spans
    ]
    np.testing.assert_allclose(out, expected, atol=1e-12)


def test_root_has_room_for_one():
    states, rng = random_states(3)
    states.head[[0, 4, 9]] = 0
    shares, out = rng.random(states.word.size), np.zeros(states.word.size)
    add_root(states, shares, 1.0, out)
    at_root = np.flatnonzero(states.head == 0)
    for i in range(len(out)):
        assert out[i] == pytest.approx(shares[at_root[at_root != i]].sum() if i in at_root else 0.0)


def test_pairs_are_siblings_and_chains():
    states, _ = random_states(5)
    pairs, kinds = list_pairs(states, True, True)
    found = {(int(i), int(j), int(kind)) for (i, j), kind in zip(pairs, kinds, strict=True)}
    expected = set()
    for i, j in itertools.permutations(range(states.word.size), 2):
        if states.head[i] == states.head[j] != 0 and states.word[i] < states.word[j]:
            expected.add((i, j, 0))
        if states.head[i] == states.word[j]:
            expected.add((i, j, 1))
    assert found == expected
    assert len(pairs) == len(expected)
    assert set(list_pairs(states, False, True)[1]) == {1}
    assert set(list_pairs(states, True, False)[1]) == {0}


def test_fields_are_minus_the_gradient_of_the_energy():
    states, rng = random_states(1)
    pairs, strength = coupled(states, rng)
    orders, bare = bond_orders(states), rng.normal(size=states.word.size)
    shares = rng.random(states.word.size) + 0.1

    def field(at):
        out = np.empty(at.size)
        coupled_field(states, pairs, strength, *orders, 0.7, 0.9, at, out)
        return out

    for i in range(shares.size):
        step = np.zeros(shares.size)
        step[i] = 1e-5
        up, down = (free_energy(bare, field(at), at) for at in (shares + step, shares - step))
        slope = np.log(shares[i]) + 1.0 - bare[i] - field(shares)[i]
        assert (up - down) / 2e-5 == pytest.approx(slope, abs=1e-6)


@pytest.mark.parametrize("steps", [0, 1, 5])
def test_slopes_of_the_unrolled_loss(steps):
    states, rng = random_states(2)
    pairs, strength = coupled(states, rng)
    bare = rng.normal(size=states.word.size)
    gold = states.first[:-1] + rng.integers(0, 4, 7)
    gold[2] = -1

    def loss(bare, strength, crossing, root):
        return unrolled_gradient(states, gold, bare, pairs, strength, crossing, root, 0.6, steps)

    _, by_bare, by_strength, by_crossing, by_root = loss(bare, strength, 0.4, 0.5)
    tiny = 1e-6
    for i in range(bare.size):
        step = tiny * (np.arange(bare.size) == i)
        slope = (loss(bare + step, strength, 0.4, 0.5)[0] - loss(bare - step, strength, 0.4, 0.5)[0]) / (2 * tiny)
        assert by_bare[i] == pytest.approx(slope, abs=1e-7)
    for b in range(0, strength.size, 5):
        step = tiny * (np.arange(strength.size) == b)
        slope = (loss(bare, strength + step, 0.4, 0.5)[0] - loss(bare, strength - step, 0.4, 0.5)[0]) / (2 * tiny)
        assert by_strength[b] == pytest.approx(slope, abs=1e-7)
    slope = (loss(bare, strength, 0.4 + tiny, 0.5)[0] - loss(bare, strength, 0.4 - tiny, 0.5)[0]) / (2 * tiny)
    assert by_crossing == pytest.approx(slope, abs=1e-7)
    slope = (loss(bare, strength, 0.4, 0.5 + tiny)[0] - loss(bare, strength, 0.4, 0.5 - tiny)[0]) / (2 * tiny)
    assert by_root == pytest.approx(slope, abs=1e-7)


def test_rest_is_where_populations_follow_their_own_field():
    states, rng = random_states(4)
    pairs, strength = coupled(states, rng)
    strength *= 0.3
    bare, shares, energies = rng.normal(size=states.word.size), np.empty((201, states.word.size)), np.empty(201)
    made, at_rest = relax(
        states, bare, pairs, strength, 0.2, 0.3, 0.0, 0.5, 1e-9, 200, shares, energies, np.zeros((0, 8, 3))
    )
    assert at_rest
    assert made < 200
    felt, again = np.empty(bare.size), np.empty(bare.size)
    coupled_field(states, pairs, strength, *bond_orders(states), 0.2, 0.3, shares[made], felt)
    populations(states.first, bare + felt, again)
    np.testing.assert_allclose(again, shares[made], atol=1e-8)
    assert energies[made] < energies[0]


def test_a_strength_is_the_sum_of_its_constants():
    model, one = small_model(), small_treebank()[0]
    sentence = model.encode(one.tokens, one.upos)
    states = model.list_states(sentence, model.log_charges(sentence))
    pairs, kinds = list_pairs(states, True, True)
    out = strengths(states, pairs, kinds, sentence.codes, model.constants, model.sites, model.coupling_bits)
    places = np.empty(max(SIBLINGS, UPBONDS), np.int64)
    for b in range(0, len(pairs), 7):
        count = pair_places(
            states, pairs[b, 0], pairs[b, 1], kinds[b], sentence.codes, model.sites, model.coupling_bits, places
        )
        assert out[b] == pytest.approx(model.constants[places[:count]].sum(), abs=1e-5)
    bare = bare_fields(states, sentence.codes, model.constants, model.sites, model.coupling_bits, False)
    np.testing.assert_allclose(bare, model.constants[0] * states.charge + model.constants[1] * states.fit, atol=1e-6)
