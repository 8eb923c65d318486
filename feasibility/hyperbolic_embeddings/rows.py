"""Every embedding that the hyperbolic experiment compares, as one row of figures each, by dimension and seed."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from feasibility.harness import Track
from feasibility.hyperbolic_embeddings.labels import agreement, branch_labels
from feasibility.hyperbolic_embeddings.learned import (
    FROM_CHAOS,
    LEARNED,
    Numbers,
    Variant,
    fit,
    link_prediction,
    link_split,
    masks,
    reconstruction,
    transitive,
    transitive_split,
)
from feasibility.hyperbolic_embeddings.yardstick import Floats, Yardstick
from hyperbolic.descent import Recipe
from hyperbolic.learning import ClampWarning, learn
from hyperbolic.manifolds import Geometry
from hyperbolic.metrics import average_distortion, retrieval
from hyperbolic.stress import fit_stress

# Which rows compete with which; every measure has its own best row on either side.
CURVED = ("construction", "stress_lorentz", "poincare", "lorentz", "poincare_random", "lorentz_random")
FLAT = (
    "euclidean_stress",
    "euclidean_absolute",
    "euclidean",
    "euclidean_squared",
    "euclidean_bias",
    "euclidean_bias_random",
)
SHARES = (0.0, 0.1)
# What a quick run learns with every seed of the judged dimension, and in the other dimensions: the flat variants that
# are best in some measure, and one of the two models of curved space. The others are learned with the first seed and
# compete with nobody; `--full` learns all of them everywhere.
EVERY_SEED, OTHER_DIMENSIONS = ("euclidean", "euclidean_bias", "lorentz"), ("euclidean_bias", "lorentz")
Table = dict[str, Numbers]


@dataclass(frozen=True)
class Plan:
    """What is run.

    Args:
        dims: coordinates a word.
        dim: the judged one, which is asked all questions; the others are asked for reconstruction only.
        seeds: of the judged dimension; the first one for the others.
        every: ask all questions of every variant in every dimension with every seed, also from a random start.
        epochs: passes of learning over all pairs.
        few_epochs: the same over hardly more pairs than there are edges.
        iterations: most steps of a fit of distances.
    """

    dims: tuple[int, ...]
    dim: int
    seeds: tuple[int, ...]
    every: bool
    epochs: int
    few_epochs: int
    iterations: int

    def cells(self) -> list[tuple[int, int]]:
        """(dimension, seed), the longest first so that two workers end together."""
        dims = sorted({*self.dims, self.dim}, reverse=True)
        return [(dim, seed) for dim in dims for seed in (self.seeds if self.asks_all(dim) else self.seeds[:1])]

    def asks_all(self, dim: int) -> bool:
        """Whether a dimension is asked all questions."""
        return self.every or dim == self.dim

    def variants(self, dim: int, seed: int) -> tuple[Variant, ...]:
        """What is learned in a dimension with a seed."""
        if self.every:
            return LEARNED + FROM_CHAOS
        if dim == self.dim and seed == self.seeds[0]:
            return LEARNED
        names = EVERY_SEED if dim == self.dim else OTHER_DIMENSIONS
        return tuple(variant for variant in LEARNED if variant.name in names)


@dataclass
class Comparison:
    """Rows by (dimension, seed) and name of the embedding; the judged ones carry all measures.

    Args:
        rows: what competes or is shown.
        published: the construction as published, by dimension.
        bounds: the exact tree, which is the best that can be had, and points dealt out at random.
    """

    rows: dict[tuple[int, int], Table] = field(default_factory=dict)
    published: dict[int, Numbers] = field(default_factory=dict)
    bounds: dict[str, Numbers] = field(default_factory=dict)

    def named(self, name: str, dim: int) -> list[Numbers]:
        """The rows of one embedding in one dimension, in the order of the seeds."""
        return [table[name] for table in self.tables(dim) if name in table]

    def tables(self, dim: int) -> list[Table]:
        """All rows of one dimension, in the order of the seeds."""
        return [table for (d, _), table in sorted(self.rows.items()) if d == dim]

    def rivals(self, dim: int) -> list[tuple[list[Numbers], list[Numbers]]]:
        """The curved and the flat rows that compete, a seed each: what was measured with every seed."""
        tables = self.tables(dim)
        shared = set.intersection(*(set(table) for table in tables))
        return [
            ([table[name] for name in CURVED if name in shared], [table[name] for name in FLAT if name in shared])
            for table in tables
        ]


def compare(yardstick: Yardstick, plan: Plan, track: Track) -> Comparison:
    """Embed and measure everything, two cells at once where there are two cores; the figures do not depend on that."""
    found = Comparison()
    first = plan.seeds[0]
    with warnings.catch_warnings(), ThreadPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        # The share of points on the clamp is a figure of its row.
        warnings.simplefilter("ignore", ClampWarning)
        dims, cells = sorted({*plan.dims, plan.dim}), plan.cells()
        compiled = pool.submit(_compile, yardstick, plan.dim)
        published = pool.map(lambda dim: yardstick.curved(dim, first, correct_turns=False), dims)
        exact = pool.submit(yardstick.measure, yardstick.hops, yardstick.weight)
        chance = pool.submit(yardstick.shuffled, plan.dim, first)
        tables: Iterable[Table] = pool.map(lambda cell: _table(yardstick, plan, *cell), cells)
        for cell, table in zip(cells, track(tables, "embedding", len(cells)), strict=True):
            found.rows[cell] = table
        compiled.result()
        found.published = dict(zip(dims, published, strict=True))
        found.bounds = {"tree_metric": exact.result(), "random_control": chance.result()}
    return found


def _compile(yardstick: Yardstick, dim: int) -> None:
    """Compile what fits and learns before it is timed: in a fresh checkout that takes longer than learning."""
    fit_stress(yardstick.hops, dim, iterations=1)
    geometries: tuple[Geometry, ...] = ("euclidean", "lorentz", "poincare")
    for geometry in geometries:
        learn(yardstick.graph, geometry, dim, Recipe(epochs=1, start="random"))


def _table(yardstick: Yardstick, plan: Plan, dim: int, seed: int) -> Table:
    """All rows of one dimension and seed."""
    everything = plan.asks_all(dim)
    asked = _Asked(yardstick, seed, everything)
    table: Table = {"construction": yardstick.curved(dim, seed) | asked.of_distances(yardstick.placed(dim, seed))}
    squares, points = yardstick.flat(dim, seed, plan.iterations)
    table["euclidean_stress"] = squares | asked.of_distances(yardstick.between(points))
    if everything:
        absolute, points = yardstick.flat(dim, seed, plan.iterations, "absolute", points)
        absolute["construct_s"] += squares["construct_s"]
        table["euclidean_absolute"] = absolute | asked.of_distances(yardstick.between(points))
    if plan.every:
        table["stress_lorentz"] = yardstick.curved_fit(dim, seed, plan.iterations)
    for variant in plan.variants(dim, seed):
        table[variant.name] = asked.of_variant(variant, dim, plan)
    return table


class _Asked:
    """The questions that go beyond the yardstick's, for one seed."""

    def __init__(self, yardstick: Yardstick, seed: int, everything: bool) -> None:
        self.yardstick, self.seed, self.everything = yardstick, seed, everything
        self.above, self.edges = masks(yardstick.graph)
        self.labels = branch_labels(yardstick.graph)
        self.links = link_split(self.above, self.edges, seed)
        self.beyond = {share: transitive_split(self.above, self.edges, share, seed) for share in SHARES}

    def of_distances(self, distances: Floats) -> Numbers:
        """Of points that know the edges alone: do they rank the other pairs, and are branches clusters?"""
        if not self.everything:
            return {}
        figures = agreement(distances, self.labels)
        for share in SHARES:
            split, from_root = self.beyond[share], distances[self.yardstick.graph.root]
            figures |= transitive(distances, from_root, split, self.above, share)
        return figures

    def of_variant(self, variant: Variant, dim: int, plan: Plan) -> Numbers:
        """Of points that were learned: from all pairs, from some, from the edges, from who is next to whom."""
        graph, root = self.yardstick.graph, self.yardstick.graph.root
        whole = fit(graph, variant, dim, self.seed, plan.epochs)
        figures = reconstruction(whole, self.above)
        figures |= {"map_closure": figures["map_learned"], "learn_s": whole.seconds, "clamped": whole.clamped}
        figures |= {"pairs_per_s": whole.compared / whole.seconds}
        figures["distortion"] = average_distortion(whole.distances, self.yardstick.hops)
        if not self.everything:
            return figures
        figures |= agreement(whole.distances, self.labels)
        if variant.hopeless and not plan.every:
            return figures
        part = fit(graph, variant, dim, self.seed, plan.epochs, self.links.given)
        figures |= link_prediction(part, self.links, self.above)
        for share in SHARES:
            split = self.beyond[share]
            few = fit(graph, variant, dim, self.seed, plan.few_epochs, split.given)
            figures |= transitive(few.score(), few.distances[root], split, self.above, share)
        beside = fit(graph, variant, dim, self.seed, plan.few_epochs, self.yardstick.neighbours)
        figures["map_neighbours"] = retrieval(beside.score(), self.yardstick.neighbours).map
        return figures
