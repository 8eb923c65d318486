"""From what was measured to the metrics and baselines of the experiment `sparse_attention`, stage by stage.

Every stage adds to two dictionaries: metric -> Metric, and baseline -> {metric: value}.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from feasibility.harness import Metric, Track, exact, median_of
from feasibility.sparse_attention.measure import Bench, Times, mode_errors, time_all
from feasibility.sparse_attention.memory import growth, memory_of
from feasibility.sparse_attention.model import perplexities
from feasibility.sparse_attention.patterns import BOUNDED, HEADLINE, TABLE

if TYPE_CHECKING:
    from feasibility.sparse_attention.experiment import Config

MIB, GIB = 2**20, 2**30
DENSE = ("dense", "dense_cudnn")
WRITTEN = ("sdpa_masked", "sdpa_masked_cudnn", "eager_masked")
# Who computes what the bare table computes; who computes anything that a long text could be given to instead of us.
SAME_FUNCTION = (*WRITTEN, "flex_table")
ANY_PEER = (*DENSE, *WRITTEN, "flex_headline")

Metrics = dict[str, Metric]
Baselines = dict[str, dict[str, float]]


class Speed(NamedTuple):
    """What was timed, and who was the fastest.

    Args:
        times: as measured.
        lengths: in rising order.
        same_function: the fastest that computes the bare table at the short length.
        any_peer: n -> the fastest dense attention, masked or not.
    """

    times: Times
    lengths: tuple[int, ...]
    same_function: str
    any_peer: dict[int, str]

    def gain(self, name: str, n: int) -> list[float]:
        """How many times as fast as the fastest peer a run is at one length, one number a round."""
        peer, own = self.times.total[self.any_peer[n], n], self.times.total[name, n]
        return [a / b for a, b in zip(peer, own, strict=True)]

    def names(self, n: int) -> list[str]:
        """What was timed at one length."""
        return [name for name, length in self.times.total if length == n]

    def lengths_of(self, name: str) -> list[int]:
        """The lengths at which a run was timed."""
        return [n for n in self.lengths if (name, n) in self.times.total]


class Memory(NamedTuple):
    """Bytes by run and n, the budget, and the longest text that the leanest masked dense attention fits into it."""

    measured: dict[str, dict[int, int]]
    budget: float
    longest: dict[str, float]
    leanest: str


def quality(metrics: Metrics, baselines: Baselines, bench: Bench, config: Config, track: Track) -> None:
    """C1.1: perplexities, and how far apart they are in percent, paired by seed."""
    seeds = range(config.seed, config.seed + config.seeds)
    found = perplexities(config.sentences, config.steps, seeds, bench.device, track)
    masked = found["eager_masked"]
    metrics["ppl"] = over_seeds(found["class_attention"], "")
    metrics["ppl_gap"] = unsigned(over_seeds(_percent(found["class_attention"], masked), "%"))
    _row(baselines, "eager_masked", ppl=np.mean(masked))
    _row(baselines, "dense", ppl=np.mean(found["dense"]), ppl_gap=abs(np.mean(_percent(found["dense"], masked))))
    _row(baselines, "other_seed", ppl_gap=np.mean(np.abs(_percent(masked[1:], masked[:-1]))))


def exactness(metrics: Metrics, baselines: Baselines, bench: Bench, config: Config, track: Track) -> None:
    """C1.4: the error of every mode, and of the worst."""
    errors = mode_errors(bench, config.draws, track)
    metrics["mode_error"] = median_of([max(row) for row in zip(*errors.values(), strict=True)], "")
    for mode, ratios in errors.items():
        metrics[f"mode_error_{mode}"] = median_of(ratios, "")
        _row(baselines, "eager_masked", mode_error=1.0, **{f"mode_error_{mode}": 1.0})


def speed(metrics: Metrics, baselines: Baselines, bench: Bench, config: Config, track: Track) -> Speed:
    """C1.2, C2.1, C2.3: times, and how many times as fast as the fastest peer."""
    short, long, lengths = config.short, config.long, tuple(sorted({*config.lengths}))
    times = time_all(bench, lengths, {"flex_table": short, "flex_headline": long}, config.rounds, track)
    any_peer = {n: _fastest(times, n, ANY_PEER) for n in lengths}
    found = Speed(times, lengths, _fastest(times, short, SAME_FUNCTION), any_peer)
    peer, table = times.total[found.same_function, short], times.total[TABLE, short]
    metrics["speedup_over_masked"] = median_of([a / b for a, b in zip(peer, table, strict=True)], "x")
    for name in (*SAME_FUNCTION, *DENSE):
        if (name, short) in times.total:
            _row(baselines, name, speedup_over_masked=np.median(peer) / np.median(times.total[name, short]))
    metrics["speedup_over_dense"] = median_of(found.gain(HEADLINE, long), "x")
    for name in found.names(long):
        _row(baselines, name, speedup_over_dense=np.median(found.gain(name, long)))
    for n in lengths:
        for name in found.names(n):
            ratio, spent = median_of(found.gain(name, n), "x"), median_of(times.total[name, n], "ms")
            _row(baselines, name, **{f"speedup_{n}": ratio.value, f"ms_{n}": spent.value})
            if name == HEADLINE:
                metrics |= {f"speedup_{n}": ratio, f"ms_{n}": spent}
    _growth_of_gain(metrics, baselines, found)
    metrics["plan_ms"] = median_of(times.plan[HEADLINE, long], "ms")
    for name in (TABLE, *BOUNDED):
        if (name, long) in times.plan:
            _row(baselines, name, plan_ms=np.median(times.plan[name, long]))
    # What this run is stands among the metrics.
    del baselines[HEADLINE]
    return found


def _growth_of_gain(metrics: Metrics, baselines: Baselines, found: Speed) -> None:
    """Slope and break-even of the headline, slopes of all others that were timed at several lengths."""
    for name in dict.fromkeys(name for name, _ in found.times.total):
        lengths = found.lengths_of(name)
        if len(lengths) < 2:
            continue
        by_round = list(zip(*(found.gain(name, n) for n in lengths), strict=True))
        slopes = median_of([float(np.polyfit(np.log(lengths), np.log(row), 1)[0]) for row in by_round], "")
        _row(baselines, name, speedup_slope=slopes.value)
        if name != HEADLINE:
            continue
        metrics["speedup_slope"] = slopes
        crossings = [at for row in by_round if (at := break_even(lengths, row)) is not None]
        if len(crossings) == len(by_round):
            metrics["break_even"] = median_of(crossings, "tokens")


def memory(metrics: Metrics, baselines: Baselines, bench: Bench, config: Config, track: Track) -> Memory:
    """C1.3, C2.4: peak memory at three lengths, its curve through two of them tested on the third, a very long text."""
    sizes = (config.short, 2 * config.short, 4 * config.short)
    budget = config.memory_gib * GIB
    peers = ("sdpa_masked", "eager_masked")
    jobs = [(name, n) for name in (HEADLINE, TABLE, "dense", *peers) for n in sizes] + [(HEADLINE, config.longest)]
    measured: dict[str, dict[int, int]] = {}
    for name, n in track(jobs, "memory"):
        measured.setdefault(name, {})[n] = memory_of(bench, name, n)
    table = {name: rows[config.short] for name, rows in measured.items()}
    least = min(table[name] for name in peers)
    metrics["memory_saved"] = exact(100.0 * (1 - table[TABLE] / least), "%")
    metrics["memory_mib"] = exact(table[TABLE] / MIB, "MiB")
    for name in ("dense", *peers):
        saved = 100.0 * (1 - table[name] / least)
        _row(baselines, name, memory_saved=saved, memory_mib=table[name] / MIB)
    curves = {name: growth({n: measured[name][n] for n in sizes[:2]}) for name in ("dense", *peers)}
    off = [abs(curves[name].at(sizes[2]) / measured[name][sizes[2]] - 1) for name in peers]
    metrics["memory_curve_error"] = exact(100.0 * max(off), "%", len(off))
    longest = {name: curve.longest(budget) for name, curve in curves.items()}
    leanest = max(peers, key=lambda name: longest[name])
    fits = max((n for n, size in measured[HEADLINE].items() if size <= budget), default=0)
    metrics["context_gain"] = exact(fits / longest[leanest], "x")
    metrics["context"] = exact(fits, "tokens")
    metrics["memory_mib_longest"] = exact(measured[HEADLINE][config.longest] / MIB, "MiB")
    for name in curves:
        _row(baselines, name, context=longest[name], context_gain=longest[name] / longest[leanest])
    return Memory(measured, budget, longest, leanest)


def break_even(lengths: Sequence[int], gains: Sequence[float]) -> float | None:
    """The length from which on it pays, on straight lines between logarithms; None if it does not at the last one.

    Where it pays at every length that is the first one.
    """
    logs = np.log(gains)
    if logs[-1] <= 0:
        return None
    below = np.flatnonzero(logs <= 0)
    if not below.size:
        return float(lengths[0])
    i = int(below[-1])
    share = -logs[i] / (logs[i + 1] - logs[i])
    return float(lengths[i] * (lengths[i + 1] / lengths[i]) ** share)


def over_seeds(values: Sequence[float], unit: str) -> Metric:
    """The mean with Student's interval; at least two seeds."""
    # scipy.stats holds it too, but takes a second to import.
    from scipy.special import stdtrit

    mean, count = float(np.mean(values)), len(values)
    half = float(stdtrit(count - 1, 0.975)) * float(np.std(values, ddof=1)) / count**0.5
    return Metric(mean, unit, count, (mean - half, mean + half), f"Student's t over {count} seeds")


def unsigned(metric: Metric) -> Metric:
    """The distance from 0: what lies in the interval without its sign."""
    low, high = sorted(map(abs, metric.ci95))
    if metric.ci95[0] <= 0 <= metric.ci95[1]:
        low = 0.0
    return Metric(abs(metric.value), metric.unit, metric.n, (low, high), f"{metric.method}, without the sign")


def _fastest(times: Times, n: int, names: Sequence[str]) -> str:
    return min(
        (name for name in names if (name, n) in times.total), key=lambda name: float(np.median(times.total[name, n]))
    )


def _percent(values: Sequence[float], reference: Sequence[float]) -> list[float]:
    return [100.0 * (a / b - 1) for a, b in zip(values, reference, strict=True)]


def _row(baselines: Baselines, name: str, **values: float | np.floating) -> None:
    baselines.setdefault(name, {}).update({metric: float(value) for metric, value in values.items()})
