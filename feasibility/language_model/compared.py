"""Recorded trainings of one size compared in pairs: patterns, draws of a kind, stretches of a chunk, training steps.

Every interval is computed anew from the scores of the text's chunks; nothing but these scores is taken on trust.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from feasibility.harness import Metric
from feasibility.intervals import student_interval
from feasibility.language_model.record import Runs
from feasibility.lm.controls import scores_of
from feasibility.lm.evaluate import Scores, compare

PREDETERMINED, DISTRIBUTIONAL = "predetermined/64", "distributional/64"
RANDOM, PERMUTED = "random/64.0", "permuted/64.0"

# Chunks that need more nats a piece than this with dense attention are no modern English: inscriptions in Haggard's
# "She". Fixed when Greek ones were found in earlier runs; those left are in Latin letters, 3 of the 643 of the test
# part (the next one needs 4.5).
UNREADABLE = 5.5

# Means over 50 steps of the loss in training, nats a piece; fixed before the runs that they are applied to, from the
# curve of an earlier run at another rate (0.001: step 220, 530 and 800).
TARGETS = (4.5, 4.0, 3.75)


def difference(runs: Runs, ones: Sequence[str], others: Sequence[str], part: str = "test") -> Metric:
    """Nats per token that the first patterns need more than the second, below 0 if they are better.

    Several patterns on a side are draws of one kind; their mean counts, over the seeds that all have. Unreadable chunks
    are left out.
    """
    seeds = sorted(set.intersection(*(set(runs[name]) for name in (*ones, *others))))
    kept = readable(runs, part)
    mine, theirs = ([_mean(runs, side, seed, part, kept) for seed in seeds] for side in (ones, others))
    return compare(mine, theirs)


def in_percent(nats: Metric) -> Metric:
    """A difference in nats per token as one in perplexity."""
    value, low, high = (100 * float(np.expm1(x)) for x in (nats.value, *nats.ci95))
    return Metric(value, "%", nats.n, (low, high), nats.method)


def readable(runs: Runs, part: str) -> NDArray[np.bool_]:
    """Which chunks are English, by what dense attention makes of them. bool [chunks]"""
    dense = [scores_of(line[part]) for line in runs["dense"].values()]
    return np.asarray(np.mean([scores.nats / scores.tokens for scores in dense], axis=0) < UNREADABLE)


def _mean(runs: Runs, names: Sequence[str], seed: int, part: str, kept: NDArray[np.bool_]) -> Scores:
    each = [scores_of(runs[name][seed][part]) for name in names]
    nats = np.mean([scores.nats for scores in each], axis=0)
    return Scores(nats[kept], each[0].tokens[kept], each[0].by_position)


def by_position(runs: Runs, one: str, other: str, part: str = "dev") -> list[float]:
    """The same difference in equal stretches of a chunk, as a mean over shared seeds.

    On dev, all of which is readable: positions are recorded for all chunks together.
    """
    seeds = sorted(runs[one].keys() & runs[other].keys())
    places = [[np.array(runs[name][seed][part]["by_position"]) for seed in seeds] for name in (one, other)]
    return [float(x) for x in np.mean(places[0], axis=0) - np.mean(places[1], axis=0)]


def steps_to(line: dict[str, Any], target: float) -> float:
    """Steps until the loss in training, a mean over those since the last entry, has come down to a target.

    Between two entries the loss is taken to fall evenly; infinite where the run ended above.
    """
    before = (0.0, float("inf"))
    for step, loss in ((float(step), loss) for step, loss in line["losses"].items()):
        if loss <= target:
            share = 1.0 if before[1] == float("inf") else (before[1] - target) / (before[1] - loss)
            return before[0] + share * (step - before[0])
        before = step, loss
    return float("inf")


def time_to_target(runs: Runs, one: str, other: str, target: float) -> Metric | None:
    """How many percent fewer steps the first pattern takes to a target than the second.

    Returns: the mean over shared seeds, with Student's interval over them; None where a run never gets there, or where
        there is one seed.
    """
    seeds = sorted(runs[one].keys() & runs[other].keys())
    saved = [100 * (1 - steps_to(runs[one][seed], target) / steps_to(runs[other][seed], target)) for seed in seeds]
    if len(saved) < 2 or not np.isfinite(saved).all():
        return None
    return student_interval(saved, "%", f"training seeds, mean loss of 50 steps at most {target:g}")


def over_seeds(runs: Runs, one: str, other: str, part: str = "test") -> Metric:
    """`difference` with Student's interval over the training seeds alone.

    It stands beside the bootstrap, which with three seeds can do no more than give about their range.

    Raises:
        ValueError: fewer than two seeds that both have.
    """
    each = seed_by_seed(runs, one, other, part)
    if len(each) < 2:
        raise ValueError(f"an interval needs two seeds that both have, got {len(each)}")
    return student_interval(each, "nats", "training seeds")


def lead(runs: Runs, one: str, other: str) -> dict[int, float]:
    """By how much the loss in training of the first is above the second's, a mean over shared seeds.

    Returns: step -> nats a piece, each a mean over the steps since the entry before.
    """
    seeds = sorted(runs[one].keys() & runs[other].keys())
    found = {}
    for step in runs[one][seeds[0]]["losses"]:
        each = [runs[one][seed]["losses"][step] - runs[other][seed]["losses"][step] for seed in seeds]
        found[int(step)] = float(np.mean(each))
    return found


def seed_by_seed(runs: Runs, one: str, other: str, part: str = "test") -> list[float]:
    """`difference` for each shared seed alone."""
    seeds = sorted(runs[one].keys() & runs[other].keys())
    kept = readable(runs, part)
    mine, theirs = ([_mean(runs, [name], seed, part, kept).per_token for seed in seeds] for name in (one, other))
    return [float(a - b) for a, b in zip(mine, theirs, strict=True)]


def per_token(runs: Runs, name: str, part: str = "test") -> float:
    """Nats a token, the mean over a pattern's seeds."""
    kept = readable(runs, part)
    return float(np.mean([_mean(runs, [name], seed, part, kept).per_token for seed in runs[name]]))


def best_on_dev(runs: Runs, names: Sequence[str]) -> str:
    """Of some patterns the one that is furthest ahead of the window, or least behind it, on dev."""
    return min(names, key=lambda name: difference(runs, [name], ["window"], "dev").value)
