"""A tree laid out in hyperbolic space edge by edge, without any training.

The construction of Sarkar (2011) in the plane and of Sala, De Sa, Gu and Ré (2018) in more dimensions: put a node at
the centre, its neighbours around it at distance tau, move to each neighbour, repeat. Hyperbolic space has room for it:
with long edges the distance of two nodes is nearly the length of their way through the tree. Two things are ours: the
directions at a node are spread by the weight of the branches behind them, and every edge is made longer by what turning
at its two ends costs on average. Together they divide the distortion by two to four (docs/hyperbolic.md).

Positions are computed with 50 decimal digits and rounded once: near the rim float64 arithmetic would add errors as
large as an edge.

Axis legend: K neighbours of a node, E embedding dim.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, localcontext

import numpy as np
from numpy.typing import NDArray

from hyperbolic.directions import polygon, spread_directions, turn_losses, turn_offsets
from hyperbolic.exact import Point, direction_to, dot, radius_of, step_from
from hyperbolic.graph import Graph, hops_from, neighbours_of
from hyperbolic.manifolds import OutsideBall, rim_gap

Floats = NDArray[np.float64]

# float64 points nearer to the rim lie about as far apart as the distances that they should tell apart.
RADIUS_LIMIT = 36.0
# A pair of nodes weighs 1 / (edges between them)^NEARNESS where branches are weighed against one another: 2 is the
# relative squared error, more protects near pairs and the worst case at the cost of the average. Chosen on WordNet's
# birds and trees, not on the mammals that the experiment reports.
NEARNESS = 3.0
_DIGITS = 50


@dataclass(frozen=True, eq=False)
class Layout:
    """A tree in the Poincaré ball.

    Args:
        points: [n, E] float64, row i is node i; the start node is the centre.
        tau: length of an edge before any correction; distance / tau estimates edges.
        radius: hyperbolic distance of the farthest node from the centre.
    """

    points: Floats
    tau: float
    radius: float


@dataclass(frozen=True, eq=False)
class _Fan:
    """How the neighbours of one node lie around it; the one towards the start comes first."""

    neighbours: list[int]
    directions: Floats
    offsets: Floats


@dataclass(frozen=True, eq=False)
class _Walk:
    """A tree seen from its start node: nearest nodes first, and for each the one before it (-1 at the start)."""

    order: list[int]
    back: list[int]
    neighbours: list[list[int]]


def construct(
    tree: Graph, dim: int, start: int, tau: float | None = None, seed: int = 0, correct_turns: bool = True
) -> Layout:
    """Lay out a tree in the Poincaré ball.

    Args:
        tree: every node but the root has one parent (`spanning_tree` makes it so).
        dim: coordinates a point, at least 2.
        start: the node at the centre of the ball; `tree_centre` gives the longest edges.
        tau: length of an edge. Left out, as long as float64 allows: the farthest node at radius 36.
        seed: of the directions in three and more dimensions.
        correct_turns: spread directions by weight and lengthen edges by the loss of turning. False is the construction
            as published: directions spread evenly, all edges of length tau.

    Raises:
        ValueError: dim < 2, tau <= 0, or a node with several parents.
        OutsideBall: tau, or the corrections of a very deep tree alone, put a node beyond radius 36.

    Cost: O(n E) decimal operations and one small optimisation an inner node: 0.5 s for 1,180 nodes in 5 dimensions.
    """
    if dim < 2:
        raise ValueError(f"a tree needs at least 2 dimensions to branch, got dim={dim}")
    if tau is not None and not (np.isfinite(tau) and tau > 0):
        raise ValueError(f"the length of an edge must be positive and finite, got tau={tau}")
    if len(tree.edges) != len(tree) - 1:
        raise ValueError(f"expected a tree, got {len(tree)} nodes and {len(tree.edges)} edges; take its spanning_tree")
    walk = _Walk(*hops_from(tree, start), neighbours_of(tree))
    fans = _fans(walk, dim, seed, correct_turns)
    longest = _longest_edge(walk, fans)
    if longest <= 0:
        raise OutsideBall(
            f"{len(tree)} nodes are too deep a tree for the correction of its turns; pass correct_turns=False"
        )
    if tau is not None and tau > longest * (1 + 1e-9):
        raise OutsideBall(
            f"tau={tau:g} puts the farthest node beyond radius {RADIUS_LIMIT:g}; use tau <= {longest:.6g}"
        )
    return _place(walk, fans, dim, longest if tau is None else tau)


def _fans(walk: _Walk, dim: int, seed: int, correct_turns: bool) -> list[_Fan]:
    """Directions and edge corrections at every node, [n] in the order of the nodes."""
    rng = np.random.default_rng(seed)
    around = [
        sorted(nodes, key=lambda other: other != back) for nodes, back in zip(walk.neighbours, walk.back, strict=True)
    ]
    if correct_turns:
        branches = _branches(walk)
        return [_weighted_fan(nodes, branches[node], dim, rng) for node, nodes in enumerate(around)]
    even: dict[int, Floats] = {}
    for count in sorted({len(nodes) for nodes in around}):
        even[count] = polygon(count) if dim == 2 else spread_directions(np.ones((count, count)), dim, rng)
    return [_Fan(nodes, even[len(nodes)], np.zeros(len(nodes))) for nodes in around]


def _weighted_fan(
    around: list[int], branches: dict[int, tuple[float, float]], dim: int, rng: np.random.Generator
) -> _Fan:
    """Spread the branches of a node by what the ways between them weigh, and correct what turning still costs."""
    size, far = np.array([branches[other] for other in around]).T
    weights = np.outer(size, size) / np.add.outer(far, far) ** NEARNESS
    # The root of the weights: spread by the full weights, light branches would crowd together.
    directions = spread_directions(np.sqrt(weights), dim, rng)
    return _Fan(around, directions, turn_offsets(directions, weights, size / far**NEARNESS))


def _branches(walk: _Walk) -> list[dict[int, tuple[float, float]]]:
    """For every neighbour of every node: how many nodes lie behind it, and at how many edges on average."""
    total = len(walk.order)
    size, below = np.ones(total), np.zeros(total)
    for node in reversed(walk.order[1:]):
        size[walk.back[node]] += size[node]
        below[walk.back[node]] += below[node] + size[node]
    everywhere = below.copy()
    for node in walk.order[1:]:
        everywhere[node] = everywhere[walk.back[node]] + total - 2 * size[node]

    def branch(node: int, other: int) -> tuple[float, float]:
        if other == walk.back[node]:
            behind, edges = total - size[node], everywhere[node] - below[node]
        else:
            behind, edges = size[other], below[other] + size[other]
        return float(behind), float(edges / behind)

    return [{other: branch(node, other) for other in walk.neighbours[node]} for node in range(total)]


def _longest_edge(walk: _Walk, fans: list[_Fan]) -> float:
    """The tau that puts the farthest node at the radius limit.

    A node at h edges has the radius h tau + (corrections of its edges) - (losses of its turns), up to exp(-tau).
    """
    hops, extra = np.zeros(len(fans)), np.zeros(len(fans))
    for node in walk.order:
        fan = fans[node]
        losses = turn_losses(fan.directions)[0] if node != walk.order[0] else np.zeros(len(fan.neighbours))
        for other, offset, loss in zip(fan.neighbours, fan.offsets, losses, strict=True):
            if other != walk.back[node]:
                hops[other] = hops[node] + 1
                extra[other] = extra[node] + offset + fans[other].offsets[0] - loss
    outer = np.array(walk.order[1:])
    return float(np.min((RADIUS_LIMIT - extra[outer]) / hops[outer]))


def _place(walk: _Walk, fans: list[_Fan], dim: int, tau: float) -> Layout:
    """Walk outwards from the start and put every node where its fan says, in decimals; round at the end."""
    with localcontext(prec=_DIGITS):
        exact: dict[int, Point] = {walk.order[0]: [Decimal(0)] * dim}
        for node in walk.order:
            fan, here, back = fans[node], exact[node], walk.back[node]
            if fan.neighbours == [back]:
                continue
            directions = fan.directions if back < 0 else _turned(fan.directions, direction_to(exact[back], here))
            for other, direction, offset in zip(fan.neighbours, directions, fan.offsets, strict=True):
                if other != back:
                    exact[other] = step_from(here, direction, tau + float(offset + fans[other].offsets[0]))
        radius = radius_of(max(exact.values(), key=lambda point: dot(point, point)))
    points = np.array([[float(coordinate) for coordinate in exact[node]] for node in range(len(fans))])
    # Refuses a point that rounding has put on the rim.
    rim_gap(points)
    return Layout(points, tau, radius)


def _turned(directions: Floats, towards: Floats) -> Floats:
    """Reflect a fan so that its first direction becomes `towards`; angles stay."""
    mirror = directions[0] - towards
    length = float(np.linalg.norm(mirror))
    if length < 1e-12:
        return directions
    mirror = mirror / length
    turned: Floats = directions - 2.0 * np.outer(directions @ mirror, mirror)
    return turned
