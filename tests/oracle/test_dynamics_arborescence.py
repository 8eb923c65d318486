"""Best trees against all trees, and against networkx."""

import itertools

import networkx as nx
import numpy as np
import pytest

from dynamics import chu_liu_edmonds, eisner, greedy, is_tree


def is_tree_plainly(heads: tuple[int, ...]) -> bool:
    graph = nx.DiGraph([(head, word) for word, head in enumerate(heads, 1)])
    return heads.count(0) == 1 and nx.is_arborescence(graph)


def crosses(heads: tuple[int, ...]) -> bool:
    spans = [tuple(sorted((word, head))) for word, head in enumerate(heads, 1)]
    return any(a < c < b < d for a, b in spans for c, d in spans)


TREES = {
    n: [h for h in itertools.product(range(n + 1), repeat=n) if is_tree_plainly(h)] if n < 6 else None
    for n in range(1, 6)
}


def all_trees(n: int) -> list[tuple[int, ...]]:
    """Single-root trees over n words, by Cayley's formula n^(n - 1) of them."""
    if n < 6:
        return TREES[n]
    candidates = np.stack(np.meshgrid(*[np.arange(n + 1)] * n, indexing="ij"), axis=-1).reshape(-1, n)
    candidates = candidates[(candidates == 0).sum(axis=1) == 1]
    return [tuple(h) for h in candidates.tolist() if is_tree(np.array(h))]


def score_of(score, heads):
    return sum(score[head, word] for word, head in enumerate(heads, 1))


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6])
def test_best_trees_are_best_among_all(n):
    trees = all_trees(n)
    assert len(trees) == n ** (n - 1)
    flat = [h for h in trees if not crosses(h)]
    table, flat_table = np.array(trees), np.array(flat)
    rng = np.random.default_rng(n)
    for _ in range(25):
        score = rng.normal(scale=rng.choice([0.1, 3.0, 50.0]), size=(n + 1, n + 1))
        for decoder, allowed in ((chu_liu_edmonds, table), (eisner, flat_table)):
            heads = decoder(score)
            assert is_tree(heads)
            best = score[allowed, np.arange(1, n + 1)].sum(axis=1).max()
            assert score_of(score, heads) == pytest.approx(best, abs=1e-9)
        assert not crosses(tuple(eisner(score).tolist()))


@pytest.mark.parametrize("n", [3, 9, 17])
def test_chu_liu_edmonds_against_networkx(n):
    rng = np.random.default_rng(n)
    for _ in range(3):
        score = rng.normal(size=(n + 1, n + 1))
        best = -np.inf
        # networkx knows no limit on ROOT's children: try each child alone.
        for root in range(1, n + 1):
            graph = nx.DiGraph()
            graph.add_edge(0, root, weight=score[0, root])
            for h, d in itertools.permutations(range(1, n + 1), 2):
                graph.add_edge(h, d, weight=score[h, d])
            tree = nx.maximum_spanning_arborescence(graph, preserve_attrs=True)
            best = max(best, tree.size(weight="weight"))
        assert score_of(score, chu_liu_edmonds(score)) == pytest.approx(best, abs=1e-9)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_is_tree_against_networkx(n):
    for heads in itertools.product(range(n + 1), repeat=n):
        assert is_tree(np.array(heads)) == is_tree_plainly(heads), heads


def test_greedy_takes_the_best_head_and_may_close_a_circle():
    score = np.array([[0.0, 1.0, 1.0], [0.0, 0.0, 5.0], [0.0, 4.0, 0.0]])
    assert greedy(score).tolist() == [2, 1]
    assert not is_tree(greedy(score))
    assert chu_liu_edmonds(score).tolist() == [0, 1]
