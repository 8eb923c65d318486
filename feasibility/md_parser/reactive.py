"""The reactive mode on the toy grammar: what bonds learn of each other from sentences, where forces read the rules.

It learns in a process of its own, beside the forces: most of a first run is compiling, which one core does for each.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
import signal
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from dynamics import eisner, greedy
from dynamics.conllu import Sentence as Row
from dynamics.reactive.model import Model
from dynamics.reactive.parser import ReactiveParser
from dynamics.reactive.reaction import read_heads
from dynamics.reactive.store import load
from dynamics.reactive.train import Settings, train
from feasibility.harness import Metric, Track
from feasibility.intervals import mean_interval, ratio_interval, share_interval
from feasibility.md_parser.measure import Bench, Counts, prepare
from feasibility.toy_grammar.rules import MalformedGrammar
from feasibility.toy_grammar.sentences import Sentence, sample

if TYPE_CHECKING:
    from feasibility.md_parser.experiment import Config

REACTIVE = 6
# A toy needs small tables: twenty words instead of twenty thousand.
SMALL = Settings(charge_bits=16, label_bits=10, tag_bits=12, coupling_bits=14)
# Sentences to learn from, for each test sentence.
LESSONS = 2


class Lessons:
    """The reactive mode learning in a process of its own, from the beginning of the context on.

    Args:
        config: of the run.
    """

    def __init__(self, config: Config) -> None:
        # Not forked: numba's and torch's threads would not survive it.
        context = multiprocessing.get_context("spawn")
        self._receiver, self._sender = context.Pipe(duplex=False)
        self._process = context.Process(target=_work, args=(config, self._sender), daemon=True)

    def __enter__(self) -> Self:
        self._process.start()
        # The other end is the process's alone, so that its end is noticed.
        self._sender.close()
        return self

    def __exit__(self, *_: object) -> None:
        # After an error, or Ctrl-C, nobody waits for it any more.
        self._process.terminate()
        self._process.join()

    def wait(self, track: Track) -> Model:
        """What was learned.

        Raises:
            whatever the process raised; EOFError where it was killed.
        """
        for found in track([self._receiver], "waiting for the reactive mode"):
            if not found.poll():
                # Time to compile here what will parse, with parameters that are at hand.
                ReactiveParser(load()).parse(["word"], ["X"])
            outcome = found.recv()
            if isinstance(outcome, Exception):
                raise outcome
            learned: Model = outcome
        return learned


def _work(config: Config, sender: Connection) -> None:
    """What the process does: sends the model, or the error."""
    # Ctrl-C is the parent's to handle, who then ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        _compile_reading()
        sender.send(learn(prepare(config)))
    except Exception as error:
        sender.send(error)


def _compile_reading() -> None:
    """Compile what reads a tree off the bonds: the other process finds it in the cache, for it has more to compile."""
    model = load()
    charges = model.log_charges(model.encode(["word"], ["X"]))
    read_heads(np.ones(charges.head.shape), charges, True)


def learn(bench: Bench) -> Model:
    """Train on sentences of the grammar that are as long as the test sentences and the longer ones."""
    drawn = _drawn(bench, LESSONS * bench.config.sentences)
    return train([_row(bench, s) for s in drawn], dataclasses.replace(SMALL, seed=bench.config.seed))


def reactive(
    bench: Bench, model: Model, metrics: dict[str, Metric], baselines: dict[str, dict[str, float]], track: Track
) -> ReactiveParser:
    """Parse the test sentences.

    Args:
        bench: grammar and test sentences.
        model: from `learn`.
        metrics: `uas_reactive` and its like are added.
        baselines: static decoders of the learned charges are added.
        track: of progress.
    """
    config = bench.config
    parser = ReactiveParser(model, config.steps)
    rows = [_row(bench, s) for s in bench.sentences]
    parses = [parser.parse(s.tokens, s.upos, xpos=s.xpos) for s in track(rows, "relaxing bonds")]
    ours = _count([(parse.heads, parse.labels) for parse in parses], bench.sentences)
    steps = [parse.steps for parse in parses]
    metrics["uas_reactive"] = ratio_interval(ours.heads, ours.words, "%", config.seed)
    metrics["las_reactive"] = ratio_interval(ours.labelled, ours.words, "%", config.seed)
    metrics["steps_reactive"] = mean_interval(steps, "steps", config.seed)
    metrics["converged_share_reactive"] = share_interval(sum(parse.converged for parse in parses), len(parses))
    metrics["coverage_reactive"] = share_interval(sum(parse.whole for parse in parses), len(parses))
    if bench.long:
        long = [parser.parse(s.words, _upos(bench, s), xpos=s.tags) for s in bench.long]
        got = _count([(parse.heads, parse.labels) for parse in long], bench.long)
        metrics["uas_long_reactive"] = ratio_interval(got.heads, got.words, "%", config.seed)
    for name, decoder, scores in (
        ("learned_greedy", greedy, parser.charges),
        ("learned_eisner", eisner, parser.charges),
        ("learned_votes_eisner", eisner, parser.votes),
    ):
        baselines.setdefault(name, {}).update(_static(parser, rows, bench.sentences, decoder, scores))
    best = max(baselines["learned_greedy"]["uas"], baselines["learned_eisner"]["uas"])
    baselines["learned_eisner"]["uas_reactive"] = best
    return parser


def _drawn(bench: Bench, count: int) -> list[Sentence]:
    config = bench.config
    try:
        return sample(bench.grammar, count, config.min_length, 2 * config.max_length, (config.seed, REACTIVE))
    except MalformedGrammar:
        return sample(bench.grammar, count, config.min_length, config.max_length, (config.seed, REACTIVE))


def _row(bench: Bench, s: Sentence) -> Row:
    """A toy sentence as a treebank would have it; the grammar's tags are its fine parts of speech."""
    return Row(s.words, _upos(bench, s), s.tags, tuple(s.heads.tolist()), s.labels)


def _upos(bench: Bench, s: Sentence) -> tuple[str, ...]:
    return tuple(bench.grammar.lexicon[tag].upos for tag in s.tags)


def _count(trees: Sequence[tuple[NDArray[np.int64], Sequence[str]]], sentences: Sequence[Sentence]) -> Counts:
    """Right heads and labels; learned labels have no subtypes."""
    from dynamics import attachment

    rows = [
        attachment(heads, labels, gold.heads, [label.split(":")[0] for label in gold.labels])
        for (heads, labels), gold in zip(trees, sentences, strict=True)
    ]
    return Counts(*np.array(rows).T)


def _static(
    parser: ReactiveParser,
    rows: Sequence[Row],
    sentences: Sequence[Sentence],
    decoder: Callable[[NDArray[np.float64]], NDArray[np.int64]],
    scores: Callable[..., NDArray[np.float64]],
) -> dict[str, float]:
    trees = []
    for s in rows:
        heads = decoder(scores(s.tokens, s.upos, xpos=s.xpos))
        trees.append((heads, parser.label(s.tokens, s.upos, heads.tolist(), xpos=s.xpos)))
    return _count(trees, sentences).scores()
