"""A tree laid out in hyperbolic space edge by edge, without any training.

The construction of Sarkar (2011) in the plane and of Sala, De Sa, Gu and Ré (2018) in more dimensions: put a node at
the centre, its neighbours around it at distance tau, move to each neighbour, repeat. Hyperbolic space has room for it:
with long edges the distance of two nodes is nearly the length of their way through the tree. Two things are ours: the
directions at a node are spread by the weight of the branches behind them, and every edge is made longer by what turning
at its two ends costs on average. Together they divide the distortion by two to four (docs/hyperbolic.md).

Positions are computed with twice the digits of float64 and rounded once: near the rim float64 arithmetic would add
errors as large as an edge. All nodes at one number of edges from the centre are placed at once.

Axis legend: K neighbours of a node, E embedding dim.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hyperbolic.directions import polygon, spread_directions, turn_offsets
from hyperbolic.graph import Graph, hops_from
from hyperbolic.manifolds import OutsideBall, rim_gap
from hyperbolic.twofold import Twofold, dot, twofold

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# float64 points nearer to the rim lie about as far apart as the distances that they should tell apart.
RADIUS_LIMIT = 36.0
# A pair of nodes weighs 1 / (edges between them)^NEARNESS where branches are weighed against one another: 2 is the
# relative squared error, more protects near pairs and the worst case at the cost of the average. Chosen on WordNet's
# birds and trees, not on the mammals that the experiment reports.
NEARNESS = 3.0
# So many numbers at once where the branches of many nodes are spread: a processor's cache holds them.
_BLOCK = 100_000


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
class _Walk:
    """A tree seen from its start node, its nodes renumbered by their order in a walk, nearest first.

    Args:
        order: [n] the node at each place of the walk.
        back: [n] place of the node before, -1 at the start.
        level: places of the nodes at 0, 1, 2 ... edges are level[h]:level[h + 1].
        first: [n] place of a node's first successor; they follow one another.
        count: [n] how many successors it has.
    """

    order: Ints
    back: Ints
    level: list[int]
    first: Ints
    count: Ints


@dataclass(frozen=True, eq=False)
class _Fans:
    """How every node lies in the fan of the node before it, by place in the walk.

    Args:
        direction: [n, E] in which a node's edge leaves the node before.
        homeward: [n, E] first direction of a node's own fan, which leads back.
        extra: [n] how much longer than tau a node's edge is, both ends together.
        loss: [n] what turning from the way back into a node's edge costs.
    """

    direction: Floats
    homeward: Floats
    extra: Floats
    loss: Floats


def construct(
    tree: Graph, dim: int, start: int, tau: float | None = None, seed: int = 0, correct_turns: bool | None = None
) -> Layout:
    """Lay out a tree in the Poincaré ball.

    Args:
        tree: every node but the root has one parent (`spanning_tree` makes it so).
        dim: coordinates a point, at least 2.
        start: the node at the centre of the ball; `tree_centre` gives the longest edges.
        tau: length of an edge. Left out, as long as float64 allows: the farthest node at radius 36.
        seed: of the directions in three and more dimensions.
        correct_turns: spread directions by weight and lengthen edges by the loss of turning. False is the construction
            as published: directions spread evenly, all edges of length tau. Left out, turns are corrected unless the
            tree is so deep that the corrections alone would leave the ball.

    Raises:
        ValueError: dim < 2, tau <= 0, or a node with several parents.
        OutsideBall: tau puts a node beyond radius 36, or correct_turns=True and the corrections alone do.

    Cost: O(n E), and 60 steps of O(K^2 E) for a node with K branches: 0.15 s for 1,180 nodes in 5 dimensions.
    """
    if dim < 2:
        raise ValueError(f"a tree needs at least 2 dimensions to branch, got dim={dim}")
    if tau is not None and not (np.isfinite(tau) and tau > 0):
        raise ValueError(f"the length of an edge must be positive and finite, got tau={tau}")
    if len(tree.edges) != len(tree) - 1:
        raise ValueError(f"expected a tree, got {len(tree)} nodes and {len(tree.edges)} edges; take its spanning_tree")
    walk = _walk(tree, start)
    fans = _fans(walk, dim, np.random.default_rng(seed), correct_turns is not False)
    longest = _longest_edge(walk, fans)
    if longest <= 0 and correct_turns is None:
        fans = _fans(walk, dim, np.random.default_rng(seed), False)
        longest = _longest_edge(walk, fans)
    if longest <= 0:
        raise OutsideBall(
            f"{len(tree)} nodes are too deep a tree for the correction of its turns; pass correct_turns=False"
        )
    if tau is not None and tau > longest * (1 + 1e-9):
        raise OutsideBall(
            f"tau={tau:g} puts the farthest node beyond radius {RADIUS_LIMIT:g}; use tau <= {longest:.6g}"
        )
    layout = _place(walk, fans, longest if tau is None else tau)
    # With edges so short that exp(-tau) counts, the estimate of the radius may be too low.
    while tau is None and layout.radius > RADIUS_LIMIT + 0.5:
        layout = _place(walk, fans, layout.tau * RADIUS_LIMIT / layout.radius)
    # Refuses a point that rounding has put on the rim.
    rim_gap(layout.points)
    return layout


def _walk(tree: Graph, start: int) -> _Walk:
    visited, before = hops_from(tree, start)
    order = np.array(visited, dtype=np.int64)
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order))
    back = np.concatenate([[-1], place[np.array(before)[order[1:]]]]).astype(np.int64)
    count = np.bincount(back[1:], minlength=len(order))
    level = [0, 1]
    while level[-1] < len(order):
        # A level ends with the successors of the one before.
        level.append(level[-1] + int(count[level[-2] : level[-1]].sum()))
    return _Walk(order, back, level, 1 + np.concatenate([[0], np.cumsum(count)[:-1]]), count)


def _fans(walk: _Walk, dim: int, rng: np.random.Generator, correct_turns: bool) -> _Fans:
    """Spread the branches of all nodes; nodes with about as many branches are handled together."""
    total = len(walk.order)
    fans = _Fans(np.zeros((total, dim)), np.zeros((total, dim)), np.zeros(total), np.zeros(total))
    size, far = _branches(walk)
    inner = np.flatnonzero(walk.count > 0)
    branches = walk.count[inner] + (inner > 0)
    room = np.array([_room(int(number)) if correct_turns else int(number) for number in branches])
    for width in np.unique(room):
        nodes = inner[room == width]
        step = max(1, _BLOCK // int(width) ** 2)
        for begin in range(0, len(nodes), step):
            some = nodes[begin : begin + step]
            slots, there = _slots(walk, some, int(width))
            if correct_turns:
                directions, offsets = _weighted(size[slots], far[slots], there, dim, rng)
            else:
                even = polygon(int(width)) if dim == 2 else spread_directions(np.ones((width, width)), dim, rng)
                directions, offsets = np.broadcast_to(even, (len(some), *even.shape)), np.zeros(slots.shape)
            _enter(fans, walk, some, slots, there, directions, offsets)
    return fans


def _room(branches: int) -> int:
    """Places that a fan of so many branches is given, some of them empty, so that few sizes occur."""
    if branches <= 6:
        return branches
    coarse = 1 << max(1, branches.bit_length() - 3)
    return -(-branches // coarse) * coarse


def _slots(walk: _Walk, nodes: Ints, width: int) -> tuple[Ints, NDArray[np.bool_]]:
    """The branches of some nodes, [m, width]: as places of the outer ends, n + place for the way back of a node."""
    outward = walk.first[nodes, None] + np.arange(width) - (nodes[:, None] > 0)
    there = np.arange(width) < (walk.count[nodes] + (nodes > 0))[:, None]
    slots = np.where(there, outward, 0)
    slots[:, 0] = np.where(nodes > 0, len(walk.order) + nodes, outward[:, 0])
    return slots, there


def _weighted(
    size: Floats, far: Floats, there: NDArray[np.bool_], dim: int, rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Spread branches by what the ways between them weigh, and correct what turning still costs."""
    size, far = np.where(there, size, 0.0), np.where(there, far, 1.0)
    weights = size[:, :, None] * size[:, None] / (far[:, :, None] + far[:, None]) ** NEARNESS
    # The root of the weights: spread by the full weights, light branches would crowd together.
    directions = spread_directions(np.sqrt(weights), dim, rng)
    return directions, turn_offsets(directions, weights, np.where(there, size / far**NEARNESS, 1.0))


def _enter(
    fans: _Fans,
    walk: _Walk,
    nodes: Ints,
    slots: Ints,
    there: NDArray[np.bool_],
    directions: Floats,
    offsets: Floats,
) -> None:
    """Write some nodes' fans where the nodes at their outer ends will look for them."""
    outward = there & (slots < len(walk.order))
    ends = slots[outward]
    fans.direction[ends] = directions[outward]
    fans.extra[ends] += offsets[outward]
    returning = nodes > 0
    fans.homeward[nodes[returning]] = directions[returning, 0]
    fans.extra[nodes[returning]] += offsets[returning, 0]
    turned = np.einsum("mke,me->mk", directions, directions[:, 0])
    losses = -np.log(np.maximum(0.5 - 0.5 * turned, 1e-12))
    fans.loss[ends] = np.where(returning[:, None], losses, 0.0)[outward]


def _branches(walk: _Walk) -> tuple[Floats, Floats]:
    """How many nodes lie behind each branch, and at how many edges on average: [2 n].

    At a node's place: seen from the node before it. At n + place: seen from the node itself, back to the start.
    """
    total = len(walk.order)
    size, below = np.ones(total), np.zeros(total)
    for begin, end in reversed(list(zip(walk.level[1:-1], walk.level[2:], strict=True))):
        np.add.at(size, walk.back[begin:end], size[begin:end])
        np.add.at(below, walk.back[begin:end], below[begin:end] + size[begin:end])
    everywhere = below.copy()
    for begin, end in zip(walk.level[1:-1], walk.level[2:], strict=True):
        everywhere[begin:end] = everywhere[walk.back[begin:end]] + total - 2 * size[begin:end]
    behind = np.concatenate([size, np.maximum(total - size, 1.0)])
    return behind, np.concatenate([below + size, np.maximum(everywhere - below, 1.0)]) / behind


def _longest_edge(walk: _Walk, fans: _Fans) -> float:
    """The tau that puts the farthest node at the radius limit.

    A node at h edges has the radius h tau + (corrections of its edges) - (losses of its turns), up to exp(-tau).
    """
    extra, longest = np.zeros(len(walk.order)), np.inf
    for hops, (begin, end) in enumerate(zip(walk.level[1:-1], walk.level[2:], strict=True), start=1):
        here = slice(begin, end)
        extra[here] = extra[walk.back[here]] + fans.extra[here] - fans.loss[here]
        longest = min(longest, float(np.min(RADIUS_LIMIT - extra[here])) / hops)
    return longest


def _place(walk: _Walk, fans: _Fans, tau: float) -> Layout:
    """Walk outwards from the start, level by level, and put every node where its fan says; round at the end."""
    total, dim = fans.direction.shape
    whole = twofold(np.zeros((total, dim)))
    radius = 0.0
    for level, (last, begin, end) in enumerate(zip(walk.level, walk.level[1:], walk.level[2:], strict=False)):
        here, before = slice(begin, end), walk.back[begin:end]
        direction = fans.direction[here]
        if begin > 1:
            inner = np.arange(last, begin)
            towards = _direction_to(whole[walk.back[inner]], whole[inner])
            if dim == 2 and level % 2:
                # In the plane a fan has a left and a right; in turns, so that a trunk does not curl up.
                axis = fans.homeward[before]
                direction = 2.0 * np.einsum("ne,ne->n", direction, axis)[:, None] * axis - direction
            mirrors = _mirrors(fans.homeward[inner], towards)[before - inner[0]]
            direction = direction - 2.0 * np.einsum("ne,ne->n", direction, mirrors)[:, None] * mirrors
        placed = _step_from(whole[before], direction, tau + fans.extra[here])
        whole.high[here], whole.low[here] = placed.high, placed.low
        radius = max(radius, float(_radius_of(placed).max()))
    points = np.empty((total, dim))
    points[walk.order] = whole.high
    return Layout(points, tau, radius)


def _step_from(here: Twofold, direction: Floats, length: Floats) -> Twofold:
    """Walk from points of the ball in a direction, as it looks from there: the Möbius sum here + tanh(length/2) unit.

    Args:
        here: [n, E].
        direction: [n, E]; its length does not matter.
        length: [n] hyperbolic length of the walk.
    """
    shrink = np.exp(-length)[:, None]
    arrow, one = twofold(direction), twofold(1.0)
    # tanh(length/2) as 1 and what is missing, which keeps its digits; and a float64 unit vector is as much as 1e-16 too
    # long or too short, which near the rim is a whole unit of length.
    way = arrow * (twofold(1.0, -2.0 * shrink / (1.0 + shrink)) / dot(arrow, arrow).sqrt())
    along, square, way_square = dot(here, way), dot(here, here), dot(way, way)
    twice = along + along
    whole = one + twice + square * way_square
    return here * ((one + twice + way_square) / whole) + way * ((one - square) / whole)


def _direction_to(there: Twofold, here: Twofold) -> Floats:
    """In which direction points lie as seen from others: [n, E] unit vectors along the Möbius sum (-here) + there."""
    away = there - here
    seen = (away * (twofold(1.0) - dot(here, here)) - here * dot(away, away)).high
    # Scaled before it is squared: the differences themselves can be smaller than float64 squares well.
    seen = seen / np.abs(seen).max(axis=1, keepdims=True)
    unit: Floats = seen / np.linalg.norm(seen, axis=1, keepdims=True)
    return unit


def _mirrors(homeward: Floats, towards: Floats) -> Floats:
    """Unit normals of the mirrors that turn one direction into another, [n, E]; zero where they are one."""
    mirror = homeward - towards
    length = np.linalg.norm(mirror, axis=1, keepdims=True)
    return np.where(length < 1e-12, 0.0, mirror / np.maximum(length, 1e-300))


def _radius_of(points: Twofold) -> Floats:
    """The hyperbolic distance of points from the centre: ln((1 + |x|)^2 / (1 - |x|^2))."""
    square = dot(points, points)
    radius: Floats = (2.0 * np.log1p(np.sqrt(square.high)) - np.log((twofold(1.0) - square).high))[:, 0]
    return radius
