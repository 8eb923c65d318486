"""The exact law of the next word, against sums over whole sentences, another implementation, and counts."""

from __future__ import annotations

from contextlib import suppress
from functools import cache

import numpy as np
import pytest

from feasibility.toy_world.exact import Law, NotInWorld
from feasibility.toy_world.grammar import World, build_world
from feasibility.toy_world.sampling import LONGEST, SHORTEST, draw

WORLD = build_world()
SENTENCES = draw(WORLD, 60, 7)
END = 100


def chosen(law: np.ndarray) -> np.ndarray:
    """[S, 11] probability of what does follow; 1 after the end."""
    after = np.pad(SENTENCES.places, ((0, 0), (0, 1)), constant_values=-1)
    after[np.arange(60), SENTENCES.lengths] = END
    picked = np.take_along_axis(law, np.maximum(after, 0)[..., None], axis=2)[..., 0]
    return np.where(after >= 0, picked, 1.0)


def test_next_word_laws_sum_to_one_and_multiply_to_the_sentence() -> None:
    law = Law(WORLD)
    rows = law.next_word(SENTENCES.places, SENTENCES.lengths)
    inside = np.arange(LONGEST + 1) <= SENTENCES.lengths[:, None]
    assert np.abs(rows.sum(axis=2)[inside] - 1.0).max() < 1e-9
    assert not rows[~inside].any()
    whole = law.log_probability(SENTENCES.places, SENTENCES.lengths)
    assert np.abs(np.log(chosen(rows)).sum(axis=1) - whole).max() < 1e-9


@cache
def rules_by_symbol(world: World) -> dict[int, list[tuple[list[int], float]]]:
    rules: dict[int, list[tuple[list[int], float]]] = {}
    for table, ps in ((world.binary, world.binary_p), (world.unary, world.unary_p)):
        for (left, *right), p in zip(table.tolist(), ps.tolist(), strict=True):
            rules.setdefault(left, []).append((right, p))
    return rules


def inside_by_recursion(world: World, sentence: tuple[int, ...]) -> float:
    """The textbook recursion over spans, one symbol at a time, without any table of ours."""
    rules = rules_by_symbol(world)

    @cache
    def score(symbol: int, begin: int, end: int) -> float:
        if symbol < len(world.emission):
            return float(world.emission[symbol, sentence[begin]]) if end == begin + 1 else 0.0
        total = 0.0
        for (first, *second), p in rules[symbol]:
            if second:
                total += sum(p * score(first, begin, k) * score(second[0], k, end) for k in range(begin + 1, end))
            else:
                total += p * score(first, begin, end)
        return total

    return score(world.start, 0, len(sentence))


def test_sentences_against_the_recursion() -> None:
    law = Law(WORLD)
    ours = np.exp(law.log_probability(SENTENCES.places[:4], SENTENCES.lengths[:4])) * law.normaliser()
    sentences = [tuple(map(int, row[:n])) for row, n in zip(SENTENCES.places[:4], SENTENCES.lengths[:4], strict=True)]
    theirs = [inside_by_recursion(WORLD, sentence) for sentence in sentences]
    assert ours == pytest.approx(theirs, rel=1e-12)


def test_the_last_words_against_all_ways_to_end() -> None:
    """After 9 words there is one more or none: every sentence that can follow is written out."""
    row = int(np.flatnonzero(SENTENCES.lengths == LONGEST)[0])
    law, prefix = Law(WORLD), SENTENCES.places[row : row + 1].copy()
    prefix[0, 9] = -1
    endings = np.repeat(prefix, 100, axis=0)
    endings[:, 9] = np.arange(100)
    scores = np.zeros(101)
    for place, (ending, length) in enumerate([*((ending, 10) for ending in endings), (prefix[0], 9)]):
        with suppress(NotInWorld):
            scores[place] = np.exp(law.log_probability(ending[None], np.array([length]))[0])
    assert (scores > 0).sum() > 1
    expected = scores / scores.sum()
    assert law.next_word(prefix, np.array([9]))[0, 9] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("hold", [False, True])
def test_the_law_against_counts(hold: bool) -> None:
    held = np.zeros(100, bool)
    held[::7] = hold
    sample = draw(WORLD, 60_000, 11, held)
    law = Law(WORLD, ~held)
    none = np.full((1, LONGEST), -1)
    first = law.next_word(none, np.zeros(1, int))[0, 0]
    counts = np.bincount(sample.places[:, 0], minlength=101) / 60_000
    assert not first[:100][held].any()
    assert np.abs(counts - first).max() < 4 * np.sqrt(0.25 / 60_000)
    begun = sample.places[:, 0] == np.argmax(first)
    prefix = none.copy()
    prefix[0, 0] = np.argmax(first)
    second = law.next_word(prefix, np.ones(1, int))[0, 1]
    counts = np.bincount(sample.places[begun, 1], minlength=101) / begun.sum()
    assert np.abs(counts - second).max() < 4 * np.sqrt(0.25 / begun.sum())


def test_the_entropy_is_what_sentences_cost() -> None:
    """Mean code length of many sentences against the mean entropy of few: two estimates of the floor."""
    sample = draw(WORLD, 5_000, 13)
    law = Law(WORLD)
    code = -law.log_probability(sample.places, sample.lengths)
    rows = law.next_word(sample.places[:300], sample.lengths[:300])
    entropy = -(rows * np.log(np.where(rows > 0, rows, 1.0))).sum(axis=(1, 2))
    tokens = sample.lengths + 1
    floors = code.sum() / tokens.sum(), entropy.sum() / tokens[:300].sum()
    assert abs(floors[0] - floors[1]) < 0.04
    assert 1.5 < floors[0] < 2.2


def test_all_worlds_have_the_same_law() -> None:
    args = SENTENCES.places[:10], SENTENCES.lengths[:10]
    assert np.array_equal(Law(WORLD).log_probability(*args), Law(build_world(0.0)).log_probability(*args))


def test_lengths_are_those_of_the_truncated_grammar() -> None:
    sample = draw(WORLD, 40_000, 17)
    law = Law(WORLD)
    assert 0.1 < law.normaliser() < 1.0
    assert sample.lengths.min() == SHORTEST
    assert sample.lengths.max() == LONGEST
