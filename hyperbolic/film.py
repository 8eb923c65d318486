"""How points move while they are learned, as an SVG picture that plays by itself.

A node is drawn at its hyperbolic distance from the root, not where the Poincaré disk puts it: there all would soon
crowd on the rim. Directions are those of the disk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from hyperbolic.embedding import Embedding
from hyperbolic.graph import Graph
from hyperbolic.plot import disk_picture
from hyperbolic.scene import scene_of

Floats = NDArray[np.float64]


def draw_training(
    frames: Sequence[Embedding],
    graph: Graph,
    *,
    title: str,
    captions: Sequence[str],
    seconds: float = 12.0,
    show: Callable[[str], str] = str,
) -> str:
    """Draw the same nodes at several times; they glide from one place to the next, and the film starts again.

    Args:
        frames: embeddings of the graph in curved space with dim=2, in the order of time, two at least. Each is moved
            so that its root is in the middle.
        graph: that they were made from.
        title: heading.
        captions: one a frame, such as "pass 20".
        seconds: length of the film.
        show: how to write a name.

    Returns:
        SVG text with SMIL animation, the same for the same input; some 13 bytes a node and frame.

    Raises:
        ValueError: fewer than two frames, captions of another number, or frames that `draw_disk` would refuse.
    """
    if len(frames) < 2 or len(captions) != len(frames):
        raise ValueError(f"expected two or more frames and a caption each, got {len(frames)} and {len(captions)}")
    scenes = [scene_of(frame, graph) for frame in frames]
    svg, group, radius = disk_picture(scenes[-1], title, show)
    places = _unrolled(np.stack([scene.disk for scene in scenes])) * radius
    timing = {"dur": f"{seconds:g}s", "repeatCount": "indefinite"}
    last, dots = scenes[-1], ElementTree.SubElement(group, "g")
    for node in sorted(range(len(graph)), key=lambda node: (-last.depth[node], node)):
        dot = ElementTree.SubElement(
            dots,
            "circle",
            {"cx": f"{places[-1, node, 0]:.1f}", "cy": f"{places[-1, node, 1]:.1f}"}
            | {"r": f"{1.5 + 0.8 * np.log1p(last.below[node]):.2f}", "fill": last.colour(node)},
        )
        ElementTree.SubElement(dot, "title").text = show(str(graph.names[node]))
        for axis, name in enumerate(("cx", "cy")):
            values = ";".join(f"{value:.1f}" for value in (*places[:, node, axis], places[-1, node, axis]))
            ElementTree.SubElement(dot, "animate", {"attributeName": name, "values": values} | timing)
    _captions(svg, captions, timing)
    return ElementTree.tostring(svg, encoding="unicode") + "\n"


def _unrolled(disk: Floats) -> Floats:
    """Distances from the centre become hyperbolic ones, the greatest of all frames 1: [frames, n, 2]."""
    length = np.linalg.norm(disk, axis=2, keepdims=True)
    radius = 2.0 * np.arctanh(length)
    unrolled: Floats = disk / np.where(length > 0, length, 1.0) * radius / radius.max()
    return unrolled


def _captions(svg: ElementTree.Element, captions: Sequence[str], timing: dict[str, str]) -> None:
    """One text a frame, shown in its turn; without animation the last one is seen."""
    turns = len(captions)
    for turn, caption in enumerate(captions):
        text = ElementTree.SubElement(svg, "text", {"x": "24", "y": "60", "font-size": "14", "fill": "#202124"})
        text.text = caption
        text.set("visibility", "visible" if turn == turns - 1 else "hidden")
        # The last place is held for one more turn.
        values = ["visible" if place == turn else "hidden" for place in (*range(turns), turns - 1)]
        key_times = ";".join(f"{place / (turns + 1):.4f}" for place in range(turns + 1))
        attributes = {"attributeName": "visibility", "calcMode": "discrete", "values": ";".join(values)}
        ElementTree.SubElement(text, "animate", attributes | {"keyTimes": key_times} | timing)
