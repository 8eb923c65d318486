"""What was asked of the hyperbolic experiment beforehand, bar by bar, and what was reached."""

from __future__ import annotations

import csv
import io
import operator
from dataclasses import dataclass

from feasibility.harness import Metric

_HOLDS = {"<=": operator.le, ">=": operator.ge}


@dataclass(frozen=True)
class Bar:
    """One bar; all were set for the mammals.

    Args:
        what: in words.
        metric: its name, without the dimension.
        dim: in which it is measured; None where it belongs to no dimension.
        op: how the metric must stand to the bar.
        must: what was asked.
        aim: what was hoped for; None without one.
        known: the best that was known before: other libraries and this project's first tries, none of them measured
            again here.
    """

    what: str
    metric: str
    dim: int | None
    op: str
    must: float
    aim: float | None
    known: float | None

    def name(self, judged: int) -> str:
        """The name of its metric in a run that judges a dimension: other dimensions have a suffix."""
        return self.metric if self.dim in (None, judged) else f"{self.metric}_d{self.dim}"


BARS = (
    Bar("construction: average distortion", "distortion", 2, "<=", 0.060, 0.045, 0.057),
    Bar("construction: average distortion", "distortion", 5, "<=", 0.025, 0.018, 0.0226),
    Bar("construction: average distortion", "distortion", 10, "<=", 0.015, 0.010, 0.0127),
    Bar("construction: worst distortion against its tree", "distortion_worst_tree", 2, "<=", 12.0, 6.0, 11.4),
    Bar("construction: worst distortion against its tree", "distortion_worst_tree", 5, "<=", 1.3, 1.2, 1.25),
    Bar("construction: MAP of neighbours", "map_neighbours", 2, ">=", 0.975, 0.995, 0.978),
    Bar("construction: MAP of neighbours", "map_neighbours", 5, ">=", 0.999, 0.9997, 0.9996),
    Bar("construction: processor seconds", "construct_s", 5, "<=", 1.0, 0.2, 0.3),
    Bar("construction: MAP of ancestors by path excess", "map_closure", 2, ">=", 0.96, 0.98, 0.966),
    Bar("construction: MAP of ancestors by path excess", "map_closure", 3, ">=", 0.995, 0.999, 0.999),
    Bar("construction: MAP of ancestors by path excess", "map_closure", 5, ">=", 0.998, 0.9995, 0.999),
    Bar("learned, by distance alone: MAP of ancestors", "map_learned", 2, ">=", 0.82, 0.87, 0.83),
    Bar("learned, by distance alone: MAP of ancestors", "map_learned", 5, ">=", 0.96, 0.975, 0.966),
    Bar("learned, by distance alone: MAP of ancestors", "map_learned", 10, ">=", 0.97, 0.985, 0.977),
    Bar("learned from the edges: MAP of other ancestors", "map_transitive_0", 5, ">=", 0.60, 0.75, 0.600),
    Bar("learned from the edges and 10 %: MAP of others", "map_transitive_10", 5, ">=", 0.80, 0.88, 0.803),
    Bar("learned, 20 % hidden: MAP of hidden links", "map_links", 5, ">=", 0.92, 0.95, 0.908),
    Bar("learning: pairs a second", "pairs_per_s", 5, ">=", 5e6, 1e7, 8.6e6),
    Bar("learning: seconds to MAP .95, ball", "seconds_to_goal_poincare", 5, "<=", 10.0, 5.0, 8.0),
    Bar("learning: seconds to MAP .95, hyperboloid", "seconds_to_goal", 5, "<=", 10.0, 5.0, 8.0),
    Bar("runs of the grid that are not finite", "not_finite", None, "<=", 0.0, None, 1.0),
    Bar("runs whose warning about the clamp is wrong", "clamp_unsaid", None, "<=", 0.0, None, None),
    Bar("ball against hyperboloid, relative difference", "disagreement", None, "<=", 1e-6, 1e-9, None),
    Bar("all nouns, 10 dimensions: processor seconds", "nouns_construct_s", None, "<=", 60.0, 10.0, None),
    Bar("all nouns: MAP of ancestors by path excess", "nouns_map_closure", None, ">=", 0.0, 0.95, None),
)


def reached(metric: Metric | None, op: str, bar: float | None) -> str:
    """Whether the whole interval of a metric meets a bar: yes, no, or unsure where only part of it does."""
    if metric is None or bar is None:
        return ""
    held = {_HOLDS[op](end, bar) for end in (*metric.ci95, metric.value)}
    return "unsure" if len(held) == 2 else "yes" if held.pop() else "no"


def bars_table(judged: int, metrics: dict[str, Metric]) -> str:
    """All bars as CSV, one a line; what this run did not measure stays empty."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    head = ["bar", "dimensions", "metric", "known before", "op", "must", "aim", "reached", "low", "high", "n"]
    table.writerow([*head, "meets must", "meets aim"])
    for bar in BARS:
        metric = metrics.get(bar.name(judged))
        asked = ["" if number is None else f"{number:g}" for number in (bar.known, bar.must, bar.aim)]
        found = [f"{number:.6g}" for number in (metric.value, *metric.ci95)] if metric else [""] * 3
        verdicts = [reached(metric, bar.op, bar.must), reached(metric, bar.op, bar.aim)]
        dims = "" if bar.dim is None else str(bar.dim)
        row = [bar.what, dims, bar.name(judged), asked[0], bar.op, *asked[1:], *found, metric.n if metric else ""]
        table.writerow([*row, *verdicts])
    return text.getvalue()


def bars_met(judged: int, metrics: dict[str, Metric]) -> tuple[int, int, int]:
    """How many bars were measured, how many musts and how many aims are met by the whole interval."""
    measured = [(metrics[bar.name(judged)], bar) for bar in BARS if bar.name(judged) in metrics]
    musts = sum(reached(metric, bar.op, bar.must) == "yes" for metric, bar in measured)
    return len(measured), musts, sum(reached(metric, bar.op, bar.aim) == "yes" for metric, bar in measured)


def shares(judged: int, metrics: dict[str, Metric]) -> dict[str, tuple[float, float | None, float | None]]:
    """How much of what a bar allows is used up: reached, hoped for, known before, by the bar in words.

    Of an error or a time its share in the bar; of a MAP that of what is missing to 1. 1 is the bar, less is better.
    """
    found = {}
    for bar in BARS:
        metric = metrics.get(bar.name(judged))
        if metric is None or bar.must == 0.0 == bar.aim or bar.aim is None:
            continue

        def share(number: float | None, bar: Bar = bar) -> float | None:
            if number is None:
                return None
            if bar.op == "<=":
                return number / bar.must
            return (1.0 - number) / (1.0 - bar.must) if bar.must <= 1.0 else bar.must / number

        what = bar.what if bar.dim is None else f"{bar.what}, {bar.dim} dimensions"
        found[what] = (share(metric.value) or 0.0, share(bar.aim), share(bar.known))
    return found


def thresholds(judged: int, metrics: dict[str, Metric]) -> dict[str, dict[str, float]]:
    """The bars of what was measured beside the metrics themselves: must, aim, and known before, by metric."""
    found: dict[str, dict[str, float]] = {"must": {}, "aim": {}, "known_before": {}}
    for bar in BARS:
        name = bar.name(judged)
        for column, number in zip(found.values(), (bar.must, bar.aim, bar.known), strict=True):
            if name in metrics and number is not None:
                column[name] = number
    return found
