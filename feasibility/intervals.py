"""95% intervals, all from scipy: what every metric of a result carries.

Shares of a whole (UAS over words) are bootstrapped over the independent items (sentences), never over words.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from feasibility.harness import Metric

RESAMPLES = 2000


def mean_interval(values: ArrayLike, unit: str, seed: int) -> Metric:
    """The mean of independent items, with a percentile bootstrap interval.

    Args:
        values: [n] float, one number an item (steps of a sentence, microseconds of a sentence).
        unit: of the values and of the result.
        seed: of the resampling.

    Raises:
        ValueError: fewer than two values, or one that is not finite.

    Cost: O(n * 2,000).
    """
    return ratio_interval(values, np.ones(np.size(values)), unit, seed, scale=1.0)


def student_interval(values: ArrayLike, unit: str, of: str) -> Metric:
    """The mean of a few independent values, such as one a training seed, with Student's interval.

    Args:
        values: [n] float.
        unit: of the values and of the result.
        of: what the values are, in the plural, for the method.

    Raises:
        ValueError: fewer than two values.
    """
    from scipy.stats import t

    sample = np.asarray(values, dtype=float)
    count = len(sample)
    if count < 2:
        raise ValueError(f"an interval needs at least two {of}, got {count}")
    mean = float(sample.mean())
    half = float(t.ppf(0.975, count - 1)) * float(sample.std(ddof=1)) / math.sqrt(count)
    return Metric(mean, unit, count, (mean - half, mean + half), f"Student's t over {count} {of}")


def ratio_interval(parts: ArrayLike, wholes: ArrayLike, unit: str, seed: int, scale: float = 100.0) -> Metric:
    """scale * sum(parts) / sum(wholes), with a percentile bootstrap interval over the items.

    Args:
        parts: [n] float, such as the correct heads of each sentence.
        wholes: [n] float, such as the words of each sentence.
        unit: of the result ("%" with the default scale).
        seed: of the resampling.
        scale: 100 for percent.

    Raises:
        ValueError: fewer than two items, different lengths, a value that is not finite, or wholes that sum to 0.

    Cost: O(n * 2,000).
    """
    from scipy.stats import bootstrap

    part, whole = np.asarray(parts, dtype=float), np.asarray(wholes, dtype=float)
    if part.ndim != 1 or part.shape != whole.shape or part.size < 2:
        raise ValueError(f"an interval needs two arrays of one length n >= 2, got {part.shape} and {whole.shape}")
    if not (np.isfinite(part).all() and np.isfinite(whole).all()) or whole.sum() == 0:
        raise ValueError("parts and wholes must be finite, and the wholes must not sum to 0")

    def ratio(p: np.ndarray, w: np.ndarray, axis: int = -1) -> np.ndarray:
        return np.asarray(scale * p.sum(axis=axis) / w.sum(axis=axis))

    value = float(ratio(part, whole))
    method = f"bootstrap over {part.size} items"
    if scale == 100.0 and ((part == whole).all() or (part == 0).all()):
        # All right or all wrong: resampling shows no spread, but n items do not prove a share of 100 %.
        return share_interval(int(part.size if part.any() else 0), int(part.size))
    if np.ptp(part) == 0 and np.ptp(whole) == 0:
        return Metric(value, unit, int(part.size), (value, value), method + ", which are all alike")
    interval = bootstrap(
        (part, whole),
        ratio,
        paired=True,
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=max(1, 4_000_000 // part.size),
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    # A percentile interval can miss the point value by rounding where nearly all items are alike.
    low, high = min(float(interval.low), value), max(float(interval.high), value)
    return Metric(value, unit, int(part.size), (low, high), method)


def share_interval(hits: int, n: int) -> Metric:
    """A share in percent of n independent yes/no items, with Wilson's interval.

    Raises:
        ValueError: n < 1 or hits outside [0, n].
    """
    from scipy.stats import binomtest

    if not 0 <= hits <= n or n < 1:
        raise ValueError(f"expected 0 <= hits <= n and n >= 1, got hits={hits}, n={n}")
    interval = binomtest(int(hits), int(n)).proportion_ci(method="wilson")
    value = 100.0 * hits / n
    low, high = min(100.0 * interval.low, value), max(100.0 * interval.high, value)
    return Metric(value, "%", int(n), (float(low), float(high)), f"Wilson, {n} items")
