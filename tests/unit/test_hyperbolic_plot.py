"""The picture: names on every node, labels that keep apart, geodesics that are geodesics."""

from __future__ import annotations

import itertools
import re
from xml.etree import ElementTree

import numpy as np
import pytest

from hyperbolic import OutsideBall, build_graph, draw_disk, draw_training, embed
from hyperbolic.labels import FONT_SIZE, Box, place_labels, text_width
from hyperbolic.plot import geodesic
from hyperbolic.scene import OTHERS, PALETTE

SVG = "{http://www.w3.org/2000/svg}"
GRAPH = build_graph(
    [(f"branch{i:02}", "root") for i in range(3)]
    + [(f"twig{i:02}", f"branch{i % 3:02}") for i in range(12)]
    + [(f"leaf <{i:03}>", f"twig{i % 12:02}") for i in range(90)]
)
DISK = embed(GRAPH, dim=2, method="wedges")


@pytest.fixture(scope="module")
def picture() -> ElementTree.Element:
    return ElementTree.fromstring(draw_disk(DISK, GRAPH, title="A & B", show=str.upper))


def test_every_node_says_its_name_on_hover(picture: ElementTree.Element) -> None:
    titles = [title.text or "" for title in picture.findall(f".//{SVG}circle/{SVG}title")]
    assert len(titles) == len(GRAPH)
    assert "ROOT, the root, 105 below it" in titles
    assert "LEAF <013>, under TWIG01" in titles
    assert picture.find(f"{SVG}title").text == "A & B"  # type: ignore[union-attr]


def test_every_edge_is_drawn(picture: ElementTree.Element) -> None:
    assert len(picture.findall(f".//{SVG}path")) == len(GRAPH) - 1


def test_the_root_is_in_the_middle(picture: ElementTree.Element) -> None:
    root = next(c for c in picture.iter(f"{SVG}circle") if (c.findtext(f"{SVG}title") or "").startswith("ROOT"))
    assert (float(root.attrib["cx"]), float(root.attrib["cy"])) == (0.0, 0.0)


def test_another_centre_is_moved_to_the_root() -> None:
    layout = embed(GRAPH, dim=2, tau=1.0)
    drawn = ElementTree.fromstring(draw_disk(layout, GRAPH, title=""))
    root = next(c for c in drawn.iter(f"{SVG}circle") if (c.findtext(f"{SVG}title") or "").startswith("root"))
    assert (float(root.attrib["cx"]), float(root.attrib["cy"])) == (0.0, 0.0)


def test_long_edges_are_drawn_if_the_root_is_near_enough_to_the_centre() -> None:
    pair = build_graph([("a", "r"), ("b", "r"), ("c", "r")])
    assert "nan" not in draw_disk(embed(pair, dim=2), pair, title="")
    chain = build_graph([(f"n{i + 1}", f"n{i}") for i in range(6)])
    with pytest.raises(OutsideBall, match=r"edges of length tau=12.0 are too long .* method='wedges', or with tau=1"):
        draw_disk(embed(chain, dim=2), chain, title="")


def test_labels_do_not_overlap(picture: ElementTree.Element) -> None:
    labels = [t for t in picture.iter(f"{SVG}text") if t.get("paint-order") == "stroke"]
    assert 20 <= len(labels) <= 40
    boxes = []
    for label in labels:
        left, foot, size = (float(label.attrib[key]) for key in ("x", "y", "font-size"))
        boxes.append(Box(left, foot - 0.75 * size, left + text_width(label.text or "", size), foot + 0.2 * size))
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))


def test_the_legend_names_the_largest_branches_and_the_rest(picture: ElementTree.Element) -> None:
    texts = [text.text or "" for text in picture.iter(f"{SVG}text")]
    assert "TWIG00 (9)" in texts
    assert "other branches (24)" in texts
    fills = {circle.get("fill") for circle in picture.iter(f"{SVG}circle")}
    assert {*PALETTE, OTHERS} <= fills


def test_the_same_input_gives_the_same_picture() -> None:
    assert draw_disk(DISK, GRAPH, title="x") == draw_disk(embed(GRAPH, dim=2, method="wedges"), GRAPH, title="x")


def test_no_style_sheet_can_leak_into_a_page(picture: ElementTree.Element) -> None:
    assert picture.find(f".//{SVG}style") is None


def test_a_geodesic_meets_the_rim_at_right_angles() -> None:
    p, q = np.array([0.5, 0.1]), np.array([-0.2, 0.7])
    found = re.fullmatch(r"M(\S+) (\S+)A(\S+) \3 0 0 ([01]) (\S+) (\S+)", geodesic(p, q))
    assert found
    radius, sweep = float(found[3]) / 430.0, int(found[4])
    # Both circles through p and q with that radius: the one that is drawn bows towards the centre of the disk.
    middle, half = (p + q) / 2, np.linalg.norm(p - q) / 2
    normal = np.array([q[1] - p[1], p[0] - q[0]]) / (2 * half)
    outer = max((middle + s * np.sqrt(radius**2 - half**2) * normal for s in (1, -1)), key=np.linalg.norm)
    assert outer @ outer == pytest.approx(1 + radius**2, rel=1e-3)
    turn = float(np.cross([*(p - outer), 0], [*(q - outer), 0])[2])
    assert sweep == int(turn > 0)


@pytest.mark.parametrize("q", [[-0.5, -0.1], [0.0, 0.0], [0.25, 0.05]])
def test_in_line_with_the_centre_it_is_a_segment(q: list[float]) -> None:
    assert re.fullmatch(r"M\S+ \S+L\S+ \S+", geodesic(np.array([0.5, 0.1]), np.array(q)))


def test_only_a_disk_can_be_drawn() -> None:
    with pytest.raises(ValueError, match="in 2 dimensions, got 'lorentz' in 5"):
        draw_disk(embed(GRAPH), GRAPH, title="")
    with pytest.raises(ValueError, match="got 'euclidean' in 2"):
        draw_disk(embed(GRAPH, "euclidean", 2, "stress"), GRAPH, title="")
    with pytest.raises(ValueError, match="different nodes"):
        draw_disk(embed([("a", "b")], dim=2), GRAPH, title="")


def test_labels_stay_in_their_frame_and_give_way() -> None:
    frame = Box(0, 0, 200, 40)
    spot = np.array([100.0, 20.0])
    placed = place_labels([("first", spot, 2.0), ("second", spot, 2.0), ("x" * 60, spot, 2.0)], 9, frame)
    assert [label.text for label in placed] == ["first", "second"]
    assert all(label.box.within(frame) for label in placed)
    assert not placed[0].box.overlaps(placed[1].box)
    assert len(place_labels([("a", spot, 1.0), ("b", spot, 1.0)], 1, frame)) == 1
    assert text_width("mmm") > text_width("ooo") > text_width("iii")
    assert text_width("o", 2 * FONT_SIZE) == 2 * text_width("o")


def test_the_picture_can_be_zoomed_and_carries_nothing_from_elsewhere(picture: ElementTree.Element) -> None:
    script = picture.findtext(f"{SVG}script") or ""
    assert "wheel" in script
    assert picture.find(f".//{SVG}g[@class='zoomed']") is not None
    text = draw_disk(DISK, GRAPH, title="")
    assert re.findall(r"(?:href|src|url\()", text) == []


def test_both_models_of_curved_space_give_one_picture() -> None:
    ball = embed(GRAPH, "poincare", 2, "wedges")
    assert draw_disk(ball, GRAPH, title="x") == draw_disk(DISK, GRAPH, title="x")


def test_a_film_moves_every_node_from_frame_to_frame() -> None:
    frames = [embed(GRAPH, "poincare", 2, "wedges", tau=tau) for tau in (0.2, 0.5, 1.0)]
    film = ElementTree.fromstring(draw_training(frames, GRAPH, title="F", captions=["a", "b", "c"]))
    dots = [dot for dot in film.iter(f"{SVG}circle") if dot.find(f"{SVG}animate") is not None]
    assert len(dots) == len(GRAPH)
    for dot in dots:
        across, down = (animate.attrib["values"].split(";") for animate in dot.findall(f"{SVG}animate"))
        assert len(across) == len(down) == 4
        # Depth h lies at 0.2 h, 0.5 h and 1.0 h, and 3.0 is as far as anything gets.
        reach = [np.hypot(float(x), float(y)) for x, y in zip(across, down, strict=True)]
        assert reach[0] == pytest.approx(0.2 * reach[2], abs=0.2)
        assert reach[1] == pytest.approx(0.5 * reach[2], abs=0.2)
        assert reach[3] == reach[2] <= 430.1
    shown = [text.attrib["visibility"] for text in film.iter(f"{SVG}text") if text.text in ("a", "b", "c")]
    assert shown == ["hidden", "hidden", "visible"]
    for given, captions in ((frames[:1], ["a"]), (frames, ["a"])):
        with pytest.raises(ValueError, match="two or more frames and a caption each"):
            draw_training(given, GRAPH, title="", captions=captions)
