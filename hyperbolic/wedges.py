"""A tree in the hyperbolic plane as wedges around its root: made to be looked at.

Depth is the distance from the centre, and every subtree keeps to its own sector of the disk. It is a true embedding,
but pays for its order with distances: to measure, use `construct`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hyperbolic.construction import RADIUS_LIMIT
from hyperbolic.graph import Graph, hops_from
from hyperbolic.manifolds import OutsideBall

Floats = NDArray[np.float64]

# An edge of 0.8 puts depth 5 at 0.96 of the disk's radius: the eye can still tell depths apart.
VISIBLE_TAU = 0.8
# A subtree's share of its parent's sector grows with its leaves to this power: 1 would starve small subtrees.
SHARE = 0.7


def layout_wedges(tree: Graph, tau: float | None = None) -> tuple[Floats, float]:
    """Lay out a tree in the Poincaré disk: a node at depth h sits at radius h tau, in the middle of its sector.

    Args:
        tree: every node but the root has one parent (`spanning_tree` makes it so).
        tau: length of an edge along the radius; left out, 0.8.

    Returns:
        points: [n, 2] float64, the root at 0. tau: as given or chosen.

    Raises:
        ValueError: tau <= 0.
        OutsideBall: the deepest node would lie beyond radius 36.

    Cost: O(n).

    Source: sectors as in radial tree drawing (Eades 1992), radii hyperbolic.
    """
    edge = VISIBLE_TAU if tau is None else tau
    if not (np.isfinite(edge) and edge > 0):
        raise ValueError(f"the length of an edge must be positive and finite, got tau={edge}")
    order, parent = hops_from(tree, tree.root)
    depth, leaves = np.zeros(len(tree)), np.zeros(len(tree))
    for node in order[1:]:
        depth[node] = depth[parent[node]] + 1
    for node in reversed(order[1:]):
        leaves[node] = max(leaves[node], 1.0)
        leaves[parent[node]] += leaves[node]
    longest = RADIUS_LIMIT / float(depth.max())
    if edge > longest:
        raise OutsideBall(
            f"tau={edge:g} puts the deepest node beyond radius {RADIUS_LIMIT:g}; use tau <= {longest:.6g}"
        )
    angle = _angles(order, parent, leaves**SHARE)
    return np.tanh(edge * depth / 2.0)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1), edge


def _angles(order: list[int], parent: list[int], share: Floats) -> Floats:
    """The middle of every node's sector; siblings divide their parent's by `share`, in the order of the walk."""
    wanted = np.zeros(len(order))
    for node in order[1:]:
        wanted[parent[node]] += share[node]
    width, begin, taken = np.full(len(order), 2.0 * np.pi), np.zeros(len(order)), np.zeros(len(order))
    for node in order[1:]:
        above = parent[node]
        width[node] = width[above] * share[node] / wanted[above]
        begin[node] = begin[above] + taken[above]
        taken[above] += width[node]
    return begin + width / 2.0
