"""The Mendeleev test: what a word bonds with, told from its place alone.

Each word of the table in turn is taken out. The places of others, which lexicons give, and what these were seen to
bond with in a treebank predict what the word that is out bonds with:

    profile(w) = mean(P) + sum_v a_v k(x_w, x_v)

kernel ridge regression within each part of speech P, in closed form for one word left out; k falls with the distance of
two places and is centred. Nothing of the word itself but its place and its part of speech is used.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feasibility.harness import Metric
from feasibility.intervals import ratio_interval
from feasibility.periodic_table.norms import is_dev, kernel
from feasibility.periodic_table.sources import Source, Word
from feasibility.periodic_table.treebank import Treebank
from periodic_table.element import Role
from periodic_table.slots import SLOT, SLOTS, TYPED, relation

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# Fewer occurrences say too little of what a word bonds with: to be judged by, and to tell anything of its neighbours.
LEAST, LEAST_OF_NEIGHBOUR = 20, 10
# Below this chance two counts of one word differ.
LEVEL = 0.05
RIDGES = (0.03, 0.1, 0.3, 1.0, 3.0)
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

    @functools.cached_property
    def tag(self) -> Ints:
        """The part of speech of each word, as a number."""
        tags = sorted({tag for _, tag in self.words})
        return np.array([tags.index(tag) for _, tag in self.words], dtype=np.int64)

    @functools.cached_property
    def leading(self) -> NDArray[np.bool_]:
        """Which sites may be each word's fullest, [W, sites]: the one counted most, and those not clearly below it.

        Two counts differ where a fair coin would give so uneven a split with a chance below 5 %.
        """
        from scipy.stats import binom

        most = self.counts.max(axis=1, keepdims=True)
        chance = 2 * binom.cdf(self.counts, self.counts + most, 0.5)
        leading: NDArray[np.bool_] = (self.counts == most) | (chance > LEVEL)
        return leading


def profiles(texts: Sequence[Treebank]) -> Profiles:
    """Count the bonding sites of all words with at least 10 occurrences in some treebanks."""
    seen = Counter(text.entries[entry] for text in texts for entry in text.entry.tolist())
    kept = sorted(word for word, number in seen.items() if number >= LEAST_OF_NEIGHBOUR)
    row = {word: place for place, word in enumerate(kept)}
    counts = np.zeros((len(kept) + 1, len(SLOTS)))
    for text in texts:
        # Words that are left out, and roots' heads, share the last row; relations that are no slot have none.
        own = np.array([row.get(word, len(kept)) for word in text.entries])[text.entry]
        head = np.where(text.head >= 0, own[text.head], len(kept))
        names = [str(relation(label)) for label in text.relations]
        ends: dict[Role, Ints] = {"dependent": own, "head": head}
        for role, end in ends.items():
            slot = np.array([SLOT.get((name, role), -1) for name in names])[text.relation]
            np.add.at(counts, (end[slot >= 0], slot[slot >= 0]), 1)
    return Profiles(
        tuple(kept),
        counts[:-1, list(TYPED)],
        np.array([float(seen[word]) for word in kept]),
        np.array([is_dev(*word) for word in kept]),
    )


def expected_by_pos(seen: Profiles) -> Floats:
    """What the other words of its part of speech bond with on average, for each word: [W, sites]."""
    share, tag = seen.counts / seen.occurrences[:, None], seen.tag
    out = np.zeros_like(share)
    for one in np.unique(tag):
        own = np.flatnonzero(tag == one)
        out[own] = (share[own].sum(axis=0) - share[own]) / max(len(own) - 1, 1)
    return out


def expected_by_place(seen: Profiles, source: Source) -> Floats:
    """What each word should bond with, by its place among the others of its part of speech: [W, sites].

    The ridge for each half of the words is the one of `RIDGES` that does best on the other half.

    Cost: one eigendecomposition of the size of each part of speech: 1 s for 1,100 nouns.
    """
    found, leading = _left_out(seen, source(seen.words), RIDGES), seen.leading
    out = np.zeros_like(found[0])
    for half in (seen.half, ~seen.half):
        other = np.flatnonzero(~half)
        out[half] = max(found, key=lambda guess: leading[other, guess[other].argmax(axis=1)].mean())[half]
    return out


def _left_out(seen: Profiles, numbers: Floats, ridges: Sequence[float]) -> list[Floats]:
    share, tag = seen.counts / seen.occurrences[:, None], seen.tag
    plain = expected_by_pos(seen)
    found = [plain.copy() for _ in ridges]
    for one in np.unique(tag):
        own = np.flatnonzero(tag == one)
        if len(own) < 3 or not np.ptp(numbers[own], axis=0).any():
            continue
        near = kernel(numbers[own])
        near = near - near.mean(axis=0)
        near -= near.mean(axis=1, keepdims=True)
        value, basis = np.linalg.eigh(near * (len(own) / np.trace(near)))
        turned, squares, mean = basis.T @ share[own], basis**2, share[own].mean(axis=0)
        for out, ridge in zip(found, ridges, strict=True):
            kept = np.maximum(value, 0) / (np.maximum(value, 0) + ridge)
            fitted, own_part = mean + (basis * kept) @ turned, 1 / len(own) + (squares @ kept)[:, None]
            # The classical identity: a smoother's answer for a row that it was fitted without.
            out[own] = (fitted - own_part * share[own]) / (1 - own_part)
    return found


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
        seen.leading[rows, first].astype(float),
        (seen.counts[rows].argmax(axis=1) == first).astype(float),
        ((share - guess[rows]) ** 2).sum(axis=1),
        ((share - expected_by_pos(seen)[rows]) ** 2).sum(axis=1),
    )


def ceiling(seen: Profiles, guess: Floats, places: Ints, seed: int, times: int = 20) -> float:
    """How often the fullest site would be named exactly by one who knew every word's true profile, in percent.

    True profiles are taken to be between what was counted and what was predicted, and counts drawn from them.

    Args:
        seen: what was counted.
        guess: [W, sites], what was predicted.
        places: which words.
        seed: of the draws.
        times: how often counts are drawn.
    """
    rng, number = np.random.default_rng(seed), seen.occurrences[places, None]
    true = (seen.counts[places] + 10 * np.maximum(guess[places], 0)) / (number + 10)
    drawn = [rng.poisson(true * number).argmax(axis=1) == true.argmax(axis=1) for _ in range(times)]
    return 100 * float(np.mean(drawn))


def gain(first: Floats, second: Floats, seed: int) -> Metric:
    """By how many points the first is right more often than the second, resampled by word."""
    return ratio_interval(first - second, np.ones(len(first)), "points", seed)
