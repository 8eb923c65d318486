"""What the recorded trainings of several sizes say: a law for each pattern, and the gain of typed memory by size.

P points (size and seed), N parameters, T chunks of text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from feasibility.harness import Metric
from feasibility.lm import records
from feasibility.lm.controls import scores_of
from feasibility.lm.evaluate import compare
from feasibility.lm.fleet import Line
from feasibility.lm.records import RecordMissing
from feasibility.scaling.jobs import SCHEMA

TYPED = "predetermined/64"
AT = 100e6
RESAMPLES = 200
# Losses of so many entries of the log are averaged before a target is looked for.
SMOOTH = 3

# Pattern -> parameters -> seed -> line.
Runs = dict[str, dict[int, dict[int, Line]]]
Floats = NDArray[np.float64]


def read_runs(path: Path | None = None) -> Runs:
    """The recorded runs, smallest models first.

    Raises:
        RecordMissing: see `records.read`; or fewer than three sizes that both dense attention and typed memory have.
    """
    return runs_of(records.read(SCHEMA, path))


def runs_of(lines: Sequence[Line]) -> Runs:
    """See `read_runs`."""
    runs: Runs = {}
    for line in sorted(lines, key=lambda line: (line["parameters"], line["seed"])):
        runs.setdefault(line["spec"]["name"], {}).setdefault(line["parameters"], {})[line["seed"]] = line
    shared = runs.get("dense", {}).keys() & runs.get(TYPED, {}).keys()
    if len(shared) < 3:
        raise RecordMissing(f"a law needs dense attention and {TYPED} at three sizes or more, got {sorted(shared)}")
    return runs


@dataclass(frozen=True)
class Law:
    """loss(N) = floor + scale * (N / 10^8) ** -exponent, nats a token.

    Args:
        floor: what no size gets below.
        scale: what 100 million parameters have above it.
        exponent: how fast that shrinks.
        ci95: 95% interval of the exponent.
        at: loss at 100 million parameters, with its interval.
    """

    floor: float
    scale: float
    exponent: float
    ci95: tuple[float, float]
    at: Metric

    def loss(self, parameters: float) -> float:
        """Of a model of so many parameters."""
        return float(self.floor + self.scale * (parameters / AT) ** -self.exponent)


def law_of(by_size: Mapping[int, Mapping[int, Line]], part: str = "test", seed: int = 0) -> Law:
    """Fit the law of one pattern; chunks of text are drawn anew for the interval, the same for all sizes.

    Args:
        by_size: parameters -> seed -> line, three sizes or more. With three or four the floor is 0, since so few points
            do not tell a floor from a small exponent, and the fit is a line through logarithms.
        part: of the text.
        seed: of the resampling.

    Source: the form is that of Hoffmann et al. (2022) at a fixed number of tokens; ours at tiny scale.
    """
    sizes = np.array([size for size, seeds in by_size.items() for _ in seeds], dtype=float)
    lines = [line for seeds in by_size.values() for line in seeds.values()]
    nats = np.stack([scores_of(line[part]).nats / line[part]["tokens"] for line in lines])
    has_floor = len(by_size) > 4
    fit = _fit if has_floor else _fit_power
    best = fit(sizes, nats.mean(1))
    generator = np.random.default_rng(seed)
    chunks = generator.integers(0, nats.shape[1], (RESAMPLES, nats.shape[1]))
    drawn = np.array([fit(sizes, nats[:, chunk].mean(1), best) for chunk in chunks])
    low, high = (float(x) for x in np.percentile(drawn[:, 2], [2.5, 97.5]))
    ends = [float(x) for x in np.percentile(drawn[:, 0] + drawn[:, 1], [2.5, 97.5])]
    value = float(best[0] + best[1])
    method = f"least squares over {len(lines)} runs, bootstrap over {nats.shape[1]} chunks"
    at = Metric(value, "nats", nats.shape[1], (min(ends[0], value), max(ends[1], value)), method)
    exponent = float(best[2])
    return Law(float(best[0]), float(best[1]), exponent, (min(low, exponent), max(high, exponent)), at)


def _fit(sizes: Floats, losses: Floats, start: Floats | None = None) -> Floats:
    """Floor, scale, exponent by least squares."""
    from scipy.optimize import least_squares

    ratio = sizes / AT

    def misses(x: Floats) -> Floats:
        return np.asarray(x[0] + x[1] * ratio ** -x[2] - losses)

    guess = np.array([losses.min() * 0.5, losses.min() * 0.5, 0.1]) if start is None else start
    return np.asarray(least_squares(misses, np.maximum(guess, 1e-6), bounds=([0, 0, 0], [np.inf, np.inf, 3])).x)


def _fit_power(sizes: Floats, losses: Floats, start: Floats | None = None) -> Floats:
    """The same without a floor."""
    slope, height = np.polyfit(np.log(sizes / AT), np.log(losses), 1)
    return np.array([0.0, np.exp(height), -slope])


def gains(runs: Runs, one: str = TYPED, other: str = "dense", part: str = "test") -> dict[int, Metric]:
    """Nats a token that the first pattern needs more than the second at each size, below 0 if it is better."""
    found = {}
    for size in runs[one]:
        seeds = sorted(runs[one][size].keys() & runs[other].get(size, {}).keys())
        if seeds:
            mine, theirs = ([scores_of(runs[name][size][seed][part]) for seed in seeds] for name in (one, other))
            found[size] = compare(mine, theirs)
    return found


def points(runs: Runs, one: str = TYPED, other: str = "dense", part: str = "test") -> tuple[Floats, Floats]:
    """The same for each size and seed: log10 of parameters over 10^8, and the difference. Two of [P]."""
    pairs = [
        (size, runs[one][size][seed][part]["per_token"] - runs[other][size][seed][part]["per_token"])
        for size in runs[one]
        for seed in runs[one][size]
        if seed in runs[other].get(size, {})
    ]
    return np.log10([size / AT for size, _ in pairs]), np.array([difference for _, difference in pairs])


def trend(x: Floats, y: Floats, unit: str) -> tuple[Metric, Metric]:
    """A straight line through points: its height at x = 0 and its slope, with t intervals.

    What single trainings vary by is in the scatter around the line, which therefore counts, and the chunks of text,
    which move all trainings together, do not.

    Args:
        x: [P], P >= 3.
        y: [P].
        unit: of y.

    Raises:
        RecordMissing: fewer than three points, or all of one size.
    """
    from scipy.stats import linregress, t

    if len(x) < 3 or len(set(x)) < 2:
        raise RecordMissing(
            f"a trend needs three points or more at two sizes or more, got {len(x)} at {len(set(x))}; record more "
            "sizes or seeds"
        )
    line = linregress(x, y)
    reach = float(t.ppf(0.975, len(x) - 2))
    method = f"straight line through {len(x)} trainings, t interval"
    height, slope = float(line.intercept), float(line.slope)
    # Points that lie on a line to the last bit have no error, but rounding may make it the root of less than 0.
    errors = np.nan_to_num([line.intercept_stderr, line.stderr])
    reaches = [reach * float(error) for error in errors]
    ends = [(value - by, value + by) for value, by in zip((height, slope), reaches, strict=True)]
    return Metric(height, unit, len(x), ends[0], method), Metric(slope, unit, len(x), ends[1], method)


def lead(one: Line, other: Line, smooth: int = SMOOTH) -> float:
    """How many percent more steps the second training needs for the loss at which the worse of the two ends.

    Training losses on the same batches, means over so many entries of the log. Above 0 the first is quicker.
    """
    curves = [_smooth(line["losses"], smooth) for line in (one, other)]
    target = max(curve[1][-1] for curve in curves)
    mine, theirs = (_reaches(steps, losses, target) for steps, losses in curves)
    return 100.0 * (theirs / mine - 1.0)


def _smooth(losses: Mapping[str, float], entries: int) -> tuple[Floats, Floats]:
    steps, values = np.array([int(step) for step in losses], dtype=float), np.array(list(losses.values()))
    window = min(entries, len(values))
    return steps[window - 1 :], np.convolve(values, np.ones(window) / window, "valid")


def _reaches(steps: Floats, losses: Floats, target: float) -> float:
    """The step, interpolated, from which on the loss has been at or below the target once."""
    place = int(np.argmax(losses <= target))
    if place == 0:
        return float(steps[0])
    share = (losses[place - 1] - target) / (losses[place - 1] - losses[place])
    return float(steps[place - 1] + share * (steps[place] - steps[place - 1]))


def leads(runs: Runs, one: str = TYPED, other: str = "dense") -> tuple[Floats, Floats]:
    """`lead` for each size and seed: log10 of parameters over 10^8, and percent. Two of [P]."""
    pairs = [
        (size, lead(runs[one][size][seed], runs[other][size][seed]))
        for size in runs[one]
        for seed in runs[one][size]
        if seed in runs[other].get(size, {})
    ]
    return np.log10([size / AT for size, _ in pairs]), np.array([percent for _, percent in pairs])
