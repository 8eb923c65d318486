"""The Poincaré disk as an SVG picture: nodes, geodesic edges, labels that do not overlap, names on hover, zoom.

The picture shows a true two-dimensional embedding, moved so that the root is in the middle: a motion of the disk keeps
all distances. It is never a projection of more dimensions, which would show nothing of the hierarchy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from hyperbolic.embedding import Embedding
from hyperbolic.graph import Graph
from hyperbolic.labels import Box, place_labels
from hyperbolic.scene import OTHERS, Scene, dot_radius, scene_of

Floats = NDArray[np.float64]

_INK, _RIM, _FONT = "#202124", "#C4C7CC", "Helvetica, Arial, 'Liberation Sans', sans-serif"
_RADIUS, _MARGIN, _LEGEND = 430.0, 70.0, 210.0
# As attributes, not as a style sheet: inside a web page a sheet would reach everything else on it.
_HALO = {"paint-order": "stroke", "stroke": "#fff", "stroke-width": "3", "stroke-linejoin": "round"}
# Wheel to zoom about the pointer, drag to move, double click to go back. Without scripts the picture stands still.
_ZOOM = """
(function () {
  var svg = document.currentScript.closest('svg'), frame = svg.querySelector('.zoomed');
  svg.querySelector('.hint').setAttribute('visibility', 'visible');
  var scale = 1, x = 0, y = 0, from = null;
  var dots = frame.querySelectorAll('g circle'), words = frame.querySelectorAll('text');
  function keep(items, name, shrink) {
    items.forEach(function (item) {
      if (!item.dataset.size) { item.dataset.size = item.getAttribute(name); }
      item.setAttribute(name, item.dataset.size * shrink);
    });
  }
  function show() {
    frame.setAttribute('transform', 'translate(' + x + ' ' + y + ') scale(' + scale + ')');
    keep(dots, 'r', Math.pow(scale, -0.7)); keep(words, 'font-size', Math.pow(scale, -0.9));
  }
  function place(event) {
    var point = svg.createSVGPoint();
    point.x = event.clientX; point.y = event.clientY;
    return point.matrixTransform(frame.parentNode.getScreenCTM().inverse());
  }
  svg.addEventListener('wheel', function (event) {
    event.preventDefault();
    var at = place(event), next = Math.min(60, Math.max(1, scale * Math.exp(-event.deltaY / 400)));
    x = at.x - (at.x - x) * next / scale; y = at.y - (at.y - y) * next / scale; scale = next;
    if (scale === 1) { x = 0; y = 0; }
    show();
  }, { passive: false });
  svg.addEventListener('pointerdown', function (event) {
    var at = place(event); from = [at.x - x, at.y - y]; event.preventDefault();
  });
  svg.addEventListener('pointermove', function (event) {
    if (from) { var at = place(event); x = at.x - from[0]; y = at.y - from[1]; show(); }
  });
  ['pointerup', 'pointerleave'].forEach(function (name) { svg.addEventListener(name, function () { from = null; }); });
  svg.addEventListener('dblclick', function () { scale = 1; x = 0; y = 0; show(); });
})();
"""


def draw_disk(
    embedding: Embedding, graph: Graph, *, title: str, labels: int = 40, show: Callable[[str], str] = str
) -> str:
    """Draw a two-dimensional Poincaré embedding of a graph.

    Args:
        embedding: geometry "poincare" or "lorentz", dim 2. `embed(edges, dim=2, method="wedges")` is made for the
            eye; the long edges of method "construct" put nearly all nodes on the rim.
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
    scene = scene_of(embedding, graph)
    svg, frame, _ = disk_picture(scene, title, show)
    _draw_edges(frame, scene)
    _draw_nodes(frame, scene, show)
    _draw_labels(frame, scene, labels, show)
    return ElementTree.tostring(svg, encoding="unicode") + "\n"


def disk_picture(
    scene: Scene, title: str, show: Callable[[str], str]
) -> tuple[ElementTree.Element, ElementTree.Element, float]:
    """An empty disk with title, legend and zoom.

    Returns:
        The picture; the group around the centre that takes what is drawn, y downwards; the disk's radius in pixels.
    """
    width, height = 2 * (_RADIUS + _MARGIN) + _LEGEND, 2 * (_RADIUS + _MARGIN) + 30
    svg = ElementTree.Element(
        "svg",
        {"xmlns": "http://www.w3.org/2000/svg", "viewBox": f"0 0 {width:g} {height:g}", "width": "100%", "role": "img"}
        | {"font-family": _FONT},
    )
    ElementTree.SubElement(svg, "title").text = title
    ElementTree.SubElement(svg, "rect", width="100%", height="100%", fill="#fff")
    _text(svg, title, 24, 34, 20, weight="600")
    frame = _frame(svg)
    ElementTree.SubElement(frame, "circle", r=f"{_RADIUS:g}", fill="#FBFBFC", stroke=_RIM)
    _draw_legend(svg, scene, show, width - _LEGEND - 10)
    _text(svg, "wheel: zoom, drag: move, double click: back", width - _LEGEND - 10, height - 24, 10.5)
    # Shown by the script alone: a page that takes scripts out takes the hint out with it.
    svg[-1].set("visibility", "hidden")
    svg[-1].set("class", "hint")
    ElementTree.SubElement(svg, "script").text = _ZOOM
    return svg, frame, _RADIUS


def _frame(svg: ElementTree.Element) -> ElementTree.Element:
    """A group around the disk's centre, cut off at the picture's left part however far it is zoomed."""
    reach = _RADIUS + _MARGIN
    window = ElementTree.SubElement(
        svg, "svg", x="10", y="70", width=f"{2 * reach - 30:g}", height=f"{2 * reach - 40:g}"
    )
    window.set("viewBox", f"{10 - reach:g} {40 - reach:g} {2 * reach - 30:g} {2 * reach - 40:g}")
    # Zooming listens to the whole picture; the group inside is what moves.
    return ElementTree.SubElement(window, "g", {"class": "zoomed"})


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


def _draw_edges(frame: ElementTree.Element, scene: Scene) -> None:
    lines = ElementTree.SubElement(frame, "g", {"fill": "none"})
    # Deep edges first, so that the trunk lies on top.
    for child in sorted(range(len(scene.tree)), key=lambda node: (-scene.depth[node], node)):
        if scene.parent[child] >= 0:
            ElementTree.SubElement(
                lines,
                "path",
                {"d": geodesic(scene.disk[scene.parent[child]], scene.disk[child])}
                | {"stroke": scene.colours.get(scene.group[child], OTHERS), "stroke-opacity": "0.55"}
                | {"stroke-width": f"{max(0.5, 2.2 - 0.35 * scene.depth[child]):.2f}"}
                | {"vector-effect": "non-scaling-stroke"},
            )


def _draw_nodes(frame: ElementTree.Element, scene: Scene, show: Callable[[str], str]) -> None:
    dots = ElementTree.SubElement(frame, "g")
    for node in sorted(range(len(scene.tree)), key=lambda node: (-scene.depth[node], node)):
        x, y = scene.disk[node] * _RADIUS
        dot = ElementTree.SubElement(
            dots,
            "circle",
            {"cx": f"{x:.2f}", "cy": f"{y:.2f}", "r": f"{dot_radius(scene, node):.2f}"} | {"fill": scene.colour(node)},
        )
        above = (
            f", under {show(str(scene.tree.names[scene.parent[node]]))}" if scene.parent[node] >= 0 else ", the root"
        )
        count = f", {scene.below[node]} below it" if scene.below[node] else ""
        ElementTree.SubElement(dot, "title").text = show(str(scene.tree.names[node])) + above + count


def _draw_labels(frame: ElementTree.Element, scene: Scene, limit: int, show: Callable[[str], str]) -> None:
    ranked = sorted(range(len(scene.tree)), key=lambda node: (-scene.below[node], scene.depth[node], node))
    wanted = [
        (show(str(scene.tree.names[node])), scene.disk[node] * _RADIUS, dot_radius(scene, node)) for node in ranked
    ]
    reach = _RADIUS + _MARGIN - 6
    for label in place_labels(wanted, limit, Box(-reach, -reach, reach, reach)):
        _text(frame, label.text, label.box.left, label.baseline, label.size, halo=True)


def _draw_legend(svg: ElementTree.Element, scene: Scene, show: Callable[[str], str], left: float) -> None:
    sizes = Counter(group for group in scene.group if group)
    rows = [(colour, show(group), sizes[group]) for group, colour in scene.colours.items()]
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
