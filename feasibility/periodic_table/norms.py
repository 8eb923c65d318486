"""What people say of words, predicted from positions: plausibility (SP-10K), similarity (SimLex-999), concreteness.

Each set is halved by the SHA-256 of its words: the even half is for choosing, verdicts are on the odd half, and the
whole is printed for comparison with the literature. None of the three sets ships; where they are missing, nothing of
this is measured.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feasibility.datasets import DATASETS, locate, origin_of
from feasibility.harness import Metric
from feasibility.periodic_table.intervals import pearson, spearman
from feasibility.periodic_table.sources import Source, Word, cosines

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

PLAUSIBILITY = {"nsubj": ("VERB", "NOUN"), "dobj": ("VERB", "NOUN"), "amod": ("NOUN", "ADJ")}
# SimLex-999 lists its 111 adjective pairs, then the 666 of nouns, then the 222 of verbs.
SIMLEX = (("ADJ", 111), ("NOUN", 666), ("VERB", 222))
RIDGES = (0.3, 1.0, 3.0)
FOLDS = 5


def is_dev(*words: str) -> bool:
    """Whether an item is for choosing: the SHA-256 of its words, joined by tabs, is even."""
    return hashlib.sha256("\t".join(words).encode()).digest()[-1] % 2 == 0


def here(name: str) -> bool:
    """Whether a dataset is at hand."""
    return origin_of(DATASETS[name]) is not None


@dataclass(frozen=True)
class Rated:
    """Pairs of words with a rating.

    Args:
        first: (word, part of speech) of each pair.
        second: the other one.
        rating: [n], mean human judgement.
        dev: bool[n], the half to choose on.
    """

    first: tuple[Word, ...]
    second: tuple[Word, ...]
    rating: Floats
    dev: NDArray[np.bool_]


def plausibility_pairs(relation: str) -> Rated:
    """SP-10K: a head, a dependent, and how plausible people find them in a relation, from 0 to 10."""
    lines = locate(f"sp-10k-{relation}").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if line]
    tags = PLAUSIBILITY[relation]
    return _rated([(head, dependent, rating, *tags) for head, dependent, rating in rows])


def similarity_pairs() -> Rated:
    """SimLex-999: two words of one part of speech, and how similar people find them, from 0 to 10."""
    lines = locate("simlex-999").read_text(encoding="utf-8").splitlines()
    tags = [tag for tag, number in SIMLEX for _ in range(number)]
    rows = [line.split("\t") for line in lines if line]
    return _rated([(a, b, rating, tag, tag) for (a, b, rating), tag in zip(rows, tags, strict=True)])


def _rated(rows: Sequence[tuple[str, str, str, str, str]]) -> Rated:
    return Rated(
        tuple((first, tag) for first, _, _, tag, _ in rows),
        tuple((second, tag) for _, second, _, _, tag in rows),
        np.array([float(rating) for _, _, rating, _, _ in rows]),
        np.array([is_dev(first, second) for first, second, *_ in rows]),
    )


def kernel(numbers: Floats) -> Floats:
    """How near rows are: exp(-squared distance / its median), [n, n]. Axes keep their units."""
    centred = numbers - numbers.mean(axis=0)
    square = (centred**2).sum(axis=1)
    distance = np.maximum(square[:, None] + square[None] - 2 * centred @ centred.T, 0.0)
    median = np.median(distance[np.triu_indices(len(distance), 1)]) if len(distance) > 1 else 1.0
    near: Floats = np.exp(-distance / max(float(median), 1e-9))
    return near


def plausibility(pairs: Rated, source: Source, seed: int) -> Floats:
    """Ratings predicted for heads that the prediction has not seen, by kernel ridge regression.

    k((h, d), (h', d')) = (1 + k(h, h')) (1 + k(d, d')) + c(h, d) . c(h', d')

    in 5 folds by head; c are the cosines between the two words (`sources.cosines`), scaled to unit variance. The ridge
    is the one that does best on the half for choosing.

    Cost: 15 systems of 1,600 equations, 2 s.
    """
    from scipy.linalg import cho_factor, cho_solve

    heads, dependents = sorted(set(pairs.first)), sorted(set(pairs.second))
    h = np.array([heads.index(word) for word in pairs.first])
    d = np.array([dependents.index(word) for word in pairs.second])
    angle = cosines(source, pairs.first, pairs.second)
    angle = (angle - angle.mean(axis=0)) / np.maximum(angle.std(axis=0), 1e-9)
    near = (1 + kernel(source(heads))[np.ix_(h, h)]) * (1 + kernel(source(dependents))[np.ix_(d, d)]) + angle @ angle.T
    # Single precision is enough beside a ridge of 0.3, and twice as fast.
    near = near.astype(np.float32)
    fold = np.random.default_rng(seed).permutation(len(heads))[h] % FOLDS
    guesses = {ridge: np.zeros(len(h)) for ridge in RIDGES}
    for number in range(FOLDS):
        train, test = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        level = pairs.rating[train].mean()
        for ridge, guess in guesses.items():
            system = cho_factor(
                near[np.ix_(train, train)] + np.float32(ridge) * np.eye(len(train), dtype=np.float32), overwrite_a=True
            )
            guess[test] = level + near[np.ix_(test, train)] @ cho_solve(
                system, (pairs.rating[train] - level).astype(np.float32)
            )
    return max(guesses.values(), key=lambda guess: rho(guess[pairs.dev], pairs.rating[pairs.dev]))


def rho(first: Floats, second: Floats) -> float:
    """Spearman's rank correlation; 0 where the first does not vary."""
    from scipy.stats import rankdata

    if not np.ptp(first):
        return 0.0
    return float(np.corrcoef(rankdata(first), rankdata(second))[0, 1])


def cosine(pairs: Rated, source: Source) -> Floats:
    """How similar the two words of each pair are by any source: the cosine of their rows."""
    first, second = source(pairs.first), source(pairs.second)
    length = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    angle: Floats = (first * second).sum(axis=1) / np.where(length > 0, length, 1.0)
    return angle


@dataclass(frozen=True)
class Concreteness:
    """Words with their concreteness.

    Args:
        words: (word, part of speech).
        rating: [n], from 1, abstract, to 5, concrete.
        dev: bool[n], the half to choose on.
    """

    words: tuple[Word, ...]
    rating: Floats
    dev: NDArray[np.bool_]


def concreteness_words(number: int, tags: Callable[[Sequence[str]], Sequence[str | None]]) -> Concreteness:
    """Some of the single words among the concreteness norms.

    Args:
        number: how many, those whose checksums come first; fewer are returned, for not all are known.
        tags: the parts of speech that the table takes words for; None for words that it does not know.
    """
    lines = locate("concreteness").read_text(encoding="utf-8").splitlines()
    names = lines[0].split("\t")
    word, bigram, mean = (names.index(name) for name in ("Word", "Bigram", "Conc.M"))
    rows = [line.split("\t") for line in lines[1:]]
    single = [(row[word], row[mean]) for row in rows if row[bigram] == "0"]
    single.sort(key=lambda row: hashlib.sha256(f"drawn\t{row[0]}".encode()).digest())
    found = tags([name for name, _ in single[:number]])
    tagged = [((name, upos), rating) for (name, rating), upos in zip(single, found, strict=False) if upos is not None]
    return Concreteness(
        tuple(item for item, _ in tagged),
        np.array([float(rating) for _, rating in tagged]),
        np.array([is_dev(name) for (name, _), _ in tagged]),
    )


def concreteness(words: Concreteness, source: Source, seed: int) -> Floats:
    """Ratings predicted by ridge regression on the coordinates and the part of speech, in 5 folds by word."""
    tags = sorted({upos for _, upos in words.words})
    numbers = np.hstack([source(words.words), np.eye(len(tags))[[tags.index(upos) for _, upos in words.words]]])
    spread = numbers.std(axis=0)
    numbers = (numbers - numbers.mean(axis=0)) / np.where(spread > 1e-9, spread, 1.0)
    fold = np.random.default_rng(seed).permutation(len(numbers)) % FOLDS
    parts = [numbers[fold == number] for number in range(FOLDS)]
    squares, rated = [part.T @ part for part in parts], [words.rating[fold == number] for number in range(FOLDS)]
    guesses = {ridge: np.zeros(len(numbers)) for ridge in RIDGES}
    for number in range(FOLDS):
        others = [other for other in range(FOLDS) if other != number]
        size = sum(len(parts[other]) for other in others)
        level = sum(rated[other].sum() for other in others) / size
        value, basis = np.linalg.eigh(sum(squares[other] for other in others) / size)
        slope = sum(parts[other].T @ (rated[other] - level) for other in others) / size
        for ridge, guess in guesses.items():
            weight = basis @ ((basis.T @ slope) / (np.maximum(value, 0) + 0.03 * ridge))
            guess[fold == number] = level + parts[number] @ weight
    return max(guesses.values(), key=lambda guess: _r(guess[words.dev], words.rating[words.dev]))


def _r(first: Floats, second: Floats) -> float:
    return float(np.corrcoef(first, second)[0, 1]) if np.ptp(first) else 0.0


def measured_plausibility(pairs: Rated, guess: Floats, seed: int) -> tuple[Metric, float]:
    """Spearman's correlation on the half for verdicts, resampled by head; and on all pairs."""
    test = np.flatnonzero(~pairs.dev)
    heads = [pairs.first[place][0] for place in test]
    return spearman(guess[test], pairs.rating[test], heads, seed), rho(guess, pairs.rating)


def measured_similarity(pairs: Rated, guess: Floats, seed: int) -> tuple[Metric, float]:
    """The same for similarity, resampled by pair."""
    test = np.flatnonzero(~pairs.dev)
    return spearman(guess[test], pairs.rating[test], test, seed), rho(guess, pairs.rating)


def measured_concreteness(words: Concreteness, guess: Floats) -> tuple[Metric, float]:
    """Pearson's correlation on the half for verdicts, and on all words."""
    return pearson(guess[~words.dev], words.rating[~words.dev], 0), _r(guess, words.rating)
