"""Edges in, named points out: the one call that most users need."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hyperbolic import manifolds, metrics
from hyperbolic.graph import Name
from hyperbolic.storage import BadFile, read_npz, write_npz

Floats = NDArray[np.float64]
Points = NDArray[np.floating[Any]]
Score = Literal["path-excess", "distance", "bias"]

KIND = "hyperbolic.embedding.v1"
SCORES = ("path-excess", "distance", "bias")


@dataclass(frozen=True, eq=False)
class Embedding:
    """Named points of one geometry whose distances follow the graph that they were made from.

    Args:
        names: the nodes in alphabetical (or numerical) order.
        points: [n, dim] float64 or float32, row i belongs to `names[i]`; on the hyperboloid ("lorentz") [n, 1 + dim],
            the time-like coordinate first.
        geometry: whose distance holds between them.
        root: name of the graph's top node.
        tau: length of an edge: distance / tau estimates the edges between two nodes; None where distances estimate them
            themselves, or ranks were learned and not lengths.
        bias: [n] added to the distance of a candidate ancestor; None without one.
        score: how `ancestors` ranks unless it is told otherwise.
    """

    names: tuple[Name, ...]
    points: Points
    geometry: manifolds.Geometry
    root: Name
    tau: float | None = None
    bias: Points | None = None
    score: Score = "path-excess"

    @property
    def dim(self) -> int:
        """Coordinates that a point is free to choose; a point of the hyperboloid has one more."""
        return int(self.points.shape[1]) - (self.geometry == "lorentz")

    @property
    def curvature(self) -> float:
        """-1 of hyperbolic space, 0 of flat space."""
        return 0.0 if self.geometry == "euclidean" else -1.0

    @cached_property
    def _index(self) -> dict[Name, int]:
        return {name: i for i, name in enumerate(self.names)}

    def position(self, name: Name) -> int:
        """The row of a node.

        Raises:
            KeyError: no node of that name.
        """
        if name not in self._index:
            raise KeyError(f"{name!r} is not among the {len(self.names)} nodes, which run from {self.names[0]!r} on")
        return self._index[name]

    def distance(self, a: Name, b: Name) -> float:
        """How far apart two nodes are, in the geometry's own unit.

        Raises:
            KeyError: no node of that name.
        """
        return float(manifolds.distance(self.points[self.position(a)], self.points[self.position(b)], self.geometry))

    def distances(self) -> Floats:
        """The distances of all pairs: [n, n] float64, in the order of `names`. Cost: O(n^2 dim)."""
        return manifolds.all_distances(self.points, self.geometry)

    def ancestors(self, name: Name, k: int, score: Score | None = None) -> list[Name]:
        """The k nodes that most probably stand above a node, nearest first, told from the points alone.

        Takes the k others v of the lowest score: "path-excess" is d(name, v) + 0.95 d(root, v), the least detours
        towards the root (in trees of more than ten levels the weight is nearer to 1); "distance" is d(name, v); "bias"
        is d(name, v) + bias(v). The points tell an order, not a number: a k beyond the ancestors that a node has is
        filled up with nodes that are not above it.

        Args:
            name: of the node below.
            k: how many.
            score: left out, the one that the embedding was made for.

        Returns:
            k names; for the root none, since nothing stands above it.

        Raises:
            KeyError: no node of that name.
            ValueError: k < 1, or more than the n - 1 other nodes; an unknown score, or "bias" without one.
        """
        node = self.position(name)
        if not 1 <= k < len(self.names):
            raise ValueError(
                f"expected 1 to {len(self.names) - 1} ancestors, as many as there are other nodes, got k={k}"
            )
        by = score or self.score
        if by not in SCORES or (by == "bias" and self.bias is None):
            raise ValueError(f"no score {by!r} here; there is 'path-excess', 'distance'" + ", 'bias'" * (by != "bias"))
        if name == self.root:
            return []
        from_node = manifolds.distance(self.points[node], self.points, self.geometry)
        rank, order = from_node, from_node
        if by == "path-excess":
            top = self.points[self.position(self.root)]
            from_root = manifolds.distance(top, self.points, self.geometry)
            weight = metrics.excess_weight(float(from_root.max()) / (self.tau or 1.0))
            rank = metrics.path_excess(from_node, from_root, weight)
        elif by == "bias" and self.bias is not None:
            # A small bias stands for a large ball around a word, which holds many others.
            rank, order = from_node + self.bias, -self.bias.astype(np.float64)
        best = [int(i) for i in np.argsort(rank, kind="stable") if i != node][:k]
        return [self.names[i] for i in sorted(best, key=lambda i: (order[i], i))]

    def save(self, path: str | Path) -> None:
        """Write everything to one .npz file, without pickle: to a temporary file first, which is then renamed.

        Raises:
            OSError: the folder cannot be written.
        """
        description = {
            "kind": KIND,
            "manifold": self.geometry,
            "curvature": self.curvature,
            "dtype": str(self.points.dtype),
            "dim": self.dim,
            "names": list(self.names),
            "root": self.root,
            "tau": self.tau,
            "score": self.score,
        }
        arrays = {"points": self.points} | ({} if self.bias is None else {"bias": self.bias})
        write_npz(path, arrays, description)

    @classmethod
    def load(cls, path: str | Path) -> Embedding:
        """Read what `save` wrote: the same points to the last bit.

        Raises:
            BadFile: not such a file, of another version, or its parts do not fit together.
            FileNotFoundError: there is none.
        """
        arrays, told = read_npz(path, KIND)
        try:
            points, names = arrays["points"], tuple(told["names"])
            read = cls(names, points, told["manifold"], told["root"], told["tau"], arrays.get("bias"), told["score"])
            fits = points.ndim == 2 and points.shape == (len(names), told["dim"] + (read.geometry == "lorentz"))
            fits = fits and str(points.dtype) == told["dtype"] and read.root in names and read.score in SCORES
            fits = (
                fits and (read.bias is None or read.bias.shape == (len(names),)) and told["curvature"] == read.curvature
            )
            manifolds.distance(points, points[:1], read.geometry)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise BadFile(f"{path} is damaged: {error}") from error
        if not fits:
            raise BadFile(f"{path} is damaged: its {len(names)} names, root and points of {points.shape} do not fit")
        return read
