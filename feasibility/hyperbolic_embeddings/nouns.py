"""All nouns of WordNet in one construction: does it scale, and are ancestors still found?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from feasibility.harness import Metric, Track, exact
from feasibility.hyperbolic_embeddings.yardstick import seconds
from feasibility.intervals import mean_interval
from hyperbolic.embedding import Embedding
from hyperbolic.graph import above_lists, build_graph
from hyperbolic.manifolds import rim_gap
from hyperbolic.methods import embed
from hyperbolic.metrics import excess_weight, path_excess

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TOP, DIM, SAMPLE = "entity.n.01", 10, 2000


def all_nouns(edges: list[tuple[str, str]], seed: int, track: Track, dim: int = DIM) -> dict[str, Metric]:
    """Construct a hierarchy of any size, and rank the ancestors of some of its nodes among all nodes by path excess.

    Args:
        edges: (child, parent) pairs.
        seed: of the sample and of the construction.
        track: shows progress.
        dim: coordinates a word.

    Returns:
        nouns_construct_s: processor seconds from edges to points. nouns_map_closure: mean over at most 2,000 nodes.

    Cost: 82,115 nouns: 10 s of a core and half a minute for the ranks.
    """
    made: list[Embedding] = []
    spent = seconds(lambda: made.append(embed(edges, "poincare", dim, seed=seed)))
    start, above = above_lists(build_graph(edges))
    below = np.flatnonzero(np.diff(start))
    sample = np.random.default_rng(seed).choice(below, min(SAMPLE, len(below)), replace=False)
    points = made[0].points.astype(np.float64)
    root_gap = np.sqrt(rim_gap(points))

    def from_node(node: int) -> Floats:
        chord = np.linalg.norm(points - points[node], axis=1)
        distances: Floats = 2.0 * np.arcsinh(chord / (root_gap[node] * root_gap))
        return distances

    from_root = from_node(made[0].position(made[0].root))
    weight = excess_weight(float(from_root.max()) / (made[0].tau or 1.0))

    def precision(node: int) -> float:
        scores = path_excess(from_node(node), from_root, weight)
        return average_precision(scores, node, above[start[node] : start[node + 1]])

    found = [precision(node) for node in track(sample.tolist(), "ranking ancestors of nouns")]
    return {
        "nouns": exact(len(points), "nodes", len(points)),
        "nouns_construct_s": exact(spent, "s"),
        "nouns_map_closure": mean_interval(found, "", seed),
    }


def average_precision(scores: Floats, node: int, sought: Ints) -> float:
    """The average precision of one row of scores [N], as in `hyperbolic.metrics.retrieval`: ties count against."""
    hits = np.sort(scores[sought])
    wrong = np.ones(len(scores), dtype=bool)
    wrong[sought] = wrong[node] = False
    others = np.sort(scores[wrong])
    place = np.arange(1, len(hits) + 1)
    return float((place / (place + np.searchsorted(others, hits, side="right"))).mean())
