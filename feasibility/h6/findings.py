"""The figures of H6 from measured models: for each size, and for the size where the claim stands worst."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feasibility.h6.masks import CONTROLS, STRATA, UNMARKED
from feasibility.h6.statistics import (
    head_p_values,
    holm,
    lift,
    over_chunks_and_seeds,
    p_value,
    share,
    stratified_auc,
)
from feasibility.harness import Metric

# Models of one size, one for each training seed.
Measured = Sequence[Mapping[str, Any]]
Floats = NDArray[np.float64]

LEVEL = 0.05


def raw_share(models: Measured, mask: str) -> Metric:
    """The original's figure: percent of the attention between words that lies on the mask or on the query itself.

    Args:
        models: of one size.
        mask: "asa"; "published", its random mask, of half the density; "row", a random one with as many keys a query.
    """
    return over_chunks_and_seeds(models, ["raw whole", f"raw {mask}"], share, "%")


def lift_over(models: Measured, control: str, kind: str = "", mask: str = "asa") -> Metric:
    """How much of what a control leaves out a mask catches, in percent.

    Args:
        models: of one size.
        control: one of `CONTROLS`.
        kind: "norm " for attention times the length of what it carries, "unmarked " for pairs without punctuation.
        mask: "asa", or another control.
    """
    return over_chunks_and_seeds(models, [kind + name for name in ("population", mask, control)], lift, "%")


def auc(models: Measured) -> tuple[Metric, Metric]:
    """How often an allowed pair has more attention than one that is not: of all pairs, and of pairs equally far."""
    of_all = over_chunks_and_seeds(models, ["auc won", "auc of"], lambda won, of: won / of, "")
    return of_all, over_chunks_and_seeds(models, ["strata won", "strata of"], stratified_auc, "")


def auc_by_distance(models: Measured) -> list[Metric | None]:
    """AUC within each stratum of distance; None where it has no two pairs to compare."""
    return [_of_stratum(models, stratum) for stratum in range(len(STRATA))]


def _of_stratum(models: Measured, stratum: int) -> Metric | None:
    cut = [
        {"chunks": {name: np.asarray(model["chunks"][name])[:, stratum] for name in ("strata won", "strata of")}}
        for model in models
    ]
    # A resample may lack pairs where there are few.
    if sum((model["chunks"]["strata of"] > 0).sum() for model in cut) < len(cut) * 10:
        return None
    return over_chunks_and_seeds(cut, ["strata won", "strata of"], lambda won, of: won / of, "")


def loss_added(models: Measured, mask: str, other: str = "dense") -> Metric:
    """Nats a piece that a model needs more when its attention in the population must obey a mask, than with another."""
    pieces = _cells(models) * float(models[0]["pieces"])
    return over_chunks_and_seeds(
        models, [f"nats {mask}", f"nats {other}"], lambda one, two: (one - two) / pieces, "nats"
    )


def mask_effect(models: Measured) -> Metric:
    """What the mask adds to log attention, all else in the regression being equal; mean over heads."""
    return over_chunks_and_seeds(models, ["beta"], lambda x: x / _cells(models), "")


def _cells(models: Measured) -> float:
    """Chunks times seeds: what sums over both are divided by."""
    return float(sum(len(model["chunks"]["asa"]) for model in models))


def of_size(models: Measured) -> dict[str, Metric]:
    """All figures of one size, by name."""
    found = {f"raw_{mask}": raw_share(models, mask) for mask in ("asa", "published", "row")}
    found |= {"share_population": over_chunks_and_seeds(models, ["population"], lambda x: _of_queries(models, x), "%")}
    found |= {f"lift_{control}": lift_over(models, control) for control in CONTROLS}
    for kind in ("norm", "unmarked"):
        found |= {f"{kind}_lift_{control}": lift_over(models, control, f"{kind} ") for control in UNMARKED}
    found["auc"], found["auc_by_distance"] = auc(models)
    found["mask_effect"] = mask_effect(models)
    found["loss_added"] = loss_added(models, "asa")
    return found | {f"loss_over_{control}": loss_added(models, "asa", control) for control in CONTROLS}


def _of_queries(models: Measured, x: Floats) -> Floats:
    return np.asarray(100 * x / (_cells(models) * float(models[0]["pieces"])))


def corrected(figures: Mapping[str, Mapping[str, Metric]]) -> dict[str, dict[str, float]]:
    """p of each lift after Holm's correction, the family being all controls at all sizes. Size -> control -> p."""
    family = [(size, control) for size in figures for control in CONTROLS]
    p = holm([p_value(figures[size][f"lift_{control}"]) for size, control in family])
    found: dict[str, dict[str, float]] = {size: {} for size in figures}
    for (size, control), value in zip(family, p, strict=True):
        found[size][control] = value
    return found


def heads_above(models: Measured, control: str) -> tuple[int, int]:
    """How many heads have a lift over a control after Holm's correction within their model, and how many there are."""
    p_values = [holm(head_p_values(model["heads"], control)) for model in models]
    return sum(p < LEVEL for each in p_values for p in each), sum(map(len, p_values))


def worst(figures: Mapping[str, Metric], best: Callable[[Sequence[float]], float] = min) -> tuple[str, Metric]:
    """A figure of several sizes at the size where it is lowest (or, with max, highest).

    The claim is that it holds at every size, so each end of the interval is the worst end of all sizes.

    Returns: the size, and the figure.
    """
    value = best([metric.value for metric in figures.values()])
    size = next(size for size, metric in figures.items() if metric.value == value)
    low, high = (best([metric.ci95[end] for metric in figures.values()]) for end in (0, 1))
    metric = figures[size]
    return size, Metric(
        value, metric.unit, metric.n, (low, high), f"the worst of {len(figures)} sizes; {metric.method}"
    )
