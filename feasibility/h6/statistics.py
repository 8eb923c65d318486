"""From sums over chunks to lifts with intervals: one function for every figure of H6, and Holm's correction.

    share  attention inside the mask / attention in the population
    lift   (share - share of the control) / (1 - share of the control): how much of what a control leaves out the mask
           catches; 0 where the mask is no better than the control, 1 where all attention obeys it

K sums, R resamples.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feasibility.harness import Metric

RESAMPLES = 2000

Floats = NDArray[np.float64]
# One model's sums, as `feasibility.h6.measure.measure` gives them.
Measured = Mapping[str, Any]


def over_chunks_and_seeds(
    models: Sequence[Measured],
    names: Sequence[str],
    statistic: Callable[..., Floats],
    unit: str,
    seed: int = 0,
) -> Metric:
    """A function of sums over all chunks of all models of one size, with its interval.

    Chunks, which all models share, and training seeds are drawn anew, independently (a pigeonhole bootstrap).

    Args:
        models: one for each training seed, measured on the same chunks.
        names: of K sums in "chunks".
        statistic: from K arrays of any one shape to an array of that shape (or K of [..., S] to [...]).
        unit: of its result.
        seed: of the resampling.

    Raises:
        ValueError: no model, or models that were measured on different chunks.

    Source: Owen (2007), The pigeonhole bootstrap.
    """
    sums = [np.stack([np.asarray(model["chunks"][name], dtype=float) for model in models]) for name in names]
    if not models or len({array.shape[:2] for array in sums}) != 1:
        raise ValueError(f"expected models measured on the same chunks, got {[array.shape for array in sums]}")
    seeds, chunks = sums[0].shape[:2]
    generator = np.random.default_rng(seed)
    of_chunk = generator.multinomial(chunks, np.full(chunks, 1 / chunks), RESAMPLES).astype(float)
    of_seed = generator.multinomial(seeds, np.full(seeds, 1 / seeds), RESAMPLES).astype(float)
    drawn = statistic(*(np.einsum("rs,rc,sc...->r...", of_seed, of_chunk, array) for array in sums))
    value = float(statistic(*(array.sum((0, 1)) for array in sums)))
    low, high = (float(x) for x in np.percentile(drawn, [2.5, 97.5]))
    method = f"pigeonhole bootstrap over {chunks} chunks and {seeds} training seeds"
    return Metric(value, unit, chunks, (min(low, value), max(high, value)), method)


def share(whole: Floats, part: Floats) -> Floats:
    """Percent of a whole."""
    return np.asarray(100 * part / whole)


def lift(whole: Floats, own: Floats, control: Floats) -> Floats:
    """Percent of what the control leaves out."""
    return np.asarray(100 * (own - control) / (whole - control))


def stratified_auc(won: Floats, of: Floats) -> Floats:
    """The mean of the AUC of the strata, each weighted by its pairs. Two of [..., S] -> [...]."""
    return np.asarray(won.sum(-1) / of.sum(-1))


def p_value(metric: Metric, null: float = 0.0) -> float:
    """Two-sided, of the metric against a value, as the interval's width has it (normal)."""
    from scipy.stats import norm

    half = (metric.ci95[1] - metric.ci95[0]) / (2 * norm.ppf(0.975))
    if half == 0:
        return float(metric.value == null)
    return float(2 * norm.sf(abs(metric.value - null) / half))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's (1979) correction: the chance of one false finding in the whole family stays below the level."""
    order = np.argsort(p_values)
    steps = np.asarray(p_values)[order] * np.arange(len(p_values), 0, -1)
    out = np.empty(len(p_values))
    out[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return [float(p) for p in out]


def head_p_values(heads: Sequence[Mapping[str, float]], control: str) -> list[float]:
    """One-sided: that a head's lift over a control is above 0 (normal, standard error over chunks)."""
    from scipy.stats import norm

    values = np.array([[head[f"lift {control}"], head[f"se {control}"]] for head in heads])
    return [float(p) for p in norm.sf(values[:, 0] / np.maximum(values[:, 1], 1e-12))]
