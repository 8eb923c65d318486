"""AUC and rank correlation with 95% intervals, for pairs that share words: resampled by word, never by pair."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from feasibility.harness import Metric

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RESAMPLES = 1000


def auc(positive: ArrayLike, negative: ArrayLike) -> float:
    """The share of (positive, negative) couples in which the positive scores higher; a tie counts half.

    Raises:
        ValueError: one of the two is empty.
    """
    high, low = np.asarray(positive, dtype=float), np.asarray(negative, dtype=float)
    if not len(high) or not len(low):
        raise ValueError(f"an AUC needs both positives and negatives, got {len(high)} and {len(low)}")
    return float(_auc(high, low, np.ones((1, len(high))), np.ones((1, len(low))))[0])


def _auc(high: Floats, low: Floats, weight_high: Floats, weight_low: Floats) -> Floats:
    """AUC under several sets of weights at once: [R, positives] and [R, negatives] -> [R]."""
    levels, place = np.unique(np.concatenate([high, low]), return_inverse=True)
    own, other = place[: len(high)], place[len(high) :]
    order = np.argsort(other, kind="stable")
    below = np.concatenate([np.zeros((len(weight_low), 1)), np.cumsum(weight_low[:, order], axis=1)], axis=1)
    begin, end = (np.searchsorted(other[order], np.arange(len(levels)), side=side) for side in ("left", "right"))
    under = (below[:, begin] + below[:, end])[:, own] / 2
    result: Floats = (weight_high * under).sum(axis=1) / (weight_high.sum(axis=1) * weight_low.sum(axis=1))
    return result


class Comparison:
    """The same bonds scored by one or more scorers: AUC, differences of AUC, and their intervals.

    Every positive is compared with the negatives of its slot; slots count alike (the mean of their AUCs). Intervals are
    percentiles over resamples of the head words, the same words for all slots and scorers.

    Args:
        heads: for each slot the head of each couple (a positive and a negative that was made from it), int[couples].
        seed: of the resampling.
    """

    def __init__(self, heads: Sequence[Ints], seed: int) -> None:
        self.heads = list(heads)
        words, place = np.unique(np.concatenate(self.heads), return_inverse=True)
        draws = np.random.default_rng(seed).multinomial(len(words), np.full(len(words), 1 / len(words)), size=RESAMPLES)
        self.words = len(words)
        cuts = np.cumsum([len(rows) for rows in self.heads])[:-1]
        self.weights = [draws[:, rows].astype(np.float32) for rows in np.split(place, cuts)]

    def value(self, scores: Sequence[tuple[Floats, Floats]]) -> float:
        """The mean AUC of the slots; scores are (of the positives, of the negatives), couple by couple."""
        return float(np.mean([auc(high, low) for high, low in scores]))

    def resampled(self, scores: Sequence[tuple[Floats, Floats]]) -> Floats:
        """The mean AUC under each resample: [RESAMPLES]."""
        per_slot = [_in_parts(high, low, weight) for (high, low), weight in zip(scores, self.weights, strict=True)]
        # A resample may lack every head of a small slot.
        mean: Floats = np.nanmean(per_slot, axis=0)
        return mean

    def metric(self, scores: Sequence[tuple[Floats, Floats]]) -> Metric:
        """The mean AUC with its interval; n is the number of couples."""
        return self._metric(self.value(scores), self.resampled(scores))

    def gain(self, scores: Sequence[tuple[Floats, Floats]], over: Sequence[tuple[Floats, Floats]]) -> Metric:
        """By how much the first scorer's mean AUC is above the second's, with the interval of the difference."""
        return self._metric(self.value(scores) - self.value(over), self.resampled(scores) - self.resampled(over))

    def _metric(self, value: float, draws: Floats) -> Metric:
        n = sum(len(rows) for rows in self.heads)
        return Metric(value, "", n, _ends(value, draws), f"bootstrap over {self.words} head words")


def _in_parts(high: Floats, low: Floats, weight: NDArray[np.float32]) -> Floats:
    # In parts, for a thousand resamples of ten thousand couples at once take a gigabyte.
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.concatenate([_auc(high, low, part, part) for part in np.array_split(weight.astype(float), 20)])


def _ends(value: float, draws: Floats) -> tuple[float, float]:
    low, high = np.nanpercentile(draws, [2.5, 97.5])
    return min(float(low), value), max(float(high), value)


def resampled_metric(
    statistic: Callable[[Ints], float], clusters: ArrayLike, seed: int, unit: str = "", resamples: int = RESAMPLES
) -> Metric:
    """Any statistic of items, with a percentile interval over resamples of clusters of them.

    Args:
        statistic: of the items at these places, which may repeat.
        clusters: [n], the cluster of each item, such as its head word.
        seed: of the resampling.
        unit: of the statistic.
        resamples: how many.

    Cost: O(resamples) calls of the statistic.
    """
    names, place = np.unique(np.asarray(clusters), return_inverse=True)
    order = np.argsort(place, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(place))[:-1])
    rng = np.random.default_rng(seed)
    draws = [
        statistic(np.concatenate([members[one] for one in rng.integers(0, len(names), len(names))]))
        for _ in range(resamples)
    ]
    value = statistic(np.arange(len(place)))
    return Metric(value, unit, len(place), _ends(value, np.array(draws)), f"bootstrap over {len(names)} clusters")


def spearman(first: ArrayLike, second: ArrayLike, clusters: ArrayLike, seed: int) -> Metric:
    """Spearman's rank correlation, resampled by cluster."""
    from scipy.stats import rankdata

    x, y = np.asarray(first, dtype=float), np.asarray(second, dtype=float)

    def rho(items: Ints) -> float:
        return float(np.corrcoef(rankdata(x[items]), rankdata(y[items]))[0, 1])

    return resampled_metric(rho, clusters, seed)


def pearson(first: ArrayLike, second: ArrayLike, seed: int) -> Metric:
    """Pearson's correlation of independent items, by Fisher's transformation.

    Raises:
        ValueError: fewer than four items, or one of the two does not vary.
    """
    from scipy.stats import pearsonr

    x, y = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    if len(x) < 4 or not np.ptp(x) or not np.ptp(y):
        raise ValueError(f"a correlation needs at least 4 items that vary, got {len(x)}")
    found = pearsonr(x, y)
    low, high = found.confidence_interval(0.95)
    return Metric(float(found.statistic), "", len(x), (float(low), float(high)), f"Fisher, {len(x)} items")
