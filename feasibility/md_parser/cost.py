"""What parsing costs against the length of the sentence: operations, steps and time of the experiment `md_parser`."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from dynamics import Parser
from feasibility.harness import Metric, Track
from feasibility.md_parser.measure import DECODERS, SCALE, Bench, microseconds_of
from feasibility.toy_grammar.rules import MalformedGrammar
from feasibility.toy_grammar.sentences import Sentence, sample

# Lengths at which cost is measured. The slope is taken where every word has its full list of possible heads.
LENGTHS = (5, 10, 20, 40, 80, 160)


class Cost(NamedTuple):
    """One sentence of the scaling stage.

    Args:
        nominal: the length that was asked for.
        length: its own, a little greater at most.
        flops: operations until rest.
        steps: until rest.
        microseconds: by parser.
    """

    nominal: int
    length: int
    flops: float
    steps: int
    microseconds: dict[str, float]


def cost(bench: Bench, metrics: dict[str, Metric], baselines: dict[str, dict[str, float]], track: Track) -> list[Cost]:
    """Operations and time against sentence length, each relaxed until rest and beyond the budget of steps."""
    rows = [row for length in track(LENGTHS, "cost against length") for row in _cost_at(bench, length)]
    full = 0.8 * bench.field.constants.candidates
    steep = [row for row in rows if row.length >= full] if max(LENGTHS) > 2 * full else rows
    lengths = [row.length for row in steep]
    metrics["cost_exponent"] = slope(lengths, [row.flops for row in steep])
    metrics["cost_exponent_all_lengths"] = slope([row.length for row in rows], [row.flops for row in rows])
    metrics["time_exponent"] = slope(lengths, [row.microseconds["md"] for row in steep])
    baselines["eisner"]["cost_exponent"] = slope(lengths, [eisner_operations(n) for n in lengths]).value
    baselines["greedy"]["cost_exponent"] = slope(lengths, [float(n * n) for n in lengths]).value
    for name in DECODERS:
        baselines[name]["time_exponent"] = slope(lengths, [row.microseconds[name] for row in steep]).value
    return rows


def _cost_at(bench: Bench, length: int) -> list[Cost]:
    parser = Parser(bench.field, 2000)
    rows = []
    for sentence in _sentences_of(bench, length):
        start = time.perf_counter()
        parse = parser.parse(sentence.words, sentence.tags)
        spent = {"md": 1e6 * (time.perf_counter() - start)}
        for name, decoder in DECODERS.items():
            spent[name] = min(microseconds_of(decoder, bench.field, [sentence]) for _ in range(3))
        rows.append(Cost(length, len(sentence.tags), parse.flops, parse.steps, spent))
    return rows


def _sentences_of(bench: Bench, length: int) -> list[Sentence]:
    """Sentences of about this length; where the grammar derives none, test sentences written one after the other."""
    config = bench.config
    try:
        return sample(bench.grammar, config.repeats, length, length + length // 8, (config.seed, SCALE, length))
    except MalformedGrammar:
        rng = np.random.default_rng((config.seed, SCALE, length))
        return [
            _joined([bench.sentences[i] for i in rng.integers(len(bench.sentences), size=length)], length)
            for _ in range(config.repeats)
        ]


def _joined(sentences: Sequence[Sentence], length: int) -> Sentence:
    """The first words of several sentences as if they were one; only its words and tags mean anything."""
    words = tuple(word for sentence in sentences for word in sentence.words)[:length]
    tags = tuple(tag for sentence in sentences for tag in sentence.tags)[:length]
    return Sentence(words, tags, np.zeros(length, np.int64), ("",) * length)


def slope(lengths: Sequence[int], values: Sequence[float]) -> Metric:
    """The exponent b of value = a * length^b, by least squares on logarithms, with Student's interval.

    Args:
        lengths: at least three, not all alike.
        values: positive.
    """
    from scipy.stats import linregress, t

    fit: Any = linregress(np.log(lengths), np.log(values))
    half = float(t.ppf(0.975, len(lengths) - 2) * fit.stderr)
    value = float(fit.slope)
    return Metric(value, "", len(lengths), (value - half, value + half), "least squares on logarithms, Student's t")


def eisner_operations(words: int) -> float:
    """Additions and comparisons of Eisner's algorithm: 2 for each of its 3 * width splits of every span."""
    return float(sum(2 * 3 * width * (words - width) for width in range(1, words)) + 1)
