"""Edges in, named points out: the one call that most users need."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hyperbolic import manifolds, metrics
from hyperbolic.construction import construct
from hyperbolic.graph import Graph, build_graph, hop_distances, spanning_tree, tree_centre
from hyperbolic.stress import fit_stress
from hyperbolic.wedges import layout_wedges

Floats = NDArray[np.float64]
Method = Literal["construct", "wedges", "stress"]

METHODS: tuple[tuple[manifolds.Geometry, Method], ...] = (
    ("poincare", "construct"),
    ("poincare", "wedges"),
    ("euclidean", "stress"),
)


@dataclass(frozen=True, eq=False)
class Embedding:
    """Named points of one geometry whose distances follow the graph that they were made from.

    Args:
        names: the nodes in alphabetical order.
        points: [n, dim] float64, row i belongs to `names[i]`.
        geometry: whose distance holds between them.
        root: name of the graph's top node.
        tau: length of an edge: distance / tau estimates the edges between two nodes; None where distances estimate them
            themselves.
    """

    names: tuple[str, ...]
    points: Floats
    geometry: manifolds.Geometry
    root: str
    tau: float | None = None

    @property
    def dim(self) -> int:
        """Coordinates a point."""
        return int(self.points.shape[1])

    @cached_property
    def _index(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.names)}

    def position(self, name: str) -> int:
        """The row of a node.

        Raises:
            KeyError: no node of that name.
        """
        if name not in self._index:
            raise KeyError(f"{name!r} is not among the {len(self.names)} nodes, which run from {self.names[0]!r} on")
        return self._index[name]

    def distance(self, a: str, b: str) -> float:
        """How far apart two nodes are, in the geometry's own unit.

        Raises:
            KeyError: no node of that name.
        """
        return float(manifolds.distance(self.points[self.position(a)], self.points[self.position(b)], self.geometry))

    def distances(self) -> Floats:
        """The distances of all pairs: [n, n] float64, in the order of `names`. Cost: O(n^2 dim)."""
        return manifolds.all_distances(self.points, self.geometry)

    def ancestors(self, name: str, k: int) -> list[str]:
        """The k nodes that most probably stand above a node, nearest first, told from the points alone.

        Takes the k others v of the lowest d(name, v) + 0.95 d(root, v), the least detours towards the root
        (`path_excess`). The points tell an order, not a number: a k beyond the ancestors that a node has is filled up
        with nodes that are not above it.

        Returns:
            k names; for the root none, since nothing stands above it.

        Raises:
            KeyError: no node of that name.
            ValueError: k < 1, or more than the n - 1 other nodes.
        """
        node = self.position(name)
        if not 1 <= k < len(self.names):
            raise ValueError(
                f"expected 1 to {len(self.names) - 1} ancestors, as many as there are other nodes, got k={k}"
            )
        if name == self.root:
            return []
        from_node, from_root = (
            manifolds.distance(self.points[i], self.points, self.geometry) for i in (node, self.position(self.root))
        )
        score = metrics.path_excess(from_node, from_root)
        ranked = [int(i) for i in np.argsort(score, kind="stable") if i != node]
        return [self.names[i] for i in sorted(ranked[:k], key=lambda i: (from_node[i], i))]


def embed(
    edges: Iterable[tuple[str, str]] | Graph,
    geometry: manifolds.Geometry = "poincare",
    dim: int = 5,
    method: Method = "construct",
    *,
    root: str | None = None,
    tau: float | None = None,
    seed: int = 0,
) -> Embedding:
    """Give every node of a graph a point, so that distances follow the edges between nodes.

    Args:
        edges: (child, parent) pairs of names, or a graph that `build_graph` made of them.
        geometry: "poincare" is curved and has room for trees; "euclidean" is flat, for comparison.
        dim: coordinates a point.
        method: "construct" lays out a spanning tree for true distances, without training; "wedges" lays it out in the
            disk (dim=2) for the eye; "stress" fits Euclidean distances by optimisation.
        root: see `build_graph`; only with edges.
        tau: length of an edge, only for the two layouts: see `construct` and `layout_wedges`.
        seed: of what is random, 0 or more.

    Raises:
        ValueError: a geometry and method that do not exist together (the message lists those that do), or a value that
            they refuse. GraphError and OutsideBall are such errors.

    Cost: see `construct` and `fit_stress`.
    """
    if (geometry, method) not in METHODS:
        existing = ", ".join(f"geometry={g!r} with method={m!r}" for g, m in METHODS)
        raise ValueError(f"no method {method!r} for geometry {geometry!r}; there is {existing}")
    if seed < 0:
        raise ValueError(f"a seed must be 0 or more, got seed={seed}")
    if isinstance(edges, Graph):
        if root is not None:
            raise ValueError("a graph has its root already; name one only together with edges")
        graph = edges
    else:
        graph = build_graph(edges, root)
    top = graph.names[graph.root]
    if method == "stress":
        if tau is not None:
            raise ValueError("tau is the edge length of a layout; method='stress' has none")
        return Embedding(graph.names, fit_stress(hop_distances(graph), dim, seed), geometry, top)
    tree = spanning_tree(graph)
    if method == "wedges":
        if dim != 2:
            raise ValueError(f"method='wedges' fills the disk and needs dim=2, got dim={dim}")
        points, edge = layout_wedges(tree, tau)
        return Embedding(graph.names, points, geometry, top, edge)
    layout = construct(tree, dim, tree_centre(tree), tau, seed)
    return Embedding(graph.names, layout.points, geometry, top, layout.tau)
