"""Train the reactive mode on a treebank.

    python -m dynamics.reactive.train --ud FILE --out model.npz

The charges that the couplings learn from are those of models that never saw the sentence (a jackknife in blocks of
neighbouring sentences): on text it was trained on, a model is far too sure of itself.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tyro
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track as track_progress

from dynamics.conllu import MalformedTreebank, Sentence, read_conllu
from dynamics.reactive import arcs, fine, labels
from dynamics.reactive.corpus import Corpus, Inventory, pack, take_inventory
from dynamics.reactive.couplings import CHARGE, FIT, Couplings, hashed_start
from dynamics.reactive.model import Model, Table, as_stored, in_eight_bits
from dynamics.reactive.points import fill_tables, random_points
from dynamics.reactive.reach import Reach, log_charges
from dynamics.reactive.reaction import crosses
from dynamics.reactive.states import States, list_states
from dynamics.reactive.store import save
from dynamics.reactive.unroll import fit_sentence

# Share of trees with crossing bonds up to which the parser makes none.
_FEW_CROSSED = 0.1

Track = Callable[[Iterable[Any], str], Iterable[Any]]


class MalformedSentences(ValueError):
    """Sentences that nothing can be learned from: none, without heads, or with heads outside the sentence."""


@dataclass(frozen=True)
class Settings:
    """How to train."""

    seed: int = 0
    """Of the order of the sentences and of the parts of the jackknife."""
    folds: int = 4
    """Parts of the jackknife."""
    charge_bits: int = 22
    """log2 of the table of charges."""
    coarse_bits: int = 18
    """log2 of the table of coarse charges."""
    label_bits: int = 16
    """log2 of the rows of the table of labels."""
    tag_bits: int = 18
    """log2 of the table of fine tags."""
    coupling_bits: int = 21
    """log2 of the hashed part of the couplings."""
    charge_epochs: int = 2
    """Passes over the treebank for charges, labels and fine tags."""
    coupling_epochs: int = 5
    """Passes for the couplings."""
    rate: float = 0.1
    """AdaGrad's, for tables."""
    coupling_rate: float = 0.05
    """AdaGrad's, for couplings."""
    coupling_caution: float = 3.0
    """Squares of slopes that AdaGrad starts with in the hashed couplings: what is rare moves little."""
    heads: int = 10
    """That a word is given at most."""
    states: int = 20
    """That a word is given at most."""
    depth: float = 6.0
    """nat below a word's best state, from where on states are left out while the couplings are learned."""
    parse_depth: float = 4.5
    """The same while parsing, where less does nearly as well and is faster."""
    steps: int = 8
    """Of the relaxation, through which the couplings are learned."""
    damping: float = 0.6
    """The share of the way that a step of relaxation goes while they are learned."""
    parse_damping: float = 0.75
    """The same while parsing."""
    couplings: Couplings = field(default_factory=Couplings)
    """Which are learned; the others stay 0."""
    dimensions: int = 0
    """Of a space in which every bonding site is a point, from which couplings site by site then follow; 0 leaves them
    free. See `dynamics.reactive.points`."""


def quiet(items: Iterable[Any], _: str) -> Iterable[Any]:
    """Report no progress."""
    return items


def train(sentences: Sequence[Sentence], settings: Settings | None = None, track: Track = quiet) -> Model:
    """Learn all parameters from a treebank.

    Args:
        sentences: trees; subtypes of labels ("nmod:poss") are cut off.
        settings: how.
        track: wraps loops to report progress, called with what is looped over and a caption.

    Returns:
        The model; equal sentences and settings give equal bits.

    Raises:
        MalformedSentences: see there.

    Cost: about five minutes for 200,000 words on one core.
    """
    settings = settings or Settings()
    return learn_couplings(learn_charges(sentences, settings, track), settings, track)


class _Tables(NamedTuple):
    coarse: Table
    charges: Table
    labels: Table


class Charged(NamedTuple):
    """A treebank with all that is learned before the couplings, which can then be learned in several ways.

    Args:
        inventory, corpus: tags and labels, and the sentences as arrays.
        tagger, tables: of fine tags; of charges and labels.
        states: of each sentence, from tables that never saw it.
        decoder: see `Model`.
    """

    inventory: Inventory
    corpus: Corpus
    tagger: Table
    tables: _Tables
    states: list[States]
    decoder: str


def learn_charges(sentences: Sequence[Sentence], settings: Settings, track: Track = quiet) -> Charged:
    """The first half of `train`; which couplings are on does not matter to it.

    Raises:
        MalformedSentences: see there.
    """
    sentences = [_checked(number, one) for number, one in enumerate(sentences, 1)]
    if not sentences:
        raise MalformedSentences("no sentences to learn from; expected at least one")
    inventory = take_inventory(sentences)
    corpus = pack(sentences, inventory)
    parts = list(_parts(len(sentences), settings))
    tagger = _fit_fine_tags(corpus, inventory, parts, settings)
    states: dict[int, States] = {}
    for inside, outside in track(parts, "charges of sentences never seen"):
        tables = _fit_tables(corpus, inventory, outside, settings)
        for s in inside:
            states[s] = _states_of(corpus, s, tables, settings)
    everything = np.arange(len(sentences))
    for _ in track(range(1), "charges"):
        tables = _fit_tables(corpus, inventory, everything, settings)
    in_order = [states[s] for s in range(len(sentences))]
    return Charged(inventory, corpus, in_eight_bits(tagger), tables, in_order, _decoder(sentences))


def learn_couplings(charged: Charged, settings: Settings, track: Track = quiet) -> Model:
    """The second half of `train`.

    Args:
        charged: from `learn_charges`, with settings that differ in the couplings at most.
        settings, track: see `train`.
    """
    return Model(
        charged.inventory,
        charged.tagger,
        *charged.tables,
        _fit_couplings(charged, settings, track),
        settings.coupling_bits,
        settings.heads,
        settings.states,
        settings.parse_depth,
        settings.parse_damping,
        charged.decoder,
    )


def _checked(number: int, one: Sentence) -> Sentence:
    sizes = {len(one.tokens), len(one.upos), len(one.heads), len(one.labels), len(one.xpos) or len(one.tokens)}
    if len(sizes) > 1 or 0 in sizes:
        raise MalformedSentences(f"sentence {number} has columns of lengths {sorted(sizes)}, expected one length >= 1")
    if not all(0 <= head <= len(one.tokens) and head != place for place, head in enumerate(one.heads, 1)):
        raise MalformedSentences(
            f"sentence {number} has the heads {one.heads}; expected 0..{len(one.tokens)}, no word its own"
        )
    return one._replace(labels=tuple(label.split(":")[0] for label in one.labels))


def _parts(count: int, settings: Settings) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """The jackknife: in blocks, because a word that is rare elsewhere is frequent in its own text."""
    size = max(1, min(20, count // (4 * settings.folds)))
    blocks = np.random.default_rng(settings.seed).permutation(-(-count // size)) % settings.folds
    part = np.repeat(blocks, size)[:count]
    for fold in range(settings.folds):
        inside, outside = np.flatnonzero(part == fold), np.flatnonzero(part != fold)
        if inside.size:
            yield inside, outside if outside.size else inside


def _fit_fine_tags(
    corpus: Corpus, inventory: Inventory, parts: Sequence[tuple[NDArray[np.int64], ...]], settings: Settings
) -> NDArray[np.float32]:
    """Learn the fine tags, and write jackknifed ones into the codes: what the model will see later."""

    def fitted(chosen: NDArray[np.int64]) -> NDArray[np.float32]:
        rng = np.random.default_rng(settings.seed)
        weights, squares = np.zeros(1 << settings.tag_bits, np.float32), np.ones(1 << settings.tag_bits, np.float32)
        for _ in range(settings.charge_epochs):
            fine.fit_tags(
                corpus.starts, corpus.codes, corpus.tags, corpus.fine, rng.permutation(chosen),
                inventory.first, inventory.choices, settings.rate, settings.tag_bits, weights, squares,
            )  # fmt: skip
        return weights

    for inside, outside in parts:
        weights = fitted(outside)
        for s in inside:
            begin, end = corpus.starts[s : s + 2]
            fine.tag_sentence(
                corpus.codes[begin:end], corpus.tags[begin:end],
                inventory.first, inventory.choices, inventory.fine_codes, weights, settings.tag_bits,
            )  # fmt: skip
    return fitted(np.arange(len(corpus.starts) - 1))


def _fit_tables(corpus: Corpus, inventory: Inventory, chosen: NDArray[np.int64], settings: Settings) -> _Tables:
    """Learn charges and labels from some of the sentences."""
    rng = np.random.default_rng(settings.seed)
    columns = corpus.starts, corpus.codes, corpus.tags, corpus.kinds, corpus.heads
    coarse, charges = (np.zeros(1 << bits, np.float32) for bits in (settings.coarse_bits, settings.charge_bits))
    labels_of = np.zeros((1 << settings.label_bits, len(inventory.labels)), np.float32)
    squares = [np.ones_like(table) for table in (coarse, charges, labels_of)]
    nobody = np.zeros(1, np.float32), 0
    arcs.fit_charges(
        *columns, rng.permutation(chosen), arcs.COARSE, nobody, 0,
        settings.rate, settings.coarse_bits, coarse, squares[0],
    )  # fmt: skip
    for _ in range(settings.charge_epochs):
        order = rng.permutation(chosen)
        arcs.fit_charges(
            *columns, order, arcs.FINE, (coarse, settings.coarse_bits), settings.heads,
            settings.rate, settings.charge_bits, charges, squares[1],
        )  # fmt: skip
        labels.fit_labels(
            *columns, corpus.labels, order, settings.rate, settings.label_bits, labels_of, squares[2]
        )  # fmt: skip
    return _Tables(in_eight_bits(coarse), in_eight_bits(charges), in_eight_bits(labels_of))


def _states_of(corpus: Corpus, s: int, tables: _Tables, settings: Settings) -> States:
    begin, end = corpus.starts[s : s + 2]
    sentence = corpus.codes[begin:end], corpus.tags[begin : end - 1], corpus.kinds[begin : end - 1]
    reach = Reach(settings.heads, np.inf, corpus.starts[-1], 0)
    scores = log_charges(*sentence, tables.coarse.for_kernels(), tables.charges.for_kernels(), reach)
    listed: Any = list_states(scores, *sentence, tables.labels.for_kernels(), settings.states, settings.depth)
    return States(*listed)


def _fit_couplings(charged: Charged, settings: Settings, track: Track) -> NDArray[np.float32]:
    corpus, states, sites = charged.corpus, charged.states, 2 * len(charged.inventory.labels)
    constants = np.zeros(hashed_start(sites) + (1 << settings.coupling_bits), np.float32)
    constants[[CHARGE, FIT]] = 1.0
    squares = np.ones_like(constants)
    squares[hashed_start(sites) :] = settings.coupling_caution
    switches = settings.couplings.for_kernels()
    space, mean_points = None, np.zeros(0)
    if settings.dimensions:
        points = random_points(sites, settings.dimensions, settings.seed)
        space, mean_points = (points, np.ones_like(points)), points.astype(np.float64)
        fill_tables(points, constants)
    gold = [_gold_states(corpus, s, one, len(charged.inventory.labels)) for s, one in enumerate(states)]
    rng = np.random.default_rng(settings.seed)
    mean, samples = constants.astype(np.float64), 0
    done, whole = 0, settings.coupling_epochs * len(states)
    for _ in track(range(settings.coupling_epochs), "couplings"):
        for s in rng.permutation(len(states)):
            codes = corpus.codes[corpus.starts[s] : corpus.starts[s + 1]]
            fit_sentence(
                states[s], gold[s], codes, switches, settings.damping, settings.steps, settings.coupling_rate,
                sites, settings.coupling_bits, constants, squares, space,
            )  # fmt: skip
            done += 1
            # The mean over the second half, of about fifty moments, errs less than the end does.
            if 2 * done > whole and (whole - done) % max(1, whole // 100) == 0:
                samples += 1
                mean += (constants - mean) / samples
                if space is not None:
                    mean_points += (space[0] - mean_points) / samples
    learned = mean.astype(np.float32)
    if space is not None:
        # The mean of tables is no table of the mean points.
        fill_tables(mean_points.astype(np.float32), learned)
    return as_stored(learned, sites)


def _gold_states(corpus: Corpus, s: int, states: States, label_count: int) -> NDArray[np.int64]:
    """[N] int64, the right state of every word, -1 where it is not among them."""
    begin, end = corpus.starts[s : s + 2]
    place = np.arange(end - begin)
    heads, names = corpus.heads[begin:end], corpus.labels[begin:end]
    sites = np.where(heads > place, label_count, 0) + names
    gold = np.full(end - begin - 2, -1, np.int64)
    right = np.flatnonzero((states.head == heads[states.word]) & (states.site == sites[states.word]))
    gold[states.word[right] - 1] = right
    return gold


def _decoder(sentences: Sequence[Sentence]) -> str:
    """Trees without crossing bonds where nearly all of the treebank are such, else any trees."""
    crossed = sum(crosses(np.array(one.heads, np.int64)) for one in sentences)
    return "eisner" if crossed <= _FEW_CROSSED * len(sentences) else "chu_liu_edmonds"


@dataclass(frozen=True)
class Options:
    """Where to read and write."""

    ud: Path
    """A CoNLL-U file (plain, .gz or .xz) of trees, or a folder with one whose name says "train"."""
    out: Path
    """File to write."""
    skip_bad: bool = False
    """Leave malformed sentences out instead of stopping at the first."""
    settings: tyro.conf.OmitArgPrefixes[Settings] = field(default_factory=Settings)


def find_treebank(place: Path) -> Path:
    """The training file that a path means.

    Raises:
        FileNotFoundError: nothing is there, or a folder in which not exactly one file is for training.
    """
    if not place.is_dir():
        if not place.exists():
            raise FileNotFoundError(f"{place} is not there; expected a CoNLL-U file or a folder with one")
        return place
    found = sorted(path for path in place.glob("*train*") if ".conllu" in path.suffixes)
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise FileNotFoundError(f"{place} should hold one *train*.conllu (or .gz, .xz) but has {names}; name the file")
    return found[0]


def main(argv: Sequence[str] | None = None) -> int:
    """Train from the command line; exit status 2 with one line on stderr where that cannot be done."""
    options = tyro.cli(Options, args=argv, prog="python -m dynamics.reactive.train", description=__doc__)
    started = time.process_time()
    try:
        sentences = list(read_conllu(find_treebank(options.ud), skip_bad=options.skip_bad))
        save(options.out, train(sentences, options.settings, _progress))
    except (MalformedSentences, MalformedTreebank, OSError) as error:
        print(f"error: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    seconds = time.process_time() - started
    print(f"{len(sentences)} sentences, {options.out.stat().st_size:_} bytes, {seconds:.0f} s of CPU: {options.out}")
    return 0


def _progress(items: Iterable[Any], caption: str) -> Iterable[Any]:
    console = Console(stderr=True)
    return track_progress(list(items), caption, console=console, disable=not console.is_terminal)


if __name__ == "__main__":
    sys.exit(main())
