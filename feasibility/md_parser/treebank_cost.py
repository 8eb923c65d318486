"""What parsing a treebank costs: steps, speed, and both against the length of the sentence, beside exact search."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

from dynamics import Parse, eisner
from dynamics.conllu import Sentence
from feasibility.harness import Metric, Track, exact
from feasibility.intervals import mean_interval, share_interval
from feasibility.md_parser.cost import eisner_operations, slope
from feasibility.md_parser.measure import percentile
from feasibility.md_parser.treebank_measure import Bench, Rows, changed

if TYPE_CHECKING:
    from dynamics.reactive.parser import ReactiveParser

Result = TypeVar("Result")

LENGTHS = (20, 40, 80, 160, 320)
REPEATS = 10
JOINED = 3
FIXED = 8


class Cost(NamedTuple):
    """One sentence of the scaling stage; times in microseconds of one core.

    Args:
        length: words.
        flops: operations of eight steps of the relaxation.
        flops_until_rest: of all its steps, at most those of the budget.
        charges: to score all bonds.
        relaxation: to list the states and to relax them for eight steps.
        until_rest: the same until rest.
        whole: from words to tree.
        eisner: exact search on the charges, once these are there.
    """

    length: int
    flops: float
    flops_until_rest: float
    charges: float
    relaxation: float
    until_rest: float
    whole: float
    eisner: float


def steps_and_speed(bench: Bench, parses: Sequence[Parse], metrics: dict[str, Metric], track: Track) -> None:
    """Steps until rest and sentences a second; the judged sentences are parsed once more, against the clock."""
    steps = [parse.steps for parse in parses]
    metrics["steps_mean"] = mean_interval(steps, "steps", bench.seed)
    metrics["steps_p95"] = percentile(steps, 0.95, "steps")
    metrics["converged_share"] = share_interval(sum(parse.converged for parse in parses), len(parses))
    spent = []
    for s in track(bench.judged, "speed"):
        start = time.process_time()
        bench.parser.parse(s.tokens, s.upos, xpos=s.xpos)
        spent.append(time.process_time() - start)
    mean = mean_interval(spent, "s", bench.seed)
    low, high = (1.0 / end for end in reversed(mean.ci95))
    metrics["sentences_per_second"] = Metric(1.0 / mean.value, "1/s", mean.n, (low, high), mean.method)


def scaling(bench: Bench, metrics: dict[str, Metric], rows: Rows, track: Track) -> list[Cost]:
    """Operations and time against the length, on judged sentences written one after the other until they are long."""
    rng = np.random.default_rng((bench.seed, JOINED))
    # Some texts of several sentences never come to rest, for each has its own root: cost is taken at a number of steps.
    fixed = changed(bench.parser, steps=FIXED, tolerance=0.0)
    texts = [_joined(bench.judged, length, rng) for length in LENGTHS for _ in range(REPEATS)]
    # All texts, and then all of them again: a text that is parsed twice in a row finds all that it needs still at hand,
    # and a short one more of it.
    rounds = [[_cost(bench.parser, fixed, text) for text in texts] for _ in track(range(3), "cost against length")]
    costs = [Cost(*map(min, *same)) for same in zip(*rounds, strict=True)]
    lengths = [cost.length for cost in costs]
    metrics["cost_exponent"] = slope(lengths, [cost.flops for cost in costs])
    metrics["cost_exponent_until_rest"] = slope(lengths, [cost.flops_until_rest for cost in costs])
    metrics["relaxation_time_exponent"] = slope(lengths, [cost.relaxation for cost in costs])
    metrics["pipeline_exponent"] = slope(lengths, [cost.whole for cost in costs])
    operations = slope(lengths, [eisner_operations(n) for n in lengths]).value
    searching = slope(lengths, [cost.charges + cost.eisner for cost in costs]).value
    rows["eisner"] |= {
        "cost_exponent": operations,
        "pipeline_exponent": searching,
        "relaxation_time_exponent": slope(lengths, [cost.eisner for cost in costs]).value,
    }
    metrics["crossover_words"] = exact(crossover(costs), "words", len(costs))
    late = [cost._replace(relaxation=cost.until_rest) for cost in costs]
    metrics["crossover_words_until_rest"] = exact(crossover(late), "words", len(costs))
    return costs


def crossover(costs: Sequence[Cost]) -> float:
    """The length from which on relaxation takes less time than Eisner's algorithm; the longest that was tried if never.

    Interpolated between medians on logarithmic axes.
    """
    lengths = sorted({cost.length for cost in costs})
    ahead = [
        float(np.median([np.log(cost.relaxation / cost.eisner) for cost in costs if cost.length == length]))
        for length in lengths
    ]
    for before, after, low, high in zip(ahead, ahead[1:], lengths, lengths[1:], strict=False):
        if before > 0 >= after:
            share = before / (before - after)
            return float(np.exp(np.log(low) + share * (np.log(high) - np.log(low))))
    return float(lengths[0] if ahead[0] <= 0 else lengths[-1])


def _joined(sentences: Sequence[Sentence], length: int, rng: np.random.Generator) -> Sentence:
    """The first words of several sentences as if they were one; its tree means nothing."""
    tokens, upos, xpos = list[str](), list[str](), list[str]()
    while len(tokens) < length:
        some = sentences[int(rng.integers(len(sentences)))]
        tokens += some.tokens
        upos += some.upos
        xpos += some.xpos or ("_",) * len(some.tokens)
    return Sentence(tuple(tokens[:length]), tuple(upos[:length]), tuple(xpos[:length]), (), ())


def _cost(parser: ReactiveParser, fixed: ReactiveParser, s: Sentence) -> Cost:
    """Measure one sentence."""
    whole, parse = _timed(lambda: parser.parse(s.tokens, s.upos, xpos=s.xpos))
    sentence = parser.model.encode(s.tokens, s.upos, s.xpos)
    charges, scores = _timed(lambda: parser.model.log_charges(sentence))
    listing, states = _timed(lambda: parser.model.list_states(sentence, scores))
    square = parser.charges(s.tokens, s.upos, xpos=s.xpos)
    return Cost(
        length=len(s.tokens),
        flops=fixed.parse(s.tokens, s.upos, xpos=s.xpos).flops,
        flops_until_rest=parse.flops,
        charges=charges,
        relaxation=listing + _timed(lambda: fixed.relax(sentence, states))[0],
        until_rest=listing + _timed(lambda: parser.relax(sentence, states))[0],
        whole=whole,
        eisner=_timed(lambda: eisner(square))[0],
    )


def _timed(action: Callable[[], Result]) -> tuple[float, Result]:
    """Microseconds of CPU time, in which other work on the machine does not count, and the result."""
    start = time.process_time()
    result = action()
    return max(1.0, 1e6 * (time.process_time() - start)), result
