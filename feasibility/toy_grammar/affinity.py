"""How often the rules bond two tags, and how often two tags meet at all: exact expectations, no corpus.

Axes: `X` symbols, `T` tags, `N` words of the longest sentence. Tables over distance have 2 N + 1 columns: column
N + k is a dependent that stands k words to the right of its head, column N - k one to its left.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from feasibility.toy_grammar.rules import Grammar, Step
from feasibility.toy_grammar.sentences import check_lengths, inside_lengths


class Expected(NamedTuple):
    """Expected numbers per sentence drawn from the grammar, given that its length lies in the range.

    Args:
        bonds: [T, T, 2 N + 1] float64, bonds by head tag, dependent tag and signed distance.
        pairs: [T, T, 2 N + 1] float64, pairs of words by first tag, second tag and signed distance, bonded or not.
        roots: [T] float64, heads of the whole sentence by tag; they sum to 1.
        words: [T] float64, words by tag.
    """

    bonds: NDArray[np.float64]
    pairs: NDArray[np.float64]
    roots: NDArray[np.float64]
    words: NDArray[np.float64]


def expected(grammar: Grammar, shortest: int, longest: int) -> Expected:
    """Compute the expectations by dynamic programming over lengths.

    Two words part at exactly one step of a derivation, the one that puts them into different children. They are
    bonded there if both are the head words of their children.

    Args:
        grammar: checked.
        shortest: number of words, inclusive.
        longest: number of words, inclusive.

    Raises:
        MalformedGrammar: no sentence has such a length.

    Cost: O(R * N^4 * T^2) for R steps.

    Source: ours; inside-outside over lengths.
    """
    total = float(check_lengths(grammar, shortest, longest).sum())
    inside = inside_lengths(grammar, longest)
    heads, words = _where_words_stand(grammar, inside)
    outside = np.zeros_like(inside)
    start = grammar.symbols.index(grammar.start)
    outside[start, shortest:] = 1.0 / total
    T, N = len(grammar.tags), longest
    bonds, pairs = np.zeros((T, T, 2 * N + 1)), np.zeros((T, T, 2 * N + 1))
    for size in range(N, 0, -1):
        # Parents before children: the reverse of the order in which the inside pass finishes them.
        for step in reversed(grammar.steps):
            above = outside[step.left, size] * step.probability
            if step.second < 0:
                outside[step.first, size] += above
                continue
            for cut in range(1, size):
                outside[step.first, cut] += above * inside[step.second, size - cut]
                outside[step.second, size - cut] += above * inside[step.first, cut]
                if above * inside[step.first, cut] * inside[step.second, size - cut] > 0.0:
                    _add_meetings(step, above, cut, size, heads, words, bonds, pairs)
    return Expected(
        bonds, pairs, heads[start, shortest:].sum(axis=(0, 1)) / total, words[start, shortest:].sum(axis=(0, 1)) / total
    )


def _where_words_stand(
    grammar: Grammar, inside: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """[X, N + 1, N, T] twice: how probable a symbol's head word, and any word, has a place and a tag at a length."""
    X, N, T = inside.shape[0], inside.shape[1] - 1, len(grammar.tags)
    heads, words = np.zeros((X, N + 1, N, T)), np.zeros((X, N + 1, N, T))
    for tag in range(T):
        heads[tag, 1, 0, tag] = words[tag, 1, 0, tag] = 1.0
    for size in range(1, N + 1):
        for step in grammar.steps:
            left, first, second, p = step.left, step.first, step.second, step.probability
            if second < 0:
                heads[left, size] += p * heads[first, size]
                words[left, size] += p * words[first, size]
                continue
            for cut in range(1, size):
                front, back = p * inside[second, size - cut], p * inside[first, cut]
                words[left, size, :cut] += front * words[first, cut, :cut]
                words[left, size, cut:size] += back * words[second, size - cut, : size - cut]
                if step.head_first:
                    heads[left, size, :cut] += front * heads[first, cut, :cut]
                else:
                    heads[left, size, cut:size] += back * heads[second, size - cut, : size - cut]
    return heads, words


def _add_meetings(
    step: Step,
    above: float,
    cut: int,
    size: int,
    heads: NDArray[np.float64],
    words: NDArray[np.float64],
    bonds: NDArray[np.float64],
    pairs: NDArray[np.float64],
) -> None:
    """Add the bonds and pairs between the two children of one step at one cut, by signed distance."""
    middle, rest = bonds.shape[2] // 2, size - cut
    for p in range(cut):
        # The word at p meets those of the second child at the distances near, near + 1, ...
        near = cut - p
        right = slice(middle + near, middle + near + rest)
        left = slice(middle - near, middle - near - rest, -1)
        bond = above * np.einsum("t,qu->tuq", heads[step.first, cut, p], heads[step.second, rest, :rest])
        if step.head_first:
            bonds[:, :, right] += bond
        else:
            bonds[:, :, left] += bond.transpose(1, 0, 2)
        pair = above * np.einsum("t,qu->tuq", words[step.first, cut, p], words[step.second, rest, :rest])
        pairs[:, :, right] += pair
        pairs[:, :, left] += pair.transpose(1, 0, 2)
