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
    list_crossings,
    populations,
)
from dynamics.reactive.couplings import SIBLINGS, UPBONDS, bare_fields, list_pairs, pair_places, strengths
from dynamics.reactive.relaxation import free_energy, link, relax
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


def all_pairs(states, siblings=True, upbonds=True):
    return list_pairs(states, siblings, upbonds, np.zeros(states.word.size), 0.0, 99)


def coupled(states, rng):
    pairs, _ = all_pairs(states)
    return pairs, rng.normal(size=len(pairs))


def linked(states, pairs, strength, crossing):
    """Links of all pairs and of all crossings that are not ROOT's."""
    crossed = list_crossings(states, np.zeros(states.word.size), 0.0, 99)
    return link(states.word.size, pairs, strength, crossed, crossing)


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
    pairs, kinds = all_pairs(states)
    found = {(int(i), int(j), int(kind)) for (i, j), kind in zip(pairs, kinds, strict=True)}
    expected = set()
    for i, j in itertools.permutations(range(states.word.size), 2):
        if states.head[i] == states.head[j] != 0 and states.word[i] < states.word[j]:
            expected.add((i, j, 0))
        if states.head[i] == states.word[j]:
            expected.add((i, j, 1))
    assert found == expected
    assert len(pairs) == len(expected)
    assert set(all_pairs(states, siblings=False)[1]) == {1}
    assert set(all_pairs(states, upbonds=False)[1]) == {0}


def test_faint_pairs_and_far_siblings_feel_nothing():
    states, rng = random_states(6)
    shares = rng.random(states.word.size)
    pairs, kinds = all_pairs(states)
    firm = np.maximum(shares[pairs[:, 0]], shares[pairs[:, 1]]) >= 0.6
    near = (kinds == 1) | (np.abs(states.word[pairs[:, 0]] - states.word[pairs[:, 1]]) <= 2)
    some, _ = list_pairs(states, True, True, shares, 0.6, 2)
    assert 0 < len(some) < len(pairs)
    assert sorted(map(tuple, some)) == sorted(map(tuple, pairs[firm & near]))


@pytest.mark.parametrize(("firm", "longest"), [(0.0, 99), (0.5, 99), (0.5, 3)])
def test_listed_crossings_are_those_that_one_counts(firm, longest):
    states, rng = random_states(7, words=12)
    shares = rng.random(states.word.size)
    spans = [(min(h, d), max(h, d)) for h, d in zip(states.head, states.word, strict=True)]
    expected = {
        (i, j)
        for (i, (a, b)), (j, (c, d)) in itertools.combinations(enumerate(spans), 2)
        if (a < c < b < d or c < a < d < b)
        and min(a, c) > 0
        and max(b - a, d - c) <= longest
        and max(shares[i], shares[j]) >= firm
    }
    found = [tuple(sorted(pair)) for pair in list_crossings(states, shares, firm, longest).tolist()]
    assert set(found) == expected
    assert len(found) == len(expected) > 10


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


def relaxed(states, bare, links, root, tolerance, steps, damping=0.5):
    shares, energies = np.empty((steps + 1, bare.size)), np.empty(steps + 1)
    nowhere = np.zeros((0, states.first.size, 3))
    made, at_rest, used, moved = relax(
        states, bare, links, root, 0.0, damping, tolerance, steps, shares, energies, nowhere
    )
    return shares[: made + 1], energies[: made + 1], at_rest, used, moved


def test_rest_is_where_populations_follow_their_own_field():
    states, rng = random_states(4)
    states.head[states.head == 0] = states.word[states.head == 0] % 7 + 1
    pairs, strength = coupled(states, rng)
    strength *= 0.3
    bare = rng.normal(size=states.word.size)
    shares, energies, at_rest, _, _ = relaxed(states, bare, linked(states, pairs, strength, 0.2), 0.3, 1e-9, 200)
    assert at_rest
    assert len(shares) < 201
    felt, again = np.empty(bare.size), np.empty(bare.size)
    coupled_field(states, pairs, strength, *bond_orders(states), 0.2, 0.3, shares[-1], felt)
    populations(states.first, bare + felt, again)
    np.testing.assert_allclose(again, shares[-1], atol=1e-8)
    assert energies[-1] < energies[0]


def test_a_swing_dies_out():
    """Two words that both want to ROOT, but not together, step aside and come back at the same time."""
    first, word, head = np.array([0, 2, 4]), np.array([1, 1, 2, 2]), np.array([0, 2, 0, 1])
    states = States(first, word, head, np.array([0, 1, 0, 4]), np.zeros(4), np.zeros(4))
    links = linked(states, np.zeros((0, 2), np.int64), np.zeros(0), 0.0)
    bare = np.array([6.5, 0.0, 6.5, 0.0])
    shares, _, at_rest, _, _ = relaxed(states, bare, links, 12.0, 1e-2, 49, damping=0.75)
    assert not at_rest
    assert abs(shares[-1] - shares[-2]).max() > 0.3
    shares, _, at_rest, _, _ = relaxed(states, bare, links, 12.0, 1e-2, 100, damping=0.75)
    assert at_rest
    np.testing.assert_allclose(shares[-1][0], 1 / (1 + np.exp(12.0 * shares[-1][2] - 6.5)), atol=0.02)


def test_words_at_rest_are_left_alone_and_it_does_not_show():
    states, rng = random_states(8, words=60)
    states.head[:] = np.clip(states.word + rng.choice([-2, -1, 1, 2], states.word.size), 1, 60)
    states.head[states.head == states.word] -= 1
    pairs, strength = coupled(states, rng)
    bare, links = rng.normal(size=states.word.size), linked(states, pairs, 0.5 * strength, 0.2)
    # Most words have made up their minds.
    bare[states.first[10:-1]] += 15.0
    lazy, energies, at_rest, used, _ = relaxed(states, bare, links, 0.3, 1e-2, 100)
    steps = len(lazy) - 1
    every, exact, _, all_used, moved = relaxed(states, bare, links, 0.3, 0.0, steps)
    assert at_rest
    assert used < 0.8 * all_used
    assert moved == steps * bare.size
    np.testing.assert_allclose(lazy[-1], every[-1], atol=2e-3)
    assert energies[-1] == pytest.approx(exact[-1], abs=2e-3)


def test_a_strength_is_the_sum_of_its_constants():
    model, one = small_model(), small_treebank()[0]
    sentence = model.encode(one.tokens, one.upos)
    states = model.list_states(sentence, model.log_charges(sentence))
    pairs, kinds = all_pairs(states)
    known = model.constants_for_kernels
    out = strengths(states, pairs, kinds, sentence.codes, known, model.sites, model.coupling_bits, True)
    bare = strengths(states, pairs, kinds, sentence.codes, known, model.sites, model.coupling_bits, False)
    places = np.empty(max(SIBLINGS, UPBONDS), np.int64)
    for b in range(0, len(pairs), 7):
        count = pair_places(
            states, pairs[b, 0], pairs[b, 1], kinds[b], sentence.codes, model.sites, model.coupling_bits, places
        )
        assert out[b] == pytest.approx(model.constants[places[:count]].sum(), abs=1e-5)
        # Without details the two sites decide.
        assert bare[b] == model.constants[places[0]]
    bare = bare_fields(states, sentence.codes, known, model.sites, model.coupling_bits, False)
    np.testing.assert_allclose(bare, model.constants[0] * states.charge + model.constants[1] * states.fit, atol=1e-6)
