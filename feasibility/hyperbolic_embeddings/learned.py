"""What the hyperbolic experiment learns, and the three questions that it asks of what was learned.

*Reconstruction*: all (word, ancestor) pairs are given; do they come first? *Link prediction*: a fifth of the pairs
that are no edges is hidden; do the hidden ones come first? *Transitive generalisation*: only the edges are given, or
the edges and a tenth of the other pairs; do ancestors come first that were never given?

Every variant has the same loss, negatives and passes, and as many numbers a word: a bias takes a coordinate's place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hyperbolic.descent import Recipe
from hyperbolic.graph import Graph, closure
from hyperbolic.learning import learn
from hyperbolic.manifolds import Geometry, all_distances
from hyperbolic.metrics import path_excess, retrieval

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Pairs = NDArray[np.int64]
Numbers = dict[str, float]

# Weights of the root's distance in the ancestor score, for all variants alike; chosen on pairs kept for that.
WEIGHTS = (0.0, 0.5, 0.8, 0.9, 0.95, 1.0)
HIDDEN_LINKS, TESTED, VALIDATED = 0.2, 0.05, 0.05


@dataclass(frozen=True)
class Variant:
    """One way to learn.

    Args:
        name: as reported.
        geometry: where the points live.
        rates: first and last learning rate where all pairs are given.
        sparse_rates: the same where hardly more than the edges are given.
        start: see `Recipe`.
        bias, squared: see `Recipe`.
    """

    name: str
    geometry: Geometry
    rates: tuple[float, float]
    sparse_rates: tuple[float, float]
    start: Any = "tree"
    bias: bool = False
    squared: bool = False

    @property
    def hopeless(self) -> bool:
        """Flat points that rank by distance alone: MAP .2 where all others have .9. A quick run asks them no more."""
        return self.geometry == "euclidean" and not self.bias


# Rates and starts: the best of {0.1, 0.3, 1} x {tree, random} on WordNet's birds, none on the mammals that are judged.
LEARNED = (
    Variant("euclidean", "euclidean", (1.0, 0.05), (1.0, 0.05), start="random"),
    Variant("euclidean_squared", "euclidean", (0.3, 0.01), (0.3, 0.01), start="random", squared=True),
    Variant("euclidean_bias", "euclidean", (1.0, 0.05), (0.3, 0.03), bias=True),
    Variant("poincare", "poincare", (0.5, 0.01), (0.1, 0.01)),
    Variant("lorentz", "lorentz", (0.5, 0.01), (0.1, 0.01)),
)
# As the literature learns: without a layout to begin with.
FROM_CHAOS = (
    Variant("poincare_random", "poincare", (0.3, 0.01), (0.1, 0.03), start="random"),
    Variant("lorentz_random", "lorentz", (0.3, 0.01), (0.1, 0.03), start="random"),
    Variant("euclidean_bias_random", "euclidean", (1.0, 0.05), (1.0, 0.05), start="random", bias=True),
)


def masks(graph: Graph) -> tuple[Bools, Bools]:
    """Which word is above which, and which of these pairs are edges: [n, n] bool each."""
    above, edges = closure(graph), np.zeros((len(graph), len(graph)), dtype=bool)
    edges[graph.edges[:, 0], graph.edges[:, 1]] = True
    return above, edges


@dataclass(frozen=True, eq=False)
class Split:
    """(word, ancestor) pairs that are given, asked for, and used to choose a weight; [n, n] bool each."""

    given: Bools
    sought: Bools
    chosen_on: Bools


def link_split(above: Bools, edges: Bools, seed: int) -> Split:
    """Hide a fifth of the pairs that are no edges."""
    drawn = _shuffled(above & ~edges, seed)
    sought = _mask(drawn[: round(HIDDEN_LINKS * len(drawn))], above)
    return Split(above & ~sought, sought, np.zeros_like(above))


def transitive_split(above: Bools, edges: Bools, share: float, seed: int) -> Split:
    """Give the edges and a share of the other pairs; ask for 5 % of these, and choose on 5 % more."""
    drawn = _shuffled(above & ~edges, seed)
    tested, validated = round(TESTED * len(drawn)), round(VALIDATED * len(drawn))
    rest = drawn[tested + validated :]
    given = edges | _mask(rest[: round(share * len(drawn))], above)
    return Split(given, _mask(drawn[:tested], above), _mask(drawn[tested : tested + validated], above))


def _shuffled(pairs: Bools, seed: int) -> Pairs:
    listed = np.argwhere(pairs)
    return listed[np.random.default_rng(1000 + seed).permutation(len(listed))]


def _mask(pairs: Pairs, like: Bools) -> Bools:
    mask = np.zeros_like(like)
    mask[pairs[:, 0], pairs[:, 1]] = True
    return mask


@dataclass(frozen=True, eq=False)
class Fitted:
    """Distances that were learned, [n, n], with the bias of each candidate, [n], and what the passes cost."""

    distances: Floats
    bias: Floats
    seconds: float
    compared: int
    clamped: float

    def score(self) -> Floats:
        """How unlikely v is above u, as it was trained: row u, column v."""
        return self.distances + self.bias


def fit(graph: Graph, variant: Variant, dim: int, seed: int, epochs: int, given: Bools | None = None) -> Fitted:
    """Learn one variant from all pairs, or from those that are given."""
    sparse = given is not None and given.sum() < 3 * len(graph.edges)
    rates = variant.sparse_rates if sparse else variant.rates
    recipe = Recipe(
        epochs=epochs, rates=rates, start=variant.start, bias=variant.bias, squared=variant.squared, seed=seed
    )
    pairs = None if given is None else np.argwhere(given)
    found = learn(graph, variant.geometry, dim - variant.bias, recipe, pairs=pairs)
    distances = all_distances(found.points, variant.geometry)
    bias = np.zeros(len(graph)) if found.bias is None else found.bias.astype(np.float64)
    return Fitted(distances, bias, found.seconds, found.compared, found.clamped)


def reconstruction(fitted: Fitted, above: Bools) -> Numbers:
    """Rank all ancestors, as they were given."""
    found = retrieval(fitted.score(), above)
    return {"map_learned": found.map, "mean_rank_learned": found.mean_rank}


def link_prediction(fitted: Fitted, split: Split, above: Bools) -> Numbers:
    """Rank the hidden ancestors among all words that are not above."""
    found = retrieval(fitted.score(), split.sought, above & ~split.sought)
    return {"map_links": found.map, "mean_rank_links": found.mean_rank}


def transitive(scores: Floats, from_root: Floats, split: Split, above: Bools, share: float) -> Numbers:
    """Rank ancestors that were never given by path excess, whose weight is chosen on others that were not either."""

    def ranked(weight: float, sought: Bools) -> float:
        return retrieval(path_excess(scores, from_root, weight), sought, above & ~sought).map

    weight = max(WEIGHTS, key=lambda weight: ranked(weight, split.chosen_on))
    return {f"map_transitive_{round(100 * share)}": ranked(weight, split.sought)}
