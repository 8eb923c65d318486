"""What the hyperbolic experiment measures on every embedding, curved or flat, and how seeds become intervals."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from feasibility.harness import Metric
from feasibility.intervals import student_interval
from hyperbolic.construction import construct
from hyperbolic.graph import Graph, adjacency, closure, hop_distances, spanning_tree, tree_centre
from hyperbolic.manifolds import Geometry, all_distances
from hyperbolic.metrics import distortion, excess_weight, path_excess, retrieval, worst_distortion
from hyperbolic.stress import Loss, fit_stress
from hyperbolic.stress_curved import fit_stress_curved

Floats = NDArray[np.float64]
Numbers = dict[str, float]

# Flat points may choose the weight that suits them best, on the very data that they are judged on.
ANY_WEIGHT = (0.0, 0.5, 0.8, 0.9, 0.95, 1.0)
# In which direction a measure improves, for those that are compared as a benefit.
ERRORS = ("distortion", "stress1")
GAINS = (
    "rho",
    "map_neighbours",
    "map_closure",
    "map_learned",
    "map_links",
    "map_transitive_0",
    "map_transitive_10",
    "ami",
    "ari",
    "knn",
)


class Yardstick:
    """A graph with everything that embeddings of it are compared with; all matrices are [n, n]."""

    def __init__(self, graph: Graph) -> None:
        self.graph, self.tree = graph, spanning_tree(graph)
        self.hops, self.tree_hops = hop_distances(graph), hop_distances(self.tree)
        # Of the root's distance in the ancestor score: theory says just below 1, and curved points get no choice.
        self.weight = (excess_weight(float(self.tree_hops[graph.root].max())),)
        self._made: dict[tuple[int, int, bool], Floats] = {}
        self.neighbours, self.ancestors = adjacency(graph), closure(graph)

    def curved(self, dim: int, seed: int, correct_turns: bool = True) -> Numbers:
        """Measure the construction in the Poincaré ball, its worst distortion also against the tree it laid out."""
        begin = time.thread_time()
        points = self._construct(dim, seed, correct_turns)
        spent = time.thread_time() - begin
        worst = worst_distortion(all_distances(points, "poincare"), self.tree_hops)
        return self._measured(points, "poincare", self.weight) | {"distortion_worst_tree": worst, "construct_s": spent}

    def shuffled(self, dim: int, seed: int) -> Numbers:
        """Measure the same points with the names dealt out at random: the geometry without knowledge of the tree."""
        points = self._construct(dim, seed, True)
        return self._measured(np.random.default_rng(seed).permutation(points), "poincare", self.weight)

    def flat(
        self, dim: int, seed: int, iterations: int, loss: Loss = "squares", start: Floats | None = None
    ) -> tuple[Numbers, Floats]:
        """Measure a Euclidean fit; also returns its points [n, dim]."""
        begin = time.thread_time()
        points = fit_stress(self.hops, dim, seed, iterations, loss, start)
        spent = time.thread_time() - begin
        return self._measured(points, "euclidean", ANY_WEIGHT) | {"construct_s": spent}, points

    def curved_fit(self, dim: int, seed: int, iterations: int) -> Numbers:
        """Measure points of curved space that were fitted to the distances by optimisation."""
        begin = time.thread_time()
        points, _ = fit_stress_curved(self.hops, dim, seed, iterations)
        spent = time.thread_time() - begin
        return self._measured(points, "lorentz", self.weight) | {"construct_s": spent}

    def placed(self, dim: int, seed: int) -> Floats:
        """The distances of the construction, [n, n]."""
        return all_distances(self._construct(dim, seed, True), "poincare")

    def between(self, points: Floats) -> Floats:
        """The distances of flat points, [n, n]."""
        return all_distances(points, "euclidean")

    def measure(self, distances: Floats, weights: Sequence[float]) -> Numbers:
        """All quality figures of one matrix of distances against the graph; ancestors by the best of the weights."""
        whole = distortion(distances, self.hops)
        above = [
            retrieval(path_excess(distances, distances[self.graph.root], weight), self.ancestors) for weight in weights
        ]
        best = max(above, key=lambda found: found.map)
        return {
            "distortion": whole.average,
            "distortion_worst": whole.worst,
            "stress1": whole.stress1,
            "rho": whole.rho,
            "map_neighbours": retrieval(distances, self.neighbours).map,
            "map_closure": best.map,
            "mean_rank_closure": best.mean_rank,
            "map_closure_distance": retrieval(distances, self.ancestors).map,
        }

    def _construct(self, dim: int, seed: int, correct_turns: bool) -> Floats:
        """The points of a construction, made once."""
        key = (dim, seed, correct_turns)
        if key not in self._made:
            centre = tree_centre(self.tree)
            self._made[key] = construct(self.tree, dim, centre, seed=seed, correct_turns=correct_turns).points
        return self._made[key]

    def _measured(self, points: Floats, geometry: Geometry, weights: Sequence[float]) -> Numbers:
        return self.measure(all_distances(points, geometry), weights) | {"memory_bytes": float(points.nbytes)}


def benefits(curved: Sequence[Numbers], flat: Sequence[Numbers]) -> Numbers:
    """By how many percent the best of several curved embeddings beats the best flat one, as `benefit_<measure>`.

    100 (flat - curved) / flat for errors, 100 (curved - flat) / flat for gains; every measure has its own best ones,
    and is left out where one side lacks it.
    """
    found = {}
    for name, choose, sign in (*((name, min, -1.0) for name in ERRORS), *((name, max, 1.0) for name in GAINS)):
        ours, theirs = ([row[name] for row in rows if name in row] for rows in (curved, flat))
        if ours and theirs:
            best = choose(theirs)
            found[f"benefit_{name}"] = sign * 100.0 * (choose(ours) - best) / best
    return found


def seconds(action: Callable[[], object]) -> float:
    """Processor seconds of the calling thread: the other threads of a BLAS mostly spin here."""
    begin = time.thread_time()
    action()
    return time.thread_time() - begin


def over_seeds(values: Sequence[float], name: str) -> Metric:
    """The mean over seeds with Student's interval; all pairs and nodes are measured, only the seed varies.

    One seed shows no spread: its interval has no width, and its method says so.

    Args:
        values: one a seed.
        name: of the measure, which tells its unit and the values that it cannot pass.
    """
    sample = np.asarray(values, dtype=float)
    mean, count = float(sample.mean()), len(sample)
    if count == 1:
        return Metric(mean, _unit(name), 1, (mean, mean), "all pairs of the graph; one seed, spread unknown")
    if np.ptp(sample) == 0:
        return Metric(mean, _unit(name), count, (mean, mean), f"all pairs of the graph; {count} seeds, all alike")
    found = student_interval(sample, _unit(name), "seeds")
    least, most = _range(name)
    interval = (max(least, found.ci95[0]), min(most, found.ci95[1]))
    return replace(found, ci95=interval, method=f"all pairs of the graph; {found.method}")


def _unit(name: str) -> str:
    if name.startswith("benefit_"):
        return "%"
    if name.startswith("seconds_"):
        return "s"
    return {"construct_s": "s", "learn_s": "s", "memory_bytes": "bytes", "pairs_per_s": "pairs/s"}.get(name, "")


def _range(name: str) -> tuple[float, float]:
    """The least and the greatest value that a measure can have."""
    if name.startswith("benefit_"):
        return -math.inf, math.inf
    if name in ("rho", "ami", "ari"):
        return -1.0, 1.0
    if name in ("knn", "clamped") or name.startswith("map_"):
        return 0.0, 1.0
    return (1.0 if "worst" in name or "rank" in name else 0.0), math.inf
