"""The sparse form of Eisner's algorithm against the dense one, which is tested against all trees there are."""

import numpy as np
import pytest

from dynamics.arborescence import eisner
from dynamics.projective import sparse_eisner

NEVER = -1e3


def some_bonds(seed, words, most):
    rng = np.random.default_rng(seed)
    count, head = np.zeros(words + 1, np.int64), np.zeros((words + 1, most), np.int64)
    score, root = rng.random((words + 1, most)), rng.random(words + 1)
    for d in range(1, words + 1):
        others = [h for h in rng.permutation(words + 1)[:most] if h != d]
        count[d] = len(others)
        head[d, : len(others)] = sorted(others)
    return count, head, score, root


def as_square(count, head, score, root):
    square = np.full((len(root), len(root)), NEVER)
    for d in range(1, len(root)):
        square[[h for h in (d - 1, d + 1) if 1 <= h < len(root)], d] = 0.0
        square[head[d, : count[d]], d] = score[d, : count[d]]
    square[0] = root
    return square


@pytest.mark.parametrize("words", [1, 2, 3, 5, 9, 30])
@pytest.mark.parametrize("most", [1, 4])
def test_it_finds_what_the_dense_algorithm_finds(words, most):
    for seed in range(20):
        bonds = some_bonds(seed, words, most)
        square = as_square(*bonds)
        found, expected = sparse_eisner(*bonds), eisner(square)
        words_in_order = np.arange(1, words + 1)
        assert square[found, words_in_order].sum() == pytest.approx(square[expected, words_in_order].sum())
        assert (found == 0).sum() == 1


def test_without_any_bond_there_still_is_a_tree():
    nothing = np.zeros(6, np.int64), np.zeros((6, 1), np.int64), np.zeros((6, 1)), np.arange(6.0)
    heads = sparse_eisner(*nothing)
    assert heads.tolist() == [2, 3, 4, 5, 0]
