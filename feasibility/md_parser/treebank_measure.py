"""What the experiment `md_parser_treebank` measures of accuracy, stage by stage. Axes: `S` sentences, `N` words.

A tree is a pair of heads, counted from 1, and labels. Relations are compared without their subtypes. Punctuation
counts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dynamics import Parse, Parser, attachment, chu_liu_edmonds, eisner, greedy, is_tree
from dynamics.conllu import Sentence
from dynamics.system import possible_bonds, type_indices
from feasibility.harness import Metric, Track, exact
from feasibility.intervals import ratio_interval, share_interval
from feasibility.md_parser.measure import Counts
from feasibility.md_parser.treebank_spatial import DISTANCE_TERMS, counted_field, known_tags, static_scores
from feasibility.toy_grammar.charges import permuted

if TYPE_CHECKING:
    from dynamics.reactive.parser import ReactiveParser

Tree = tuple[NDArray[np.int64], Sequence[str]]
Rows = dict[str, dict[str, float]]
Decoder = Callable[[NDArray[np.float64]], NDArray[np.int64]]
# The last finds the tree with the most heads that can be expected to be right, as the parser itself reads its bonds.
DECODERS: dict[str, Decoder] = {
    "greedy": greedy,
    "cle": chu_liu_edmonds,
    "eisner": eisner,
    "eisner_expected": lambda scores: eisner(np.exp(scores)),
}
STEPS = (0, 1, 2, 4, 8, 16, 32, 100)
BUCKETS = ((1, 10), (11, 20), (21, 40), (41, 10_000))
# Models whose couplings follow from places in space.
SPACES = ("sites_3d", "sites_8d")
SHUFFLE, TUNED = range(2)


class Bench(NamedTuple):
    """What all stages share.

    Args:
        parser: the trained reactive parser.
        train: sentences that it was trained on.
        judged: sentences that are judged: the dev part, or the test part where there is no other.
        test: the test part; empty where it is judged already, or not there.
        rivals: name -> trees of the judged and of the test sentences.
        seed: of resampling and of the controls.
    """

    parser: ReactiveParser
    train: Sequence[Sentence]
    judged: Sequence[Sentence]
    test: Sequence[Sentence]
    rivals: dict[str, tuple[list[Tree], list[Tree]]]
    seed: int


def count(trees: Iterable[Tree], sentences: Sequence[Sentence]) -> Counts:
    """Right heads and labels of every sentence.

    Args:
        trees: one a sentence.
        sentences: with gold trees.
    """
    rows = [
        attachment(heads, [_plain(label) for label in labels], gold.heads, [_plain(label) for label in gold.labels])
        for (heads, labels), gold in zip(trees, sentences, strict=True)
    ]
    return Counts(*np.array(rows).T)


def _plain(label: str) -> str:
    return label.split(":")[0]


def relaxed(parser: Parser, sentences: Sequence[Sentence]) -> list[Parse]:
    """Parse every sentence."""
    return [parser.parse(s.tokens, s.upos, xpos=s.xpos) for s in sentences]


def trees_of(parses: Iterable[Parse]) -> list[Tree]:
    """Heads and labels of parses."""
    return [(parse.heads, parse.labels) for parse in parses]


def changed(parser: ReactiveParser, **options: object) -> ReactiveParser:
    """The same model relaxed in another way.

    Args:
        parser: any.
        options: of `ReactiveParser`, such as steps, tolerance, stiffness; or names of couplings with True or False.
    """
    from dynamics.reactive.couplings import Couplings
    from dynamics.reactive.parser import ReactiveParser

    names = {field.name for field in dataclasses.fields(Couplings)}
    switches = {name: bool(options.pop(name)) for name in names & options.keys()}
    given = {"steps": parser.steps, **options, "couplings": Couplings(**switches)}
    return ReactiveParser(parser.model, **given)  # type: ignore[arg-type]


def static(parser: ReactiveParser, sentences: Sequence[Sentence], state: str, decoder: Decoder) -> list[Tree]:
    """Trees of a decoder on some scores of all bonds; their labels know nothing of each other.

    Args:
        parser: gives charges and labels.
        sentences: S of them.
        state: "charges"; "votes" with the label tables voting for heads too, the control for what these know; "bonds",
            what the relaxation came to.
        decoder: from scores to heads.
    """
    scores = getattr(parser, state)
    trees: list[Tree] = []
    for s in sentences:
        heads = decoder(scores(s.tokens, s.upos, xpos=s.xpos))
        trees.append((heads, parser.label(s.tokens, s.upos, heads.tolist(), xpos=s.xpos)))
    return trees


def main_metrics(bench: Bench, rows: Rows, track: Track) -> tuple[dict[str, Metric], list[Parse]]:
    """The reactive parser on the judged and the test sentences, with what it gains over each rival (paired)."""
    metrics: dict[str, Metric] = {}
    parses = relaxed(bench.parser, bench.judged)
    ours = count(trees_of(parses), bench.judged)
    metrics["uas"] = ratio_interval(ours.heads, ours.words, "%", bench.seed)
    metrics["las"] = ratio_interval(ours.labelled, ours.words, "%", bench.seed)
    metrics["exact_match"] = share_interval(int((ours.heads == ours.words).sum()), len(ours.words))
    metrics["coverage"] = share_interval(sum(parse.whole for parse in parses), len(parses))
    # Every sentence is looked at, and a repair either gives a tree or is broken: nothing is sampled.
    repaired = sum(is_tree(parse.heads) for parse in parses)
    metrics["coverage_repaired"] = exact(100.0 * repaired / len(parses), "%", len(parses))
    others = {name: trees for name, (trees, _) in bench.rivals.items()}
    for state, prefix in (("charges", ""), ("votes", "votes_")):
        for name, decoder in track(list(DECODERS.items()), f"static decoders, {state}"):
            others[prefix + name] = static(bench.parser, bench.judged, state, decoder)
            rows[prefix + name] = {
                "coverage": 100.0 * float(np.mean([is_tree(heads) for heads, _ in others[prefix + name]]))
            }
    for name, trees in others.items():
        theirs = count(trees, bench.judged)
        rows.setdefault(name, {}).update(theirs.scores())
        gain = ratio_interval(ours.heads - theirs.heads, ours.words, "points", bench.seed)
        metrics[f"uas_gain_{name}"] = gain
        metrics[f"las_gain_{name}"] = ratio_interval(ours.labelled - theirs.labelled, ours.words, "points", bench.seed)
        _by_length(ours, theirs, rows[name], metrics, bench.seed)
    # Beside a gain over one stands what another gains over the same.
    for name, other in (
        ("votes_eisner", "eisner"),
        ("votes_eisner", "control"),
        ("transition", "graph"),
        ("graph", "transition"),
    ):
        rows[name][f"uas_gain_{other}"] = rows[name]["uas"] - rows[other]["uas"]
    _in_space(bench, rows, metrics)
    if bench.test:
        _test(bench, rows, metrics)
    return metrics, parses


def _in_space(bench: Bench, rows: Rows, metrics: dict[str, Metric]) -> None:
    """What couplings of two sites lose where they follow from places in space, and the share of their gain that stays.

    Gain is what they have over the control, which has no couplings.
    """
    free = count(bench.rivals["sites_free"][0], bench.judged)
    for name in SPACES:
        bound = count(bench.rivals[name][0], bench.judged)
        for score, lost in (("uas", free.heads - bound.heads), ("las", free.labelled - bound.labelled)):
            metrics[f"{score}_loss_{name}"] = ratio_interval(lost, free.words, "points", bench.seed)
            gain = rows["sites_free"][score] - rows["control"][score]
            if gain > 0:
                rows[name][f"{score}_gain_kept"] = 100.0 * (rows[name][score] - rows["control"][score]) / gain


def _by_length(ours: Counts, theirs: Counts, row: dict[str, float], metrics: dict[str, Metric], seed: int) -> None:
    for low, high in BUCKETS:
        some = (ours.words >= low) & (ours.words <= high)
        if some.sum() >= 2:
            name = f"uas_{low}_to_{high}" if high < BUCKETS[-1][1] else f"uas_over_{low - 1}"
            metrics[name] = ratio_interval(ours.heads[some], ours.words[some], "%", seed)
            row[name] = 100.0 * float(theirs.heads[some].sum() / theirs.words[some].sum())


def _test(bench: Bench, rows: Rows, metrics: dict[str, Metric]) -> None:
    """The test part beside: nothing was chosen on it."""
    ours = count(trees_of(relaxed(bench.parser, bench.test)), bench.test)
    metrics["uas_test"] = ratio_interval(ours.heads, ours.words, "%", bench.seed)
    metrics["las_test"] = ratio_interval(ours.labelled, ours.words, "%", bench.seed)
    others = {name: trees for name, (_, trees) in bench.rivals.items()}
    others["eisner"] = static(bench.parser, bench.test, "charges", eisner)
    others["votes_eisner"] = static(bench.parser, bench.test, "votes", eisner)
    for name, trees in others.items():
        theirs = count(trees, bench.test)
        scores = theirs.scores()
        rows[name] |= {"uas_test": scores["uas"], "las_test": scores["las"]}
        metrics[f"uas_gain_{name}_test"] = ratio_interval(ours.heads - theirs.heads, ours.words, "points", bench.seed)


def ablations(bench: Bench, rows: Rows, track: Track) -> None:
    """The relaxation with one thing changed: a coupling off, so many steps, another reading of the same state."""
    from dynamics.reactive.couplings import Couplings

    names = [field.name for field in dataclasses.fields(Couplings)]
    variants = {f"without_{name}": changed(bench.parser, **{name: False}) for name in names}
    variants["without_all_couplings"] = changed(bench.parser, **dict.fromkeys(names, False))
    # Heights act back on the bonds; by default they only follow.
    variants["with_height_springs"] = changed(bench.parser, stiffness=1.0)
    # At no tolerance only a sentence whose bonds leave no choice stops before its time.
    variants |= {f"after_{steps}_steps": changed(bench.parser, steps=steps, tolerance=0.0) for steps in STEPS}
    for name, parser in track(list(variants.items()), "one thing changed at a time"):
        parses = relaxed(parser, bench.judged)
        rows[name] = count(trees_of(parses), bench.judged).scores() | {
            "steps_mean": float(np.mean([parse.steps for parse in parses])),
            "coverage": 100.0 * float(np.mean([parse.whole for parse in parses])),
        }
    for name, decoder in track(list(DECODERS.items()), "other readings of the state at rest"):
        trees = static(bench.parser, bench.judged, "bonds", decoder)
        rows[f"read_by_{name}"] = count(trees, bench.judged).scores()
    rng = np.random.default_rng((bench.seed, SHUFFLE))
    dealt = [_shuffled(sentence, rng) for sentence in bench.judged]
    rows["words_at_random"] = count(trees_of(relaxed(bench.parser, dealt)), bench.judged).scores()


def _shuffled(sentence: Sentence, rng: np.random.Generator) -> Sentence:
    """The same words in another order; its tree means nothing any more."""
    order = rng.permutation(len(sentence.tokens))

    def dealt(column: Sequence[str]) -> tuple[str, ...]:
        return tuple(column[place] for place in order) if column else ()

    return sentence._replace(tokens=dealt(sentence.tokens), upos=dealt(sentence.upos), xpos=dealt(sentence.xpos))


def spatial(bench: Bench, metrics: dict[str, Metric], rows: Rows, track: Track) -> None:
    """The spatial mode on counted charges without distance, beside static decoders of the same charges."""
    field = counted_field(bench.train)
    kinds = [known_tags(field, s.upos) for s in bench.judged]
    rng = np.random.default_rng((bench.seed, TUNED))
    some = [bench.train[i] for i in rng.permutation(len(bench.train))[:500]]
    term = max(DISTANCE_TERMS, key=lambda x: _right(some, [eisner(static_scores(field, s.upos, x)) for s in some]))
    trees: dict[str, list[NDArray[np.int64]]] = {}
    for name, decoder in DECODERS.items():
        trees[f"counts_{name}"] = [decoder(static_scores(field, tags)) for tags in kinds]
    trees["counts_eisner_distance"] = [eisner(static_scores(field, tags, term)) for tags in kinds]
    parser = Parser(field)
    for name, chosen in (("spatial", parser), ("spatial_permuted", Parser(permuted(field, bench.seed)))):
        parses = [chosen.parse(tags, tags) for tags in track(kinds, f"{name.replace('_', ' ')} relaxation")]
        trees[f"{name}_repaired"] = [parse.heads for parse in parses]
        if name == "spatial":
            rows["spatial"] = {
                "steps_mean": float(np.mean([parse.steps for parse in parses])),
                "steps_p95": float(np.quantile([parse.steps for parse in parses], 0.95, method="inverted_cdf")),
                "converged_share": 100.0 * float(np.mean([parse.converged for parse in parses])),
                "coverage": 100.0 * float(np.mean([parse.whole for parse in parses])),
            }
    trees["spatial"] = [_projective(parser, tags) for tags in kinds]
    counts = {name: count([(h, ("",) * len(h)) for h in found], bench.judged) for name, found in trees.items()}
    for name, got in counts.items():
        rows.setdefault(name, {})["uas"] = rows.setdefault(name, {})["spatial_uas"] = got.uas()
    ours = counts["spatial"]
    metrics["spatial_uas"] = ratio_interval(ours.heads, ours.words, "%", bench.seed)
    for name in ("counts_eisner", "counts_eisner_distance"):
        metrics[f"spatial_gain_{name}"] = ratio_interval(
            ours.heads - counts[name].heads, ours.words, "points", bench.seed
        )


def _projective(parser: Parser, tags: tuple[str, ...]) -> NDArray[np.int64]:
    """The best tree without crossing bonds on the populations of the state at rest."""
    from dynamics.integrate import relax
    from dynamics.system import initial_system

    bonds = possible_bonds(parser.field, type_indices(parser.field, tags))
    shares = relax(initial_system(len(tags)), bonds, parser.field.constants, parser.steps).populations
    scores = np.full(bonds.scores.shape, -1400.0)
    scores[bonds.heads, np.arange(1, len(tags) + 1)[:, None]] = np.log(np.maximum(shares, 1e-300))
    heads: NDArray[np.int64] = eisner(scores)
    return heads


def _right(sentences: Sequence[Sentence], trees: Sequence[NDArray[np.int64]]) -> int:
    return sum(int((heads == np.array(s.heads)).sum()) for s, heads in zip(sentences, trees, strict=True))
