"""Intervals and tests over seeds and sentences at once, equivalence, and several contrasts.

Axes: `S` seeds, `T` items (sentences, words, pairs).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Not scipy.stats, which takes longer to import than a small model to train.
from scipy.special import bdtr, stdtr, stdtrit

from feasibility.harness import Metric

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A mean with its standard error and degrees of freedom, of n seeds."""

    mean: float
    error: float
    freedom: int
    n: int

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Student's interval."""
        reach = float(stdtrit(self.freedom, 0.5 + level / 2)) * self.error
        return self.mean - reach, self.mean + reach

    def p_above(self, bound: float) -> float:
        """One-sided p of the hypothesis that the true mean is at most this."""
        if self.error == 0.0:
            return 0.0 if self.mean > bound else 1.0
        return float(stdtr(self.freedom, (bound - self.mean) / self.error))

    def p_two_sided(self) -> float:
        """p of the hypothesis that the true mean is 0."""
        return min(1.0, 2.0 * min(self.p_above(0.0), 1.0 - self.p_above(0.0)))

    def p_within(self, low: float, high: float) -> float:
        """p of the hypothesis that the true mean lies outside (low, high): two one-sided tests.

        Source: Schuirmann (1987).
        """
        return max(self.p_above(low), 1.0 - self.p_above(high))

    def metric(self, unit: str, to: str = "") -> Metric:
        """As a metric of a result; `to` "percent" turns a difference of logarithms x into 100 (exp(x) - 1)."""
        values = [self.mean, *self.interval()]
        if to == "percent":
            values = [100.0 * math.expm1(min(value, 50.0)) for value in values]
        return Metric(values[0], unit, self.n, (values[1], values[2]), f"Student over {self.n} seeds, items crossed")


def crossed(values: ArrayLike, weights: ArrayLike | None = None) -> Estimate:
    """The mean of numbers that vary by seed and by item, such as a paired difference of two models.

    Both are samples: error^2 = var(seed means) / S + var(item means) / T. This counts what varies with both twice and
    is thus rather too wide. Where every seed has items of its own, give one column.

    Args:
        values: [S] or [S, T]; row s belongs to seed s.
        weights: [T], such as the words of a sentence; 1 each by default.

    Raises:
        ValueError: fewer than two seeds, or a value that is not finite.

    Source: Cameron, Gelbach, Miller (2011), two-way clusters without the (negative) term of their intersection.
    """
    table: NDArray[np.float64] = np.asarray(values, dtype=float)
    table = table[:, None] if table.ndim == 1 else table
    if len(table) < 2 or not np.isfinite(table).all():
        raise ValueError(f"an interval over seeds needs finite values of at least 2 seeds, got shape {table.shape}")
    weight = np.ones(table.shape[1]) if weights is None else np.asarray(weights, dtype=float)
    weight = weight / weight.sum()
    by_seed = table @ weight
    square = by_seed.var(ddof=1) / len(table)
    if table.shape[1] > 1:
        # Of a weighted mean: the weights are as random as the values.
        square += float(np.square(weight * (table.mean(axis=0) - by_seed.mean())).sum())
    return Estimate(float(by_seed.mean()), float(np.sqrt(square)), len(table) - 1, len(table))


def contrast(found: Mapping[str, Floats], worse: str, better: str, tokens: Floats, part: str = "excess") -> Estimate:
    """A sum of nats, such as the excess, of one kind of model minus another's: a token, paired by seed and sentence.

    Args:
        found: "label|measure" -> [S, T].
        worse, better: labels.
        tokens: [T].
        part: the measure.
    """
    one, other = paired(found[f"{worse}|{part}"], found[f"{better}|{part}"])
    return crossed((one - other) / tokens, tokens)


def paired(one: Floats, other: Floats) -> tuple[Floats, Floats]:
    """The rows of the seeds that both have: the first ones."""
    seeds = min(len(one), len(other))
    return one[:seeds], other[:seeds]


def labels(found: Mapping[str, Floats], measure: str = "excess") -> list[str]:
    """The kinds of model of a group that have this measure."""
    return [name.split("|")[0] for name in found if name.split("|")[1] == measure]


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """p-values adjusted so that the chance of any false finding among them stays what it says. Source: Holm (1979)."""
    adjusted, running = {}, 0.0
    for rank, (name, p) in enumerate(sorted(p_values.items(), key=lambda item: item[1])):
        running = max(running, min(1.0, (len(p_values) - rank) * p))
        adjusted[name] = running
    return {name: adjusted[name] for name in p_values}


def data_multiplier(curve: Mapping[int, float], excess: float, sentences: int) -> float:
    """How many times the sentences the learned table needs for the same excess.

    Args:
        curve: sentences -> excess of the learned table.
        excess: of the other table, above 0.
        sentences: of the other table.

    Returns:
        The ratio, by linear interpolation of logarithms; beyond the curve's ends the ends count.
    """
    sizes = sorted(curve)
    falling = np.minimum.accumulate([curve[size] for size in sizes])
    logs = np.log(np.maximum(falling, 1e-9))
    found = np.interp(-math.log(max(excess, 1e-9)), -logs, np.log(sizes))
    return float(math.exp(found) / sentences)


def multiplier(
    curve: Mapping[int, Mapping[str, Floats]], tokens: Floats, sentences: int, label: str = "predetermined"
) -> Metric:
    """How many times the sentences a learned table needs for the excess of another; each seed has its own curve.

    Args:
        curve: sentences -> "label|excess" -> [S, T]; some sizes may have fewer seeds.
        tokens: [T].
        sentences: of the other table.
        label: of the other table.

    Returns: the median over seeds, between order statistics that hold it with 95 %, or in the range of all seeds where
        they are too few for that.
    """

    def level(size: int, name: str) -> Floats:
        return np.average(curve[size][f"{name}|excess"] / tokens, axis=1, weights=tokens)

    learned, own = {size: level(size, "learned") for size in curve}, level(sentences, label)
    ratios = [
        data_multiplier({size: row[s] for size, row in learned.items() if s < len(row)}, float(own[s]), sentences)
        for s in range(len(own))
    ]
    return _median(ratios, "x")


def _median(values: list[float], unit: str) -> Metric:
    """The median and the widest pair of order statistics that is needed for 95 %, or the range."""
    ordered, n = sorted(values), len(values)
    inner = [k for k in range(n // 2) if 1 - 2 * bdtr(k, n, 0.5) >= 0.95]
    low = max(inner, default=0)
    sure = 100 * (1 - 2 * float(bdtr(low, n, 0.5)))
    return Metric(float(np.median(values)), unit, n, (ordered[low], ordered[n - 1 - low]),
                  f"median of {n} seeds, {sure:.0f} % interval")  # fmt: skip
