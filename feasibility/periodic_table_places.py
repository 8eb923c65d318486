"""The Mendeleev test: what a word bonds with, told from its place alone.

Each word of the table in turn is taken out. The places of the others, which lexicons give, and what these were seen to
bond with in a treebank predict what the word that is out bonds with:

    profile(w) = mean(P) + sum_v a_v k(x_w, x_v)

kernel ridge regression within each part of speech P, in closed form for one word left out. Nothing of the word itself
but its place and its part of speech is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feasibility.harness import Metric
from feasibility.intervals import ratio_interval
from feasibility.periodic_table_norms import is_dev
from feasibility.periodic_table_sources import Source, Word
from feasibility.periodic_table_treebank import Treebank
from periodic_table.slots import SLOT, SLOTS, TYPED, relation

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Fewer occurrences say too little of what a word bonds with.
LEAST = 20
# Below this chance two counts of one word differ.
LEVEL = 0.05
RIDGES = (0.1, 0.3, 1.0, 3.0, 10.0)
NAMES = tuple(f"{'>' if role == 'head' else '<'}{name}" for name, role in (SLOTS[place] for place in TYPED))


@dataclass(frozen=True)
class Profiles:
    """What words were seen to bond with.

    Args:
        words: (lemma, part of speech).
        counts: [W, sites], how often each had each bonding site of `periodic_table.slots.TYPED`.
        occurrences: [W].
        half: bool[W], one of two halves by checksum: what is chosen for one of them is chosen on the other.
    """

    words: tuple[Word, ...]
    counts: Floats
    occurrences: Floats
    half: NDArray[np.bool_]

    def tag(self) -> Ints:
        """The part of speech of each word, as a number."""
        tags = sorted({tag for _, tag in self.words})
        return np.array([tags.index(tag) for _, tag in self.words], dtype=np.int64)

    def leading(self) -> NDArray[np.bool_]:
        """Which sites may be each word's fullest, [W, sites]: the one counted most, and those not clearly below it.

        Two counts differ where a fair coin would give so uneven a split with a chance below 5 %.
        """
        from scipy.stats import binom

        most = self.counts.max(axis=1, keepdims=True)
        chance = 2 * binom.cdf(self.counts, self.counts + most, 0.5)
        leading: NDArray[np.bool_] = (self.counts == most) | (chance > LEVEL)
        return leading


def profiles(texts: Sequence[Treebank], among: set[Word]) -> Profiles:
    """Count the bonding sites of some words in treebanks.

    Args:
        texts: treebanks.
        among: the words that are wanted; those with fewer than 20 occurrences are left out.
    """
    counts: dict[Word, Floats] = {word: np.zeros(len(SLOTS)) for word in among}
    occurrences = dict.fromkeys(among, 0)
    for text in texts:
        slot = [relation(label) for label in text.relations]
        for place, entry in enumerate(text.entry.tolist()):
            word, label, head = text.entries[entry], slot[text.relation[place]], int(text.head[place])
            if word in counts:
                occurrences[word] += 1
                if label is not None:
                    counts[word][SLOT[label, "dependent"]] += 1
            if head >= 0 and label is not None and (other := text.entries[text.entry[head]]) in counts:
                counts[other][SLOT[label, "head"]] += 1
    kept = sorted(word for word in among if occurrences[word] >= LEAST)
    return Profiles(
        tuple(kept),
        np.array([counts[word][list(TYPED)] for word in kept]),
        np.array([float(occurrences[word]) for word in kept]),
        np.array([is_dev(*word) for word in kept]),
    )


def expected_by_pos(seen: Profiles) -> Floats:
    """What the other words of its part of speech bond with on average, for each word: [W, sites]."""
    share, tag = seen.counts / seen.occurrences[:, None], seen.tag()
    out = np.zeros_like(share)
    for one in np.unique(tag):
        own = np.flatnonzero(tag == one)
        out[own] = (share[own].sum(axis=0) - share[own]) / max(len(own) - 1, 1)
    return out


def expected_by_place(seen: Profiles, source: Source) -> Floats:
    """What each word should bond with, by its place among the others of its part of speech: [W, sites].

    The ridge for each half of the words is the one of `RIDGES` that does best on the other half.

    Cost: one inverse of the size of each part of speech and ridge: 1 s for 1,000 words.
    """
    numbers, leading = source(seen.words), seen.leading()
    found = [_left_out(seen, numbers, ridge) for ridge in RIDGES]
    out = np.zeros_like(found[0])
    for half in (seen.half, ~seen.half):
        other = np.flatnonzero(~half)
        out[half] = max(found, key=lambda guess: leading[other, guess[other].argmax(axis=1)].mean())[half]
    return out


def _left_out(seen: Profiles, numbers: Floats, ridge: float) -> Floats:
    share, tag = seen.counts / seen.occurrences[:, None], seen.tag()
    out = expected_by_pos(seen)
    for one in np.unique(tag):
        own = np.flatnonzero(tag == one)
        centred = numbers[own] - numbers[own].mean(axis=0)
        near = centred @ centred.T
        if len(own) < 3 or np.trace(near) < 1e-12:
            continue
        near /= np.trace(near) / len(own)
        fitted = near @ np.linalg.inv(near + ridge * np.eye(len(own)))
        level = share[own].mean(axis=0)
        own_part = np.diag(fitted)[:, None]
        # The classical identity: a smoother's answer for a row that it was fitted without.
        out[own] = level + (fitted @ (share[own] - level) - own_part * (share[own] - level)) / (1 - own_part)
    return out


@dataclass(frozen=True)
class Told:
    """How well profiles were predicted, word by word.

    Args:
        place: int[n], the words.
        right: [n], 1 where the site predicted to be the fullest may be it, else 0.
        exact: [n], 1 where it is the one counted most.
        left, total: [n], squared error of the profile, and of the part of speech's mean profile.
    """

    place: Ints
    right: Floats
    exact: Floats
    left: Floats
    total: Floats


def told(seen: Profiles, guess: Floats, places: Ints | None = None) -> Told:
    """Compare predicted profiles with what was counted.

    Args:
        seen: what was counted.
        guess: [W, sites].
        places: which words; by default all.
    """
    rows = np.arange(len(seen.words)) if places is None else places
    first = guess[rows].argmax(axis=1)
    share = seen.counts[rows] / seen.occurrences[rows, None]
    return Told(
        rows,
        seen.leading()[rows, first].astype(float),
        (seen.counts[rows].argmax(axis=1) == first).astype(float),
        ((share - guess[rows]) ** 2).sum(axis=1),
        ((share - expected_by_pos(seen)[rows]) ** 2).sum(axis=1),
    )


def ceiling(seen: Profiles, guess: Floats, seed: int, times: int = 20) -> float:
    """How often the fullest site would be named exactly by one who knew every word's true profile, in percent.

    True profiles are taken to be between what was counted and what was predicted, and counts drawn from them.
    """
    rng, number = np.random.default_rng(seed), seen.occurrences[:, None]
    true = (seen.counts + 10 * np.maximum(guess, 0)) / (number + 10)
    drawn = [rng.poisson(true * number).argmax(axis=1) == true.argmax(axis=1) for _ in range(times)]
    return 100 * float(np.mean(drawn))


def gain(first: Floats, second: Floats, seed: int) -> Metric:
    """By how many points the first is right more often than the second, resampled by word."""
    return ratio_interval(first - second, np.ones(len(first)), "points", seed)
