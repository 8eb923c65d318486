"""What pictures of the disk show: an embedding moved so that its root is in the middle, with its branches' colours."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hyperbolic.embedding import Embedding
from hyperbolic.graph import Graph, hops_from, spanning_tree
from hyperbolic.manifolds import OutsideBall, to_poincare, translate

Floats = NDArray[np.float64]

# Okabe and Ito's colours, told apart by colour-blind readers too, and three more; grey is for what is left.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#7A5195", "#8C6D31", "#B8A900")
OTHERS, TRUNK = "#9AA0A6", "#202124"


@dataclass(frozen=True)
class Scene:
    """What is drawn, all in the order of the nodes.

    Args:
        tree: the spanning tree whose edges are drawn.
        disk: [n, 2] places in the unit disk, y downwards.
        parent: of each node in the tree, -1 for the root.
        depth: edges from the root.
        below: nodes under each.
        group: name of the node at depth 2 on the way to the root, "" above it.
        colours: of the largest groups.
    """

    tree: Graph
    disk: Floats
    parent: list[int]
    depth: list[int]
    below: list[int]
    group: list[str]
    colours: dict[str, str]

    def colour(self, node: int) -> str:
        """Of a node's dot."""
        return self.colours.get(self.group[node], OTHERS if self.depth[node] > 1 else TRUNK)


def scene_of(embedding: Embedding, graph: Graph) -> Scene:
    """Move an embedding's root to the middle and find the branches.

    Raises:
        ValueError: flat space, another dimension than 2, or an embedding of other nodes.
        OutsideBall: edges so long that the picture cannot be centred on the root.
    """
    if embedding.geometry == "euclidean" or embedding.dim != 2:
        raise ValueError(
            f"the disk shows curved space in 2 dimensions, got {embedding.geometry!r} in {embedding.dim}; "
            "embed the graph with dim=2, a projection of more dimensions shows nothing of the hierarchy"
        )
    if embedding.names != graph.names:
        raise ValueError("the embedding and the graph have different nodes")
    tree = spanning_tree(graph)
    order, parent = hops_from(tree, tree.root)
    depth, below, group = [0] * len(tree), [0] * len(tree), [""] * len(tree)
    for node in order[1:]:
        depth[node] = depth[parent[node]] + 1
        group[node] = str(tree.names[node]) if depth[node] == 2 else group[parent[node]]
    for node in reversed(order[1:]):
        below[parent[node]] += 1 + below[node]
    try:
        ball = to_poincare(embedding.points) if embedding.geometry == "lorentz" else embedding.points
        disk = translate(ball, ball[tree.root])
    except OutsideBall:
        raise OutsideBall(
            f"edges of length tau={embedding.tau} are too long to move the root to the centre, and to be told apart by "
            "eye; embed the graph with method='wedges', or with tau=1"
        ) from None
    sizes = Counter(name for name in group if name)
    largest = sorted(sizes, key=lambda name: (-sizes[name], name))[: len(PALETTE)]
    colours = dict(zip(largest, PALETTE, strict=False))
    return Scene(tree, disk * [1.0, -1.0], parent, depth, below, group, colours)


def dot_radius(scene: Scene, node: int) -> float:
    """Radius of a node in pixels: by how many lie below it, smaller near the rim."""
    crowd = 1.0 - 0.75 * float(scene.disk[node] @ scene.disk[node])
    return 1.3 + crowd * (1.5 + 1.1 * float(np.log1p(scene.below[node])))
