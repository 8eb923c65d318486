"""The rivals of `md_parser` against definitions: the oracle against all ways to go on, averages against plain ones."""

import itertools

import numpy as np
import pytest

from dynamics import is_tree
from dynamics.conllu import Sentence
from feasibility.md_parser.rivals_graph import (
    arc_features,
    arc_scores,
    frames,
    label_graph,
    parse_graph,
    tags_between,
    train_graph,
)
from feasibility.md_parser.rivals_hash import SIZE, averaged, encode
from feasibility.md_parser.rivals_transition import (
    LEFT,
    RIGHT,
    SHIFT,
    allowed,
    costs,
    gold_frame,
    parse_transition,
    train_transition,
)
from feasibility.toy_grammar.rules import load_grammar
from feasibility.toy_grammar.sentences import sample


def projective_trees(n):
    """All heads of n words that are one tree without crossing arcs, an arc from ROOT being one too."""
    for heads in itertools.product(range(n + 1), repeat=n):
        tree = np.array(heads)
        if is_tree(tree):
            arcs = [(min(h, d), max(h, d)) for d, h in enumerate(heads, 1) if h]
            root = heads.index(0) + 1
            crossing = any(a < c < b < d for a, b in arcs for c, d in arcs)
            if not crossing and not any(a < root < b for a, b in arcs):
                yield tree


def after(move, stack, front, heads):
    """The configuration that a move leads to: stack, next word, arcs so far."""
    if move == SHIFT:
        return (*stack, front), front + 1, heads
    *rest, word = stack
    head = front if move == LEFT else rest[-1]
    return tuple(rest), front, {**heads, word: head}


def moves(stack, front, n):
    return [move for move in (SHIFT, LEFT, RIGHT) if allowed(len(stack), front, n)[move]]


def free_moves(stack, front, n):
    """All moves of the system itself, in which ROOT may take several children."""
    return [SHIFT] * (front <= n) + [LEFT] * (len(stack) > 0) + [RIGHT] * (len(stack) > 1)


def least_wrong(stack, front, heads, gold, n, moves=free_moves):
    """The fewest wrong heads of all ways to go on."""
    if front == n + 1 and not stack:
        return sum(heads[d] != gold[d] for d in range(1, n + 1))
    return min(least_wrong(*after(move, stack, front, heads), gold, n, moves) for move in moves(stack, front, n))


def asked(stack, front, gold):
    return costs(np.array([*stack, 0], np.int64), len(stack), front, gold)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_moves_without_cost_lead_to_every_projective_tree_and_others_do_not(n):
    for tree in projective_trees(n):
        gold = gold_frame(tree)
        frontier, ends = [((), 1, {})], 0
        while frontier:
            stack, front, heads = frontier.pop()
            if front == n + 1 and not stack:
                assert [heads[d] for d in range(1, n + 1)] == gold[1:-1].tolist()
                ends += 1
                continue
            lost = asked(stack, front, gold)
            assert min(lost[move] for move in moves(stack, front, n)) == 0
            for move in moves(stack, front, n):
                following = after(move, stack, front, heads)
                assert (lost[move] == 0) == (least_wrong(*following, gold, n, moves) == 0)
                if lost[move] == 0:
                    frontier.append(following)
        assert ends >= 1


def test_the_oracle_is_exact_after_errors_too():
    n, rng, seen = 4, np.random.default_rng(0), 0
    trees = list(projective_trees(n))
    for _ in range(60):
        gold = gold_frame(trees[rng.integers(len(trees))])
        stack, front, heads = (), 1, {}
        while front <= n or stack:
            before, lost = least_wrong(stack, front, heads, gold, n), asked(stack, front, gold)
            for move in free_moves(stack, front, n):
                assert lost[move] == least_wrong(*after(move, stack, front, heads), gold, n) - before
                seen += lost[move] > 0
            stack, front, heads = after(rng.choice(free_moves(stack, front, n)), stack, front, heads)
    assert seen > 100


def test_averaging_is_the_mean_over_time():
    rng = np.random.default_rng(1)
    weights, drift, history = np.zeros(5, np.float32), np.zeros(5), []
    for time in range(40):
        change = rng.integers(-1, 2, 5)
        weights += change
        drift += change * time
        history.append(weights.copy())
    # A change at time t has not been there during the t moments before.
    np.testing.assert_allclose(averaged(weights, drift, 40), np.mean(history, axis=0), atol=1e-6)


def test_scores_of_all_arcs_are_the_sums_of_their_own_features():
    bank = encode(
        [Sentence(tuple("abcdef"), ("NOUN", "VERB", "DET", "ADV", "VERB", "X"), (), (2, 0, 6, 5, 2, 5), ("x",) * 6)]
    )
    weights = np.random.default_rng(2).standard_normal(SIZE).astype(np.float32)
    scores = arc_scores(bank.word, bank.ending, bank.upos, bank.xpos, bank.bit, weights)
    framing = frames(bank.word, bank.ending, bank.upos, bank.xpos)
    found = np.empty(200, np.int64)
    for h, d in ((0, 3), (2, 6), (6, 2), (5, 4), (0, 1)):
        count = arc_features(framing, tags_between(bank.bit, h, d), h, d, found)
        assert scores[h, d] == pytest.approx(weights[found[:count] & (SIZE - 1)].sum(dtype=float), rel=1e-5)
    between = tags_between(bank.bit, 2, 6)
    assert bin(between & ((1 << 18) - 1)).count("1") == 3
    assert between >> 18 == 1, "one verb, no punctuation"
    assert tags_between(bank.bit, 0, 1) == tags_between(bank.bit, 4, 3) == 0


@pytest.fixture(scope="module")
def toy():
    grammar = load_grammar()
    drawn = sample(grammar, 400, 4, 10, (0, 99))
    upos = [tuple(grammar.lexicon[tag].upos for tag in s.tags) for s in drawn]
    sentences = [
        Sentence(s.words, u, s.tags, tuple(s.heads.tolist()), s.labels) for s, u in zip(drawn, upos, strict=True)
    ]
    train = encode(sentences[:300])
    return train, encode(sentences[300:], train.labels)


@pytest.mark.parametrize("passive", [False, True])
def test_the_graph_rivals_learn_trees_and_labels(toy, passive):
    train, test = toy
    model = train_graph(train, seed=0, epochs=3, passive=passive)
    heads = parse_graph(model, test)
    assert (heads == test.head).mean() > 0.94
    assert (label_graph(model, test, test.head) == test.label).mean() == 1.0
    assert all(is_tree(heads[a:b]) for a, b in itertools.pairwise(test.start))
    again = train_graph(train, seed=0, epochs=3, passive=passive)
    np.testing.assert_array_equal(model.arcs, again.arcs)


def test_the_transition_rival_learns_and_always_gives_trees(toy):
    train, test = toy
    weights = train_transition(train, seed=0, epochs=4)
    heads = parse_transition(weights, test)
    assert (heads == test.head).mean() > 0.93
    untrained = parse_transition(np.zeros_like(weights), test)
    for tree in (heads, untrained):
        assert all(is_tree(tree[a:b]) for a, b in itertools.pairwise(test.start))
    np.testing.assert_array_equal(weights, train_transition(train, seed=0, epochs=4))
