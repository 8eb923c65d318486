"""How well positions tell attested bonds from unattested ones, with every control: the figures of the experiment.

AUC is the chance that an attested pair scores higher than an unattested one that matches it; 0.5 says nothing. It is
computed in each relation and averaged over relations.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from feasibility.harness import Metric
from feasibility.periodic_table.intervals import Comparison, auc
from feasibility.periodic_table.pairs import JUDGED, Match, Slot, Vocabulary, slots, vocabulary
from feasibility.periodic_table.scorer import Ridge, Scorer, fit, reduce
from feasibility.periodic_table.sources import Source
from feasibility.periodic_table.treebank import Treebank

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Couples = list[tuple[Ints, Ints]]

AXES = 60


@dataclass(frozen=True)
class Test:
    """Couples of an attested and an unattested pair, slot by slot.

    Args:
        name: of the metric.
        couples: for each slot (attested, unattested), int[n, 2] each, row by row.
    """

    name: str
    couples: Couples

    def comparison(self, seed: int) -> Comparison:
        """What resamples these couples by head word."""
        return Comparison([attested[:, 0] for attested, _ in self.couples], seed)

    def scores(self, scorers: Sequence[Scorer]) -> list[tuple[Floats, Floats]]:
        """Scores of both pairs of every couple."""
        return [
            (scorer(attested), scorer(other)) for scorer, (attested, other) in zip(scorers, self.couples, strict=True)
        ]


@dataclass
class Bench:
    """Everything that the bonding measures need.

    Args:
        texts: "train", "dev" and "test", and "gum" where it is at hand.
        words: their vocabulary.
        tested: the text that verdicts are on.
        negatives: unattested pairs for each attested one.
        seed: of negatives and resampling.
        fitted: scorers by the name of their source.
        found: slots by what they were asked for.
    """

    texts: dict[str, Treebank]
    words: Vocabulary
    tested: str
    negatives: int
    seed: int
    fitted: dict[str, list[Scorer]] = field(default_factory=dict)
    found: dict[tuple[Match, str, tuple[str, ...]], list[Slot]] = field(default_factory=dict)

    def slots(self, match: Match = "slot", tested: str = "", relations: Sequence[str] = JUDGED) -> list[Slot]:
        """The slots of some relations, tested on one text; remembered."""
        key = match, tested or self.tested, tuple(relations)
        if key not in self.found:
            self.found[key] = slots(
                self.texts, self.words, key[1], relations, match=match, each=self.negatives, seed=self.seed
            )
        return self.found[key]

    def scorers(self, name: str, source: Source, relations: Sequence[str] = JUDGED) -> list[Scorer]:
        """Fit one scorer for each relation on the training text; remembered by name."""
        if name not in self.fitted:
            vectors = reduce(source(self.words.words), self.words, AXES)
            self.fitted[name] = [
                fit(slot, self.words, vectors, Ridge(), seed=self.seed) for slot in self.slots(relations=relations)
            ]
        return self.fitted[name]


def bench(texts: dict[str, Treebank], tested: str, negatives: int, seed: int) -> Bench:
    """Prepare the bonding measures."""
    return Bench(texts, vocabulary(texts), tested, negatives, seed)


def pair_test(name: str, found: Sequence[Slot], keep: NDArray[np.bool_] | None = None) -> Test:
    """All couples of some slots, or those whose attested pair has a word of `keep`."""
    couples = []
    for slot in found:
        attested, other = slot.positives[slot.owner], slot.negatives
        if keep is not None:
            rows = keep[attested].any(axis=1)
            attested, other = attested[rows], other[rows]
        if len(attested):
            couples.append((attested, other))
    return Test(name, couples)


def main_tests(bench: Bench) -> list[Test]:
    """Unseen pairs and unseen words with matched negatives, and both with the easier negatives."""
    strict, new = bench.slots(), bench.words.count == 0
    return [
        pair_test("bonds_pairs", strict),
        pair_test("bonds_words", strict, new),
        pair_test("bonds_pairs_corpus", bench.slots("corpus")),
        pair_test("bonds_pairs_uniform", bench.slots("uniform")),
    ]


def polysemous(bench: Bench, least: int) -> NDArray[np.bool_]:
    """bool[W]: the words with at least so many senses."""
    from periodic_table.element import WORDNET_POS
    from periodic_table.isotopes import load_isotopes

    isotopes = load_isotopes()
    entries = np.array([isotopes.entry(word, WORDNET_POS[tag]) for word, tag in bench.words.words])
    number = isotopes.start[entries + 1] - isotopes.start[entries]
    enough: NDArray[np.bool_] = (entries >= 0) & (number >= least)
    return enough


def by_frequency(test: Test, bench: Bench) -> tuple[float, float]:
    """AUC of the dependent's frequency alone: in the training text, and in the slot."""
    whole = [auc(bench.words.count[a[:, 1]], bench.words.count[b[:, 1]]) for a, b in test.couples]
    in_slot = []
    for slot, (attested, other) in zip(bench.slots(), test.couples, strict=True):
        count = np.bincount(slot.train[:, 1], minlength=len(bench.words.words))
        in_slot.append(auc(count[attested[:, 1]], count[other[:, 1]]))
    return float(np.mean(whole)), float(np.mean(in_slot))


def left_out(bench: Bench, source: Source, share: int = 8) -> tuple[Metric, dict[str, float]]:
    """The Mendeleev test of bonds: an eighth of the words is taken out of training, and its bonds are predicted.

    Attested are all pairs with such a word, of all parts of EWT; its negatives replace the dependent by one that was
    taken out, or was not, like the dependent itself.

    Returns:
        AUC with its interval, and the AUC of each relation.
    """
    rng = np.random.default_rng([bench.seed, 8])
    out = rng.permutation(len(bench.words.words)) % share == 0
    vectors = reduce(source(bench.words.words), bench.words, AXES)
    couples, scorers = [], []
    for slot in bench.slots():
        kept = Slot(slot.relation, slot.train[~out[slot.train].any(axis=1)], slot.positives, slot.negatives, slot.owner)
        couples.append(_couples_of(slot, out, bench, rng))
        scorers.append(fit(kept, bench.words, vectors, Ridge(), seed=bench.seed))
    test = Test("left_out_bonds", couples)
    scores = test.scores(scorers)
    by_relation = {name: auc(*score) for name, score in zip(JUDGED, scores, strict=True)}
    return test.comparison(bench.seed).metric(scores), by_relation


def _couples_of(slot: Slot, out: NDArray[np.bool_], bench: Bench, rng: np.random.Generator) -> tuple[Ints, Ints]:
    pairs = np.unique(np.concatenate([slot.train, slot.positives]), axis=0)
    known = {(h, d) for h, d in pairs.tolist()}
    key = 2 * bench.words.bins(np.bincount(slot.train[:, 1], minlength=len(out)).astype(float)) + out
    pools = {int(value): pairs[key[pairs[:, 1]] == value, 1] for value in np.unique(key[pairs[:, 1]])}
    attested, other = [], []
    for head, dependent in pairs[out[pairs].any(axis=1)].tolist():
        drawn = dict.fromkeys(rng.choice(pools[int(key[dependent])], size=4 * bench.negatives).tolist())
        good = [one for one in drawn if (head, one) not in known][: bench.negatives]
        attested += [(head, dependent)] * len(good)
        other += [(head, one) for one in good]
    return np.array(attested, dtype=np.int64), np.array(other, dtype=np.int64)
