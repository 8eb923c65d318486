"""Do words that are alike lie together? Clusters of positions against classes of words that no axis was made from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from feasibility.harness import Metric

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

NEIGHBOURS = 10
PERMUTATIONS = 1000


def distances(numbers: Floats) -> Floats:
    """Cosine distance of every two rows, after centring: [n, n]; a row of zeros is at distance 1 from all others."""
    unit = _unit(numbers)
    out: Floats = 1.0 - unit @ unit.T
    np.fill_diagonal(out, 0.0)
    return out


def _unit(numbers: Floats) -> Floats:
    centred = numbers - numbers.mean(axis=0)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    unit: Floats = centred / np.where(length > 1e-12, length, 1.0)
    return unit


def nearest(distance: Floats, neighbours: int = NEIGHBOURS) -> Ints:
    """The places of each row's nearest other rows, the nearest first: [n, neighbours]."""
    own = distance.copy()
    np.fill_diagonal(own, np.inf)
    return np.argsort(own, axis=1, kind="stable")[:, : min(neighbours, len(own) - 1)]


def purity(near: Ints, labels: Ints) -> Floats:
    """The share of each row's neighbours that have its label: [n]."""
    share: Floats = (labels[near] == labels[:, None]).mean(axis=1)
    return share


def purity_metric(near: Ints, labels: Ints, seed: int) -> Metric:
    """The mean purity in percent, resampled by word."""
    from feasibility.intervals import mean_interval

    return mean_interval(100 * purity(near, labels), "%", seed)


def chance_purity(near: Ints, labels: Ints, groups: Ints, seed: int) -> tuple[float, float]:
    """Purity when labels are dealt out at random within groups (parts of speech), in percent.

    Returns:
        the mean of the permutations, and the share of them, plus one, that reach the purity observed: a p-value.
    """
    rng = np.random.default_rng(seed)
    observed, found = purity(near, labels).mean(), []
    for _ in range(PERMUTATIONS):
        dealt = labels.copy()
        for group in np.unique(groups):
            own = np.flatnonzero(groups == group)
            dealt[own] = labels[rng.permutation(own)]
        found.append(purity(near, dealt).mean())
    reached = sum(one >= observed for one in found)
    return 100 * float(np.mean(found)), (1 + reached) / (1 + PERMUTATIONS)


def silhouette(distance: Floats, labels: Ints) -> Floats:
    """How much nearer each row is to its own label than to the nearest other, from -1 to 1: [n]; 0 where it is alone.

    Source: Rousseeuw (1987).
    """
    names, place = np.unique(labels, return_inverse=True)
    member = np.eye(len(names))[place]
    size = member.sum(axis=0)
    total = distance @ member
    own = total[np.arange(len(place)), place] / np.maximum(size[place] - 1, 1)
    other = np.where(member > 0, np.inf, total / size).min(axis=1)
    score = (other - own) / np.maximum(np.maximum(own, other), 1e-12)
    return np.where(size[place] > 1, score, 0.0)


def adjusted_rand(first: ArrayLike, second: ArrayLike) -> float:
    """How far two partitions agree, 1 for the same and 0 for what chance gives.

    Source: Hubert and Arabie (1985).
    """
    _, a = np.unique(np.asarray(first), return_inverse=True)
    _, b = np.unique(np.asarray(second), return_inverse=True)
    table = np.zeros((a.max() + 1, b.max() + 1))
    np.add.at(table, (a, b), 1)

    def couples(counts: Floats) -> float:
        return float((counts * (counts - 1)).sum() / 2)

    both, rows, columns = couples(table), couples(table.sum(axis=1)), couples(table.sum(axis=0))
    expected = rows * columns / couples(np.array([float(len(a))]))
    most = (rows + columns) / 2
    return (both - expected) / (most - expected) if most > expected else 1.0


def clusters(numbers: Floats, number: int, seed: int, starts: int = 5) -> Ints:
    """k-means on rows of unit length, the tightest of some starts: the cluster of each row."""
    unit = _unit(numbers)
    found = [_lloyd(unit, number, np.random.default_rng([seed, start])) for start in range(starts)]
    return min(found, key=lambda one: one[0])[1]


def _lloyd(unit: Floats, number: int, rng: np.random.Generator) -> tuple[float, Ints]:
    centre = unit[rng.choice(len(unit), number, replace=False)]
    label = np.zeros(len(unit), dtype=np.int64)
    for _ in range(100):
        square = (centre**2).sum(axis=1) - 2 * unit @ centre.T
        before, label = label, square.argmin(axis=1)
        if (before == label).all():
            break
        member = np.eye(number)[label]
        size = member.sum(axis=0)[:, None]
        # A cluster that has lost all its rows stays where it was.
        centre = np.where(size > 0, member.T @ unit / np.maximum(size, 1), centre)
    return float(((unit - centre[label]) ** 2).sum()), label


def rand_metric(numbers: Floats, labels: Ints, seed: int) -> Metric:
    """Adjusted Rand index of k-means against labels, k their number; the interval is the middle of subsamples of half.

    A word that is drawn twice agrees with itself, so the bootstrap would raise the index.
    """
    cluster, rng = clusters(numbers, len(np.unique(labels)), seed), np.random.default_rng(seed)
    value, number = adjusted_rand(cluster, labels), len(labels) // 2
    drawn = [rng.choice(len(labels), number, replace=False) for _ in range(PERMUTATIONS)]
    spread = np.array([adjusted_rand(cluster[rows], labels[rows]) for rows in drawn]) - value
    # Half of the words spread as much about the whole as the whole about what it was drawn from.
    low, high = value + np.percentile(spread - spread.mean(), [2.5, 97.5])
    return Metric(value, "", len(labels), (float(low), float(high)), f"{PERMUTATIONS} subsamples of {number} words")


def labelled(words: Sequence[str | None], least: int) -> tuple[Ints, Ints]:
    """Labels as numbers, without those that are rare or missing.

    Returns:
        the places of the words that are kept, and their labels.
    """
    number = Counter(word for word in words if word is not None)
    names = {name: place for place, name in enumerate(sorted(number)) if number[name] >= least}
    kept = [(place, names[name]) for place, name in enumerate(words) if name is not None and name in names]
    return np.array([place for place, _ in kept], dtype=np.int64), np.array(
        [label for _, label in kept], dtype=np.int64
    )
