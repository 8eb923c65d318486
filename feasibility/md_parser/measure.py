"""What the experiment `md_parser` measures, stage by stage. Axes: `S` sentences, `N` words.

Every stage draws from its own stream of random numbers, (seed, stream): what is tuned or counted never meets the test.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dynamics import ForceField, Parse, Parser, attachment, chu_liu_edmonds, eisner, greedy, is_tree, load_forcefield
from dynamics.system import pair_charges, type_indices
from feasibility.harness import DataRecord, Metric, Track
from feasibility.intervals import mean_interval, ratio_interval, share_interval
from feasibility.toy_grammar.charges import counted_field, distance_field, permuted, rule_field
from feasibility.toy_grammar.exact import bond_posteriors, viterbi_heads
from feasibility.toy_grammar.rules import Grammar, MalformedGrammar, load_grammar
from feasibility.toy_grammar.sentences import Sentence, label, sample

if TYPE_CHECKING:
    from feasibility.md_parser.experiment import Config

TEST, TRAIN, LONG, PERMUTE, SCALE, TIES = range(6)

# The unrelaxed chain, and a tenth of the default budget; the figure of the steps shows all between and beyond.
MOMENTS = (0, 10)
FORCES = ("attraction", "repulsion", "backbone", "hierarchy", "shadow", "valence")

Decoder = Callable[[NDArray[np.float64]], NDArray[np.int64]]
DECODERS: dict[str, Decoder] = {"greedy": greedy, "cle": chu_liu_edmonds, "eisner": eisner}


class Bench(NamedTuple):
    """What all stages share.

    Args:
        config: of the run.
        grammar: checked.
        field: charges read off the rules, without distance.
        distant: charges read off the rules, with distance: the static rival.
        sentences: the test sentences.
        long: longer ones, or none where the grammar derives none.
        data: which grammar it is.
    """

    config: Config
    grammar: Grammar
    field: ForceField
    distant: ForceField
    sentences: list[Sentence]
    long: list[Sentence]
    data: DataRecord


class Counts(NamedTuple):
    """Right heads of every sentence: three arrays of length S, counts of words."""

    words: NDArray[np.int64]
    heads: NDArray[np.int64]
    labelled: NDArray[np.int64]

    def uas(self) -> float:
        """Words with the right head, in percent."""
        return float(100.0 * self.heads.sum() / self.words.sum())

    def scores(self) -> dict[str, float]:
        """UAS, LAS and the share of sentences that are right as a whole, in percent."""
        las = 100.0 * self.labelled.sum() / self.words.sum()
        return {"uas": self.uas(), "las": float(las), "exact_match": float(100.0 * (self.heads == self.words).mean())}


def prepare(config: Config) -> Bench:
    """Read the grammar, check that it derives the wanted lengths, read the charges off it, draw the test sentences."""
    grammar = load_grammar(config.grammar)
    low, high = config.min_length, config.max_length
    sentences = sample(grammar, config.sentences, low, high, (config.seed, TEST))
    constants = load_forcefield(config.forcefield).constants
    # The charges know the rules, not the lengths of the test: they hold for all sentences up to twice its longest.
    field = rule_field(grammar, constants, 1, 2 * high)
    distant = distance_field(grammar, constants, 1, 2 * high)
    try:
        long = sample(grammar, max(2, config.sentences // 4), high + 1, 2 * high, (config.seed, LONG))
    except MalformedGrammar:
        long = []
    shipped = files("feasibility.toy_grammar").joinpath("toy.toml")
    content = (config.grammar or shipped).read_bytes()
    data = DataRecord(
        "toy grammar" if config.grammar is None else config.grammar.name,
        "toy_grammar.v1",
        hashlib.sha256(content).hexdigest(),
        "MIT" if config.grammar is None else "unknown",
        "shipped" if config.grammar is None else "user",
    )
    return Bench(config, grammar, field, distant, sentences, long, data)


def parse_all(field: ForceField, sentences: Sequence[Sentence], steps: int, record: bool = False) -> list[Parse]:
    """Relax every sentence in a field."""
    parser = Parser(field, steps)
    return [parser.parse(sentence.words, sentence.tags, record) for sentence in sentences]


def count(grammar: Grammar, trees: Sequence[ArrayLike], sentences: Sequence[Sentence]) -> Counts:
    """Compare trees with the gold trees; labels follow from the trees as the grammar says.

    Args:
        grammar: whose labels.
        trees: heads of every sentence, [N] int each.
        sentences: with gold trees.
    """
    rows = []
    for heads, gold in zip(trees, sentences, strict=True):
        heads = np.asarray(heads)
        rows.append(attachment(heads, label(grammar, gold.tags, heads), gold.heads, gold.labels))
    return Counts(*np.array(rows).T)


def decode(decoder: Decoder, field: ForceField, sentences: Sequence[Sentence], seed: int) -> list[NDArray[np.int64]]:
    """Trees of a static decoder on a field's charges; of equal charges the nearer head wins, then chance.

    Charges without distance leave many ties, and nearness is what a body in space goes by: a decoder that threw dice
    would lose to the relaxation for want of a rule that costs nothing.
    """
    rng = np.random.default_rng((seed, TIES))
    trees = []
    for sentence in sentences:
        scores = pair_charges(field, type_indices(field, sentence.tags))
        place = np.arange(len(scores))
        apart = np.abs(place[:, None] - place)
        # ROOT is nowhere in the sentence.
        apart[0] = 0
        trees.append(decoder(scores - 1e-6 * apart + 1e-9 * rng.standard_normal(scores.shape)))
    return trees


def main_metrics(bench: Bench, track: Track) -> tuple[list[Parse], dict[str, Metric]]:
    """Accuracy, convergence and speed of the relaxation itself, with the parses."""
    config, seed = bench.config, bench.config.seed
    parser = Parser(bench.field, config.steps)
    parses, microseconds = [], []
    parser.parse(bench.sentences[0].words, bench.sentences[0].tags)
    for sentence in track(bench.sentences, "relaxing the test sentences"):
        start = time.perf_counter()
        parses.append(parser.parse(sentence.words, sentence.tags))
        microseconds.append(1e6 * (time.perf_counter() - start))
    counts = count(bench.grammar, [parse.heads for parse in parses], bench.sentences)
    # Steps are counted until rest, beyond the budget where it does not suffice: a cap would hide what it should show.
    patient = Parser(bench.field, max(1000, 10 * config.steps))
    steps = [
        parse.steps if parse.converged else patient.parse(s.words, s.tags).steps
        for s, parse in zip(bench.sentences, parses, strict=True)
    ]
    whole, settled = sum(parse.whole for parse in parses), sum(parse.converged for parse in parses)
    return parses, {
        "uas": ratio_interval(counts.heads, counts.words, "%", seed),
        "las": ratio_interval(counts.labelled, counts.words, "%", seed),
        "exact_match": share_interval(int((counts.heads == counts.words).sum()), len(parses)),
        "steps_mean": mean_interval(steps, "steps", seed),
        "steps_p95": percentile(steps, 0.95, "steps"),
        "converged_share": share_interval(settled, len(parses)),
        "coverage": share_interval(whole, len(parses)),
        "flops_per_sentence": mean_interval([parse.flops for parse in parses], "operations", seed),
        "us_per_sentence": mean_interval(microseconds, "us", seed),
    }


def percentile(values: Sequence[float], share: float, unit: str) -> Metric:
    """A quantile with its distribution-free interval from the binomial order statistics.

    Args:
        values: at least one.
        share: 0.95 for the 95th percentile.
        unit: of the values.
    """
    from scipy.stats import quantile_test

    value = float(np.quantile(values, share, method="inverted_cdf"))
    interval = quantile_test(values, q=value, p=share).confidence_interval(0.95)
    # With few values a bound has no order statistic; the extreme value is all that is known then.
    low = float(interval.low) if np.isfinite(interval.low) else float(min(values))
    high = float(interval.high) if np.isfinite(interval.high) else float(max(values))
    return Metric(value, unit, len(values), (min(low, value), max(high, value)), "binomial order statistics")


def decoders(bench: Bench, track: Track) -> tuple[dict[str, dict[str, float]], dict[str, tuple[float, float]]]:
    """What needs no dynamics: two trivial trees, three decoders on two kinds of charges, the grammar itself.

    Returns:
        rows: parser -> its scores.
        intervals: parser -> the 95% interval of its UAS.
    """
    grammar, sentences, seed = bench.grammar, bench.sentences, bench.config.seed
    previous = [np.arange(len(s.tags)) for s in sentences]
    following = [np.append(np.arange(2, len(s.tags) + 1), 0) for s in sentences]
    counts = {"previous": count(grammar, previous, sentences), "next": count(grammar, following, sentences)}
    more: dict[str, dict[str, float]] = {}
    for name, decoder in DECODERS.items():
        for suffix, field in (("", bench.field), ("_distance", bench.distant)):
            trees = decode(decoder, field, sentences, seed)
            counts[name + suffix] = count(grammar, trees, sentences)
            more[name + suffix] = {
                "coverage": 100.0 * float(np.mean([is_tree(tree) for tree in trees])),
                "us_per_sentence": microseconds_of(decoder, field, sentences[:200]),
            }
            if bench.long:
                long = count(grammar, decode(decoder, field, bench.long, seed), bench.long)
                more[name + suffix]["uas_long"] = long.uas()
    for name, exact in (("pcfg", viterbi_heads), ("pcfg_marginals", _most_expected_heads)):
        counts[name] = count(grammar, [exact(grammar, s.tags) for s in track(sentences, f"exact: {name}")], sentences)
        if bench.long:
            more[name] = {"uas_long": count(grammar, [exact(grammar, s.tags) for s in bench.long], bench.long).uas()}
    rows = {name: got.scores() | more.get(name, {}) for name, got in counts.items()}
    return rows, {name: ratio_interval(got.heads, got.words, "%", seed).ci95 for name, got in counts.items()}


def _most_expected_heads(grammar: Grammar, tags: tuple[str, ...]) -> NDArray[np.int64]:
    """The tree with the most right heads that can be expected by anyone who knows the grammar and the tags."""
    heads: NDArray[np.int64] = eisner(bond_posteriors(grammar, tags))
    return heads


def microseconds_of(decoder: Decoder, field: ForceField, sentences: Sequence[Sentence]) -> float:
    """Mean time of a static decoder per sentence, from tags to heads, compiled code only."""
    start = time.perf_counter()
    for sentence in sentences:
        decoder(pair_charges(field, type_indices(field, sentence.tags)))
    return 1e6 * (time.perf_counter() - start) / len(sentences)


def ablations(bench: Bench, baselines: dict[str, dict[str, float]], track: Track) -> None:
    """The relaxation with one thing changed: a force off, no cooling, fewer steps, other charges."""
    steps = bench.config.steps
    fields = {f"without_{force}": bench.field.changed(**{force: 0.0}) for force in FORCES}
    fields["without_charges_and_valence"] = bench.field.changed(attraction=0.0, valence=0.0)
    fields["without_cooling"] = bench.field.changed(cooling_steps=0)
    fields["md_distance"] = bench.distant
    for name, field in track(list(fields.items()), "one force off at a time"):
        baselines[name] = _relaxed_row(bench, field, steps)
    for moment in MOMENTS:
        if moment < steps:
            baselines[f"after_{moment}_steps"] = _relaxed_row(bench, bench.field, moment)


def _relaxed_row(bench: Bench, field: ForceField, steps: int) -> dict[str, float]:
    parses = parse_all(field, bench.sentences, steps)
    taken = [parse.steps for parse in parses]
    row = count(bench.grammar, [parse.heads for parse in parses], bench.sentences).scores()
    row |= {
        "steps_mean": float(np.mean(taken)),
        "steps_p95": float(np.quantile(taken, 0.95, method="inverted_cdf")),
        "converged_share": 100.0 * float(np.mean([parse.converged for parse in parses])),
        "coverage": 100.0 * float(np.mean([parse.whole for parse in parses])),
    }
    return row


def best_static(baselines: dict[str, dict[str, float]]) -> str:
    """The name of the static decoder that finds most heads on the charges of the relaxation."""
    return max(DECODERS, key=lambda name: baselines[name]["uas"])


def controls(
    bench: Bench,
    parses: Sequence[Parse],
    metrics: dict[str, Metric],
    baselines: dict[str, dict[str, float]],
    track: Track,
) -> None:
    """The gain over the best static decoder, random charges, counted charges, longer sentences, and lasting trees."""
    grammar, config, sentences = bench.grammar, bench.config, bench.sentences
    trees = [parse.heads for parse in parses]
    counts = count(grammar, trees, sentences)
    best = best_static(baselines)
    static = count(grammar, decode(DECODERS[best], bench.field, sentences, config.seed), sentences)
    metrics["uas_gain"] = ratio_interval(counts.heads - static.heads, counts.words, "points", config.seed)
    baselines["eisner"]["uas_gain"] = baselines["eisner"]["uas"] - baselines[best]["uas"]

    few = sentences[: max(2, len(sentences) // 5)]
    null: dict[str, list[float]] = {"md": [], "greedy": []}
    for number in track(range(config.permutations), "random charges"):
        field = permuted(bench.field, hash_seed(config.seed, number))
        parsed = [parse.heads for parse in parse_all(field, few, config.steps)]
        null["md"].append(count(grammar, parsed, few).uas())
        null["greedy"].append(count(grammar, decode(greedy, field, few, config.seed), few).uas())
    metrics["uas_permuted"] = mean_interval(null["md"], "%", config.seed)
    baselines["greedy_permuted"] = {"uas_permuted": float(np.mean(null["greedy"]))}

    training = sample(grammar, config.sentences, config.min_length, config.max_length, (config.seed, TRAIN))
    counted = counted_field(grammar, bench.field.constants, training)
    for name, field, tested in (("uas_counted", counted, sentences), ("uas_long", bench.field, bench.long)):
        if tested:
            got = count(grammar, [parse.heads for parse in parse_all(field, tested, config.steps)], tested)
            metrics[name] = ratio_interval(got.heads, got.words, "%", config.seed)
    endless = bench.field.changed(force_tolerance=1e-12)
    same = [
        np.array_equal(later.heads, tree)
        for later, tree in zip(parse_all(endless, few, 10 * config.steps), trees[: len(few)], strict=True)
    ]
    metrics["lasting_share"] = share_interval(sum(same), len(same))


def hash_seed(seed: int, number: int) -> int:
    """An independent seed for the n-th shuffle of a run."""
    return int(np.random.SeedSequence((seed, PERMUTE, number)).generate_state(1)[0])
