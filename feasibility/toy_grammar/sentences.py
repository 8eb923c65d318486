"""Sentences with gold trees, drawn exactly from a grammar given that their length lies in a range."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feasibility.toy_grammar.rules import Grammar, MalformedGrammar


@dataclass(frozen=True)
class Sentence:
    """One sentence and its gold dependency tree.

    Args:
        words: as many as there are tags.
        tags: of the grammar's lexicon.
        heads: [N] int64, the place of each word's head counted from 1; 0 is ROOT.
        labels: of each word's bond to its head.
    """

    words: tuple[str, ...]
    tags: tuple[str, ...]
    heads: NDArray[np.int64]
    labels: tuple[str, ...]


def inside_lengths(grammar: Grammar, longest: int) -> NDArray[np.float64]:
    """How probable it is that a symbol becomes exactly so many words.

    inside[X, n] = sum over steps X -> Y Z of p * sum_k inside[Y, k] * inside[Z, n - k]

    Args:
        grammar: checked.
        longest: the greatest length of interest.

    Returns:
        [symbols, longest + 1] float64.

    Cost: O(steps * longest^2).
    """
    inside = np.zeros((len(grammar.symbols), longest + 1))
    inside[: len(grammar.tags), 1] = 1.0
    for length in range(1, longest + 1):
        # Both children of a pair are shorter than the whole; one-child steps come last and in order.
        for step in grammar.steps:
            if step.second < 0:
                inside[step.left, length] += step.probability * inside[step.first, length]
            else:
                pairs = inside[step.first, 1:length] @ inside[step.second, length - 1 : 0 : -1]
                inside[step.left, length] += step.probability * pairs
    return inside


def check_lengths(grammar: Grammar, shortest: int, longest: int) -> NDArray[np.float64]:
    """The probabilities of the lengths shortest..longest of a whole sentence, which sum to at most 1.

    Returns:
        [longest - shortest + 1] float64.

    Raises:
        MalformedGrammar: the range is empty, or the grammar derives no sentence of any length in it.
    """
    if not 1 <= shortest <= longest:
        raise MalformedGrammar(f"sentence lengths {shortest} to {longest}: expected 1 <= shortest <= longest")
    start = grammar.symbols.index(grammar.start)
    lengths = inside_lengths(grammar, longest)[start]
    if lengths[shortest:].sum() == 0.0:
        possible = np.flatnonzero(inside_lengths(grammar, 4 * longest)[start])[:8]
        known = ", ".join(map(str, possible)) if possible.size else f"none up to {4 * longest}"
        raise MalformedGrammar(
            f"{grammar.name}: derives no sentence of {shortest} to {longest} words "
            f"(shortest possible lengths: {known}); change the lengths or add rules"
        )
    return np.asarray(lengths[shortest:])


def sample(grammar: Grammar, count: int, shortest: int, longest: int, seed: int | Sequence[int]) -> list[Sentence]:
    """Draw sentences independently from the grammar, given that each has shortest to longest words.

    Args:
        grammar: checked.
        count: how many sentences.
        shortest: number of words, inclusive.
        longest: number of words, inclusive.
        seed: equal seeds, equal sentences; a sequence such as (seed, stream) gives independent streams.

    Raises:
        MalformedGrammar: no sentence has such a length; found exactly, without drawing.

    Cost: O(count * longest * steps * longest).

    Source: ours; the usual inside-weighted top-down draw.
    """
    lengths = check_lengths(grammar, shortest, longest)
    inside = inside_lengths(grammar, longest)
    rng = np.random.default_rng(seed)
    drawn = rng.choice(np.arange(shortest, longest + 1), size=count, p=lengths / lengths.sum())
    return [_draw(grammar, inside, int(length), rng) for length in drawn]


def _draw(grammar: Grammar, inside: NDArray[np.float64], length: int, rng: np.random.Generator) -> Sentence:
    """One sentence of exactly this length: expand spans from the left, each step by its share of the inside weight."""
    heads = np.zeros(length, dtype=np.int64)
    tags: list[int] = [0] * length

    def expand(symbol: int, begin: int, size: int) -> int:
        """Fill words begin..begin+size and return the head word's place, counted from 0."""
        if symbol < len(grammar.tags):
            tags[begin] = symbol
            return begin
        choices = [
            (step, left)
            for step in grammar.steps
            if step.left == symbol
            for left in (range(1, size) if step.second >= 0 else (size,))
        ]
        weights = np.array(
            [
                step.probability
                * inside[step.first, left]
                * (inside[step.second, size - left] if step.second >= 0 else 1)
                for step, left in choices
            ]
        )
        step, left = choices[rng.choice(len(choices), p=weights / weights.sum())]
        first = expand(step.first, begin, left)
        if step.second < 0:
            return first
        second = expand(step.second, begin + left, size - left)
        head, dependent = (first, second) if step.head_first else (second, first)
        heads[dependent] = head + 1
        return head

    expand(grammar.symbols.index(grammar.start), 0, length)
    names = tuple(grammar.tags[tag] for tag in tags)
    words = tuple(str(rng.choice(grammar.lexicon[name].words)) for name in names)
    return Sentence(words, names, heads, label(grammar, names, heads))


def label(grammar: Grammar, tags: tuple[str, ...], heads: NDArray[np.int64]) -> tuple[str, ...]:
    """The labels of a tree: a function of the head's tag, the word's own tag, and its side; "dep" where no rule says.

    Args:
        grammar: whose labels.
        tags: [N].
        heads: [N] int64, counted from 1; 0 is ROOT and gives "root".
    """
    return tuple(
        "root" if head == 0 else grammar.labels.get((tags[head - 1], tag, "left" if place < head else "right"), "dep")
        for place, (tag, head) in enumerate(zip(tags, heads.tolist(), strict=True), 1)
    )
