"""Checks beside the comparison: numbers stay finite, both models of curved space agree, learning is quick."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import io
import math
import os
import time
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from feasibility.harness import Metric, Track, exact
from feasibility.hyperbolic_embeddings.yardstick import over_seeds
from hyperbolic.construction import construct
from hyperbolic.descent import Dtype, Points, Recipe
from hyperbolic.graph import Graph, closure, spanning_tree, tree_centre
from hyperbolic.learning import MANY_ON_CLAMP, ClampWarning, learn
from hyperbolic.manifolds import Geometry, all_distances, to_lorentz
from hyperbolic.metrics import retrieval

Floats = NDArray[np.float64]

Start = Literal["tree", "random"]

MODELS: tuple[Geometry, ...] = ("poincare", "lorentz")
DTYPES: tuple[Dtype, ...] = ("float64", "float32")
RATES = (0.01, 0.1, 1.0)
# Farthest point of the comparison of the two models, as a distance from the centre.
AGREEMENT_RADIUS = 12.0
GOAL_MAP = 0.95


@dataclass(frozen=True, eq=False)
class Checks:
    """What the checks gave: metrics, the same figures of the usual formulas, and the grid as CSV."""

    metrics: dict[str, Metric]
    usual: dict[str, float]
    grid: str


def check(graph: Graph, dim: int, seeds: Sequence[int], full: bool, track: Track) -> Checks:
    """Run all checks on one graph.

    Args:
        graph: whose nodes are embedded.
        dim: coordinates a word.
        seeds: of what is learned until a goal; the first one for the rest.
        full: 100 passes in every cell of the grid, also from a random start, instead of 10.
        track: shows progress.
    """
    ours, usual = disagreement(graph, dim, seeds[0])
    starts: tuple[Start, ...] = ("tree", "random") if full else ("tree",)
    found = trials(graph, dim, 100 if full else 10, starts, seeds[0], track)
    metrics = {
        "disagreement": Metric(ours, "", 1, (ours, ours), "greatest relative difference over all pairs; one layout"),
        "not_finite": exact(sum(not trial.finite for trial in found), "runs", len(found)),
        "clamp_unsaid": exact(sum(trial.unsaid for trial in found), "runs", len(found)),
    }
    goals: tuple[tuple[Geometry, str], ...]
    goals = (("lorentz", "seconds_to_goal"), ("poincare", "seconds_to_goal_poincare"))
    for model, name in goals:
        with ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
            each = pool.map(partial(seconds_to_goal, graph, model, dim), seeds)
            spent = list(track(each, f"seconds to MAP {GOAL_MAP}", len(seeds)))
        # Left out where the goal is never reached.
        if all(map(math.isfinite, spent)):
            metrics[name] = over_seeds(spent, name)
    return Checks(metrics, {"disagreement": usual} if math.isfinite(usual) else {}, trials_table(found))


@dataclass(frozen=True)
class Trial:
    """One cell of the grid {model} x {dtype} x {constant learning rate} x {start}.

    Args:
        finite: whether all coordinates are, after all passes.
        clamped: share of points on the clamp, 0 to 1.
        warned: whether learning gave a `ClampWarning`.
        map: of all ancestors, by distance alone; 0 where a coordinate is not finite.
    """

    geometry: Geometry
    dtype: Dtype
    rate: float
    start: Start
    finite: bool
    clamped: float
    warned: bool
    map: float

    @property
    def unsaid(self) -> bool:
        """Whether a warning was due and did not come, or came without reason."""
        return self.warned != (self.clamped > MANY_ON_CLAMP)


def trials(graph: Graph, dim: int, epochs: int, starts: Sequence[Start], seed: int, track: Track) -> list[Trial]:
    """Learn with every model, dtype and rate, and see whether numbers stay finite and warnings come.

    Cost: on 1,180 nodes in 5 dimensions 0.1 s of a core a pass for a grid of twelve.
    """
    above = closure(graph)
    cells = [(*cell, start) for cell in _grid() for start in starts]
    return [_trial(graph, dim, epochs, seed, above, *cell) for cell in track(cells, "numbers that stay finite")]


def _grid() -> Iterator[tuple[Geometry, Dtype, float]]:
    return ((geometry, dtype, rate) for geometry in MODELS for dtype in DTYPES for rate in RATES)


def _trial(
    graph: Graph,
    dim: int,
    epochs: int,
    seed: int,
    above: NDArray[np.bool_],
    geometry: Geometry,
    dtype: Dtype,
    rate: float,
    start: Start,
) -> Trial:
    recipe = Recipe(epochs, rates=(rate, rate), dtype=dtype, start=start, seed=seed)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            found = learn(graph, geometry, dim, recipe)
        except FloatingPointError:
            return Trial(geometry, dtype, rate, start, False, 0.0, False, 0.0)
    warned = any(issubclass(warning.category, ClampWarning) for warning in told)
    ranked = retrieval(all_distances(found.points, geometry), above).map
    finite = bool(np.isfinite(found.points).all())
    return Trial(geometry, dtype, rate, start, finite, found.clamped, warned, ranked)


def trials_table(found: Sequence[Trial]) -> str:
    """The grid as CSV, a cell a line."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["model", "dtype", "rate", "start", "finite", "share on the clamp", "warned", "map_learned"])
    for cell in found:
        words = (
            "yes" if cell.finite else "no",
            f"{cell.clamped:.4f}",
            "yes" if cell.warned else "no",
            f"{cell.map:.4f}",
        )
        table.writerow([cell.geometry, cell.dtype, cell.rate, cell.start, *words])
    return text.getvalue()


def disagreement(graph: Graph, dim: int, seed: int) -> tuple[float, float]:
    """By how much the distances of the same points differ between the ball and the hyperboloid, relative to each.

    The points are the construction, its farthest node at radius 12, and every point moved over by `to_lorentz`.

    Returns:
        The greatest difference over all pairs: with this package's formulas, and with the usual ones,
        arcosh(1 + 2 |x - y|^2 / ((1 - |x|^2)(1 - |y|^2))) and arcosh(-<x, y>). The latter infinite where two
        different points come out at distance 0.
    """
    tree = spanning_tree(graph)
    longest = construct(tree, dim, tree_centre(tree), seed=seed, correct_turns=False)
    tau = longest.tau * AGREEMENT_RADIUS / longest.radius
    points = construct(tree, dim, tree_centre(tree), tau, seed, correct_turns=False).points
    moved, pairs = to_lorentz(points), np.triu_indices(len(points), 1)
    ours = (all_distances(points, "poincare")[pairs], all_distances(moved, "lorentz")[pairs])
    usual = (_arcosh_of_ball(points)[pairs], _arcosh_of_sheet(moved)[pairs])
    return _greatest_difference(*ours), _greatest_difference(*usual)


def _greatest_difference(one: Floats, other: Floats) -> float:
    larger = np.maximum(one, other)
    return float(np.max(np.abs(one - other) / np.where(larger > 0, larger, 1.0)))


def _arcosh_of_ball(points: Floats) -> Floats:
    square = np.sum(points**2, axis=1)
    apart = np.sum((points[:, None] - points[None]) ** 2, axis=2)
    distances: Floats = np.arccosh(1.0 + 2.0 * apart / ((1.0 - square[:, None]) * (1.0 - square)))
    return distances


def _arcosh_of_sheet(points: Floats) -> Floats:
    product = points[:, 1:] @ points[:, 1:].T - np.outer(points[:, 0], points[:, 0])
    distances: Floats = np.arccosh(np.maximum(1.0, -product))
    return distances


class _Reached(Exception):
    """Ends learning where the goal is reached."""


def seconds_to_goal(graph: Graph, geometry: Geometry, dim: int, seed: int, goal: float = GOAL_MAP) -> float:
    """Processor seconds until distance alone finds ancestors with a MAP of `goal`.

    With the recipe that `embed` has by itself, its start included, compilation and the looking not; every second pass
    is looked at.

    Returns:
        Infinity where the goal is never reached.
    """
    above = closure(graph)
    learn(graph, geometry, dim, Recipe(epochs=1, seed=seed))
    # Another object of the same graph: the start is laid out anew, and its time counts.
    graph = dataclasses.replace(graph)
    begin, looked, spent = time.thread_time(), 0.0, math.inf

    def look(epoch: int, epochs: int, loss: float, points: Points) -> None:
        nonlocal looked, spent
        if epoch % 2:
            return
        paused = time.thread_time()
        if retrieval(all_distances(points, geometry), above).map >= goal:
            spent = paused - begin - looked
            raise _Reached
        looked += time.thread_time() - paused

    with contextlib.suppress(_Reached):
        learn(graph, geometry, dim, Recipe(seed=seed), report=look)
    return spent
