"""The Poincaré disk as an SVG picture: nodes, geodesic edges, labels that do not overlap, names on hover.

The picture shows a true two-dimensional embedding, moved so that the root is in the middle: a motion of the disk keeps
all distances. It is never a projection of more dimensions, which would show nothing of the hierarchy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from hyperbolic.embedding import Embedding
from hyperbolic.graph import Graph, hops_from, spanning_tree
from hyperbolic.labels import Box, place_labels
from hyperbolic.manifolds import OutsideBall, translate

Floats = NDArray[np.float64]

# Okabe and Ito's colours, told apart by colour-blind readers too, and three more; grey is for what is left.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#7A5195", "#8C6D31", "#B8A900")
OTHERS = "#9AA0A6"
_INK, _RIM, _FONT = "#202124", "#C4C7CC", "Helvetica, Arial, 'Liberation Sans', sans-serif"
_RADIUS, _MARGIN, _LEGEND = 430.0, 70.0, 210.0
# As attributes, not as a style sheet: inside a web page a sheet would reach everything else on it.
_HALO = {"paint-order": "stroke", "stroke": "#fff", "stroke-width": "3", "stroke-linejoin": "round"}


@dataclass(frozen=True)
class _Scene:
    """What is drawn: screen positions, groups and tree, all in the order of the nodes."""

    tree: Graph
    disk: Floats
    parent: list[int]
    depth: list[int]
    below: list[int]
    group: list[str]


def draw_disk(
    embedding: Embedding, graph: Graph, *, title: str, labels: int = 40, show: Callable[[str], str] = str
) -> str:
    """Draw a two-dimensional Poincaré embedding of a graph.

    Args:
        embedding: geometry "poincare", dim 2. `embed(edges, dim=2, method="wedges")` is made for the eye; the long
            edges of method "construct" put nearly all nodes on the rim.
        graph: that it was made from. The edges of its spanning tree are drawn, coloured by the subtree at depth 2.
        title: heading of the picture.
        labels: at most so many names are written, nodes with most others below them first; all show on hover.
        show: how to write a name.

    Returns:
        SVG text, the same for the same input.

    Raises:
        ValueError: another geometry or dimension, or an embedding of other nodes.
        OutsideBall: edges so long that the picture cannot be centred on the root.
    """
    if embedding.geometry != "poincare" or embedding.dim != 2:
        raise ValueError(
            f"the disk shows geometry='poincare' in 2 dimensions, got {embedding.geometry!r} in {embedding.dim}; "
            "embed the graph with dim=2, a projection of more dimensions shows nothing of the hierarchy"
        )
    if embedding.names != graph.names:
        raise ValueError("the embedding and the graph have different nodes")
    scene = _scene(embedding, graph)
    colours = _colours(scene)
    width, height = 2 * (_RADIUS + _MARGIN) + _LEGEND, 2 * (_RADIUS + _MARGIN) + 30
    svg = ElementTree.Element(
        "svg",
        {"xmlns": "http://www.w3.org/2000/svg", "viewBox": f"0 0 {width:g} {height:g}", "width": "100%", "role": "img"}
        | {"font-family": _FONT},
    )
    ElementTree.SubElement(svg, "title").text = title
    ElementTree.SubElement(svg, "rect", width="100%", height="100%", fill="#fff")
    _text(svg, title, 24, 34, 20, weight="600")
    frame = ElementTree.SubElement(svg, "g", transform=f"translate({_RADIUS + _MARGIN:g} {_RADIUS + _MARGIN + 30:g})")
    ElementTree.SubElement(frame, "circle", r=f"{_RADIUS:g}", fill="#FBFBFC", stroke=_RIM)
    _draw_edges(frame, scene, colours)
    _draw_nodes(frame, scene, colours, show)
    _draw_labels(frame, scene, labels, show)
    _draw_legend(svg, scene, colours, show, width - _LEGEND - 10)
    return ElementTree.tostring(svg, encoding="unicode") + "\n"


def geodesic(p: Floats, q: Floats) -> str:
    """The hyperbolic straight line from p to q as SVG path data.

    An arc of the circle through both that meets the rim at right angles; its centre c solves 2 p.c = 1 + |p|^2 and
    2 q.c = 1 + |q|^2. In line with the disk's centre it is a segment.

    Args:
        p: [2] a point of the unit disk, y downwards.
        q: [2] another.

    Returns:
        "M x y A ..." or "M x y L x y", in pixels of the picture.
    """
    a, b = p * _RADIUS, q * _RADIUS
    move, to = f"M{a[0]:.2f} {a[1]:.2f}", f"{b[0]:.2f} {b[1]:.2f}"
    turn = float(p[0] * q[1] - p[1] * q[0])
    if abs(turn) < 1e-9:
        return f"{move}L{to}"
    middle = np.linalg.solve(2.0 * np.stack([p, q]), 1.0 + np.array([p @ p, q @ q]))
    # Points that nearly touch, out on the rim, leave rounding errors only; the segment between them is below a pixel.
    radius = _RADIUS * float(np.sqrt(max(0.0, float(middle @ middle) - 1.0)))
    if radius > 1e5 or radius < 0.01:
        return f"{move}L{to}"
    (ax, ay), (bx, by) = p - middle, q - middle
    return f"{move}A{radius:.2f} {radius:.2f} 0 0 {int(ax * by > ay * bx)} {to}"


def _scene(embedding: Embedding, graph: Graph) -> _Scene:
    tree = spanning_tree(graph)
    order, parent = hops_from(tree, tree.root)
    depth, below, group = [0] * len(tree), [0] * len(tree), [""] * len(tree)
    for node in order[1:]:
        depth[node] = depth[parent[node]] + 1
        group[node] = tree.names[node] if depth[node] == 2 else group[parent[node]]
    for node in reversed(order[1:]):
        below[parent[node]] += 1 + below[node]
    try:
        disk = translate(embedding.points, embedding.points[tree.root])
    except OutsideBall:
        raise OutsideBall(
            f"edges of length tau={embedding.tau} are too long to move the root to the centre, and to be told apart by "
            "eye; embed the graph with method='wedges', or with tau=1"
        ) from None
    return _Scene(tree, disk * [1.0, -1.0], parent, depth, below, group)


def _colours(scene: _Scene) -> dict[str, str]:
    """A colour for each of the largest groups."""
    sizes = Counter(group for group in scene.group if group)
    largest = sorted(sizes, key=lambda group: (-sizes[group], group))[: len(PALETTE)]
    return dict(zip(largest, PALETTE, strict=False))


def _draw_edges(frame: ElementTree.Element, scene: _Scene, colours: dict[str, str]) -> None:
    lines = ElementTree.SubElement(frame, "g", fill="none")
    # Deep edges first, so that the trunk lies on top.
    for child in sorted(range(len(scene.tree)), key=lambda node: (-scene.depth[node], node)):
        if scene.parent[child] >= 0:
            ElementTree.SubElement(
                lines,
                "path",
                {"d": geodesic(scene.disk[scene.parent[child]], scene.disk[child])}
                | {"stroke": colours.get(scene.group[child], OTHERS), "stroke-opacity": "0.55"}
                | {"stroke-width": f"{max(0.5, 2.2 - 0.35 * scene.depth[child]):.2f}"},
            )


def _draw_nodes(frame: ElementTree.Element, scene: _Scene, colours: dict[str, str], show: Callable[[str], str]) -> None:
    for node in sorted(range(len(scene.tree)), key=lambda node: (-scene.depth[node], node)):
        x, y = scene.disk[node] * _RADIUS
        dot = ElementTree.SubElement(
            frame,
            "circle",
            {"cx": f"{x:.2f}", "cy": f"{y:.2f}", "r": f"{_dot(scene, node):.2f}"}
            | {"fill": colours.get(scene.group[node], OTHERS if scene.depth[node] > 1 else _INK)},
        )
        above = f", under {show(scene.tree.names[scene.parent[node]])}" if scene.parent[node] >= 0 else ", the root"
        count = f", {scene.below[node]} below it" if scene.below[node] else ""
        ElementTree.SubElement(dot, "title").text = show(scene.tree.names[node]) + above + count


def _dot(scene: _Scene, node: int) -> float:
    """Radius of a node in pixels: by how many lie below it, smaller near the rim."""
    crowd = 1.0 - 0.75 * float(scene.disk[node] @ scene.disk[node])
    return 1.3 + crowd * (1.5 + 1.1 * float(np.log1p(scene.below[node])))


def _draw_labels(frame: ElementTree.Element, scene: _Scene, limit: int, show: Callable[[str], str]) -> None:
    ranked = sorted(range(len(scene.tree)), key=lambda node: (-scene.below[node], scene.depth[node], node))
    wanted = [(show(scene.tree.names[node]), scene.disk[node] * _RADIUS, _dot(scene, node)) for node in ranked]
    reach = _RADIUS + _MARGIN - 6
    for label in place_labels(wanted, limit, Box(-reach, -reach, reach, reach)):
        _text(frame, label.text, label.box.left, label.baseline, label.size, halo=True)


def _draw_legend(
    svg: ElementTree.Element, scene: _Scene, colours: dict[str, str], show: Callable[[str], str], left: float
) -> None:
    sizes = Counter(group for group in scene.group if group)
    rows = [(colour, show(group), sizes[group]) for group, colour in colours.items()]
    rest = sum(sizes.values()) - sum(count for _, _, count in rows)
    if rest:
        rows.append((OTHERS, "other branches", rest))
    _text(svg, "branch at depth 2 (nodes)", left, 92, 13, weight="600")
    for line, (colour, name, count) in enumerate(rows):
        y = 116 + 22 * line
        ElementTree.SubElement(svg, "circle", cx=f"{left + 6:g}", cy=f"{y - 4.5:g}", r="5.5", fill=colour)
        _text(svg, f"{name} ({count})", left + 20, y, 13)


def _text(
    parent: ElementTree.Element, text: str, x: float, y: float, size: float, *, halo: bool = False, weight: str = "400"
) -> None:
    style = {"x": f"{x:.2f}", "y": f"{y:.2f}", "font-size": f"{size:g}", "font-weight": weight, "fill": _INK}
    ElementTree.SubElement(parent, "text", style | (_HALO if halo else {})).text = text
